{# The gateway's log, where one is read. Through dlt the table comes with the first row. #}
{% set requests = source('bifrost', 'job_requests') %}
{% set there = execute and adapter.get_relation(requests.database, requests.schema, requests.identifier) is not none %}
{% set texts = [
    'request_id', 'job_id', 'role', 'request_type', 'status', 'provider', 'model',
    'virtual_key_id', 'virtual_key_name', 'team_id', 'team_name', 'customer_id', 'customer_name',
    'user_id', 'user_name', 'business_unit_id', 'business_unit_name', 'key_name', 'error_code', 'error_message'
] %}
select
{% if there %}
    {{ texts | join(',\n    ') }},
    source_id,
    {{ utc('requested_at') }} as requested_at,
    {{ utc('first_seen_at') }} as first_seen_at,
    retries,
    fallback_index,
    latency_ms,
    cost
from {{ requests }}
{% else %}
    {% for name in texts %}cast(null as {{ dbt.type_string() }}) as {{ name }},
    {% endfor -%}
    cast(null as {{ dbt.type_bigint() }}) as source_id,
    cast(null as timestamp) as requested_at,
    cast(null as timestamp) as first_seen_at,
    cast(null as {{ dbt.type_bigint() }}) as retries,
    cast(null as {{ dbt.type_bigint() }}) as fallback_index,
    cast(null as {{ dbt.type_float() }}) as latency_ms,
    cast(null as {{ dbt.type_numeric() }}) as cost
where 1 = 0
{% endif %}
