{# The table comes with the first lookup, and many gateways have no cache. #}
{% set lookups = source('bifrost', 'cache_lookups') %}
{% set there = execute and adapter.get_relation(lookups.database, lookups.schema, lookups.identifier) is not none %}
select
{% if there %}
    id as lookup_id,
    source_id,
    run_id,
    page_id,
    {{ utc('looked_up_at') }} as looked_up_at,
    cache_hit,
    hit_type,
    provider_used,
    model_used,
    input_tokens,
    threshold,
    similarity
from {{ lookups }}
{% else %}
    cast(null as {{ dbt.type_bigint() }}) as lookup_id,
    cast(null as {{ dbt.type_bigint() }}) as source_id,
    cast(null as {{ dbt.type_bigint() }}) as run_id,
    cast(null as {{ dbt.type_bigint() }}) as page_id,
    cast(null as timestamp) as looked_up_at,
    cast(null as {{ dbt.type_boolean() }}) as cache_hit,
    cast(null as {{ dbt.type_string() }}) as hit_type,
    cast(null as {{ dbt.type_string() }}) as provider_used,
    cast(null as {{ dbt.type_string() }}) as model_used,
    cast(null as {{ dbt.type_bigint() }}) as input_tokens,
    cast(null as {{ dbt.type_float() }}) as threshold,
    cast(null as {{ dbt.type_float() }}) as similarity
where 1 = 0
{% endif %}
