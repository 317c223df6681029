{# Through dlt the table comes with the first reject: no table, no reject. #}
{% set rejects = source('bifrost', 'rejected_items') %}
{% set there = execute and adapter.get_relation(rejects.database, rejects.schema, rejects.identifier) is not none %}
select
{% if there %}
    id as reject_id,
    source_id,
    run_id,
    {{ utc('rejected_at') }} as rejected_at,
    {{ utc('last_seen_at') }} as last_seen_at,
    times_seen,
    job_id,
    reason
from {{ rejects }}
{% else %}
    cast(null as {{ dbt.type_bigint() }}) as reject_id,
    cast(null as {{ dbt.type_bigint() }}) as source_id,
    cast(null as {{ dbt.type_bigint() }}) as run_id,
    cast(null as timestamp) as rejected_at,
    cast(null as timestamp) as last_seen_at,
    cast(null as {{ dbt.type_bigint() }}) as times_seen,
    cast(null as {{ dbt.type_string() }}) as job_id,
    cast(null as {{ dbt.type_string() }}) as reason
where 1 = 0
{% endif %}
