{# Through dlt the table comes with the first gap: no table, no gap. #}
{% set gaps = source('bifrost', 'coverage_gaps') %}
{% set there = execute and adapter.get_relation(gaps.database, gaps.schema, gaps.identifier) is not none %}
select
{% if there %}
    id as gap_id,
    source_id,
    run_id,
    {{ utc('detected_at') }} as detected_at,
    {{ utc('gap_from') }} as gap_from,
    {{ utc('gap_until') }} as gap_until,
    last_known_job_id,
    oldest_listed_job_id,
    reason
from {{ gaps }}
{% else %}
    cast(null as {{ dbt.type_bigint() }}) as gap_id,
    cast(null as {{ dbt.type_bigint() }}) as source_id,
    cast(null as {{ dbt.type_bigint() }}) as run_id,
    cast(null as timestamp) as detected_at,
    cast(null as timestamp) as gap_from,
    cast(null as timestamp) as gap_until,
    cast(null as {{ dbt.type_string() }}) as last_known_job_id,
    cast(null as {{ dbt.type_string() }}) as oldest_listed_job_id,
    cast(null as {{ dbt.type_string() }}) as reason
where 1 = 0
{% endif %}
