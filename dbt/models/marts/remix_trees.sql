{# One row per family of remixes. Amounts of several currencies are no sum: then `cost` is none, and `costs` lists them. #}
{% set one_currency = 'max(currency) = min(currency)' %}
with by_currency as (
    select
        source,
        root_job_id,
        currency,
        min(depth) as nearest,
        max(depth) as farthest,
        max(case when is_cycle then 1 else 0 end) as cycles,
        count(*) as jobs,
        sum(seconds) as seconds,
        sum(cost) as cost,
        sum(case when status = 'completed' and cost is null then 1 else 0 end) as uncosted_jobs,
        min(created_at) as first_created_at,
        max(created_at) as last_created_at
    from {{ ref('remix_jobs') }}
    group by source, root_job_id, currency
),

said as (
    select *, case when cost is not null then {{ amount('currency', 'cost') }} end as amount
    from by_currency
)

select
    source,
    root_job_id,
    min(nearest) > 0 and max(cycles) = 0 as is_orphan,
    max(cycles) = 1 as is_cycle,
    cast(sum(jobs) as {{ dbt.type_bigint() }}) as jobs,
    max(farthest) as depth,
    sum(seconds) as seconds,
    case when {{ one_currency }} then sum(cost) end as cost,
    case when {{ one_currency }} then max(currency) end as currency,
    {{ dbt.listagg('amount', "', '", 'order by currency') }} as costs,
    cast(sum(uncosted_jobs) as {{ dbt.type_bigint() }}) as uncosted_jobs,
    min(first_created_at) as first_created_at,
    max(last_created_at) as last_created_at
from said
group by source, root_job_id
