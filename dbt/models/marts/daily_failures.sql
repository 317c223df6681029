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
from {{ ref('fct_video_jobs') }}
where status = 'failed'
group by
    created_day, source, provider, model, size, failure_class, error_code, error_message, filter_reasons, currency
