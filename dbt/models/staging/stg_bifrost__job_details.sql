{# What only a read by id tells, where `details: true`. Through dlt the table comes with the first row. #}
{% set details = source('bifrost', 'job_details') %}
{% set there = execute and adapter.get_relation(details.database, details.schema, details.identifier) is not none %}
select
{% if there %}
    source_id,
    job_id,
    outcome,
    {{ utc('read_at') }} as read_at,
    reported_cost,
    outputs,
    variants,
    filtered_outputs,
    filter_reasons
from {{ details }}
{% else %}
    cast(null as {{ dbt.type_bigint() }}) as source_id,
    cast(null as {{ dbt.type_string() }}) as job_id,
    cast(null as {{ dbt.type_string() }}) as outcome,
    cast(null as timestamp) as read_at,
    cast(null as {{ dbt.type_numeric() }}) as reported_cost,
    cast(null as {{ dbt.type_bigint() }}) as outputs,
    cast(null as {{ dbt.type_bigint() }}) as variants,
    cast(null as {{ dbt.type_bigint() }}) as filtered_outputs,
    cast(null as {{ dbt.type_string() }}) as filter_reasons
where 1 = 0
{% endif %}
