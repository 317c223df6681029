{# One row per family of remixes. Amounts of several currencies are no sum: then there is none. #}
select
    source,
    root_job_id,
    min(depth) > 0 and max(case when is_cycle then 1 else 0 end) = 0 as is_orphan,
    max(case when is_cycle then 1 else 0 end) = 1 as is_cycle,
    count(*) as jobs,
    max(depth) as depth,
    sum(seconds) as seconds,
    case when max(currency) = min(currency) then sum(cost) end as cost,
    case when max(currency) = min(currency) then max(currency) end as currency,
    sum(case when status = 'completed' and cost is null then 1 else 0 end) as uncosted_jobs,
    min(created_at) as first_created_at,
    max(created_at) as last_created_at
from {{ ref('remix_jobs') }}
group by source, root_job_id
