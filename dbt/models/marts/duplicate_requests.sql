{# Requests made more than once: same provider, model, size, length and prompt. Priced as on the newest one's day. #}
with groups as (
    select
        provider,
        model,
        size,
        seconds,
        prompt,
        count(*) as jobs,
        sum(case when status = 'completed' then 1 else 0 end) as completed_jobs,
        min(created_at) as first_created_at,
        max(created_at) as last_created_at,
        max(resolution) as resolution
    from {{ ref('fct_video_jobs') }}
    where prompt is not null and prompt <> ''
    group by provider, model, size, seconds, prompt
    having count(*) > 1
)

select
    groups.provider,
    groups.model,
    groups.size,
    groups.seconds,
    groups.prompt,
    groups.jobs,
    groups.completed_jobs,
    case when groups.completed_jobs > 1 then groups.completed_jobs - 1 else 0 end as avoidable_jobs,
    {{ cost('groups.seconds', 'prices.price', 'prices.unit') }}
    * case when groups.completed_jobs > 1 then groups.completed_jobs - 1 else 0 end as avoidable_cost,
    prices.currency,
    groups.first_created_at,
    groups.last_created_at
from groups
left join {{ ref('stg_bifrost__job_prices') }} as prices
    on prices.model = groups.model
    and prices.created_day = cast(groups.last_created_at as date)
    and coalesce(prices.provider, '') = coalesce(groups.provider, '')
    and coalesce(prices.resolution, '') = coalesce(groups.resolution, '')
