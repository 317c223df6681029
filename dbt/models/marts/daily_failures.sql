{# What the content filter kept back is counted apart, as in the view. #}
with failed as (
    select
        *,
        case when filtered_outputs > 0 or filter_reasons is not null then 1 else 0 end as is_filtered
    from {{ ref('fct_video_jobs') }}
    where status = 'failed'
)

select
    created_day as day,
    source,
    provider,
    model,
    size,
    failure_class,
    error_code,
    error_message,
    filter_reasons,
    count(*) as jobs,
    sum(seconds) as wasted_seconds,
    sum({{ cost('seconds', 'price', 'price_unit') }}) as would_be_cost,
    currency,
    max(created_at) as last_created_at
from failed
group by
    created_day, source, provider, model, size, failure_class, error_code, error_message, is_filtered,
    filter_reasons, currency
