select
    created_day as day,
    source,
    provider,
    model,
    size,
    status,
    outcome,
    count(*) as jobs,
    sum(seconds) as seconds,
    sum(cost) as cost,
    currency,
    sum(case when status = 'completed' and cost is null then 1 else 0 end) as uncosted_jobs
from {{ ref('fct_video_jobs') }}
group by created_day, source, provider, model, size, status, outcome, currency
