select
    cast(runs.started_at as date) as day,
    sources.source,
    runs.kind,
    count(*) as runs,
    sum(case when runs.status = 'failed' then 1 else 0 end) as failed,
    sum(runs.requests) as requests,
    sum(runs.retries) as retries,
    sum(runs.jobs_inserted) as jobs_inserted,
    sum(runs.jobs_updated) as jobs_updated,
    sum(runs.jobs_rejected) as jobs_rejected,
    max({{ seconds_between('runs.started_at', 'runs.finished_at') }}) as longest_seconds
from {{ ref('stg_bifrost__sync_runs') }} as runs
inner join {{ ref('stg_bifrost__sources') }} as sources
    on sources.source_id = runs.source_id
group by cast(runs.started_at as date), sources.source, runs.kind
