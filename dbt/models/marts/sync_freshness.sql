{# Each source: its last finished run, and what is known to be missing. A view: as of the moment of asking. #}
{{ config(materialized='view') }}

with runs as (
    select
        *,
        row_number() over (partition by source_id order by run_id desc) as place,
        max(case when status = 'ok' then run_id end) over (partition by source_id) as last_ok_run_id
    from {{ ref('stg_bifrost__sync_runs') }}
),

standing as (
    select
        source_id,
        max(case when run_id = last_ok_run_id then finished_at end) as last_ok_at,
        sum(case when status = 'failed' and run_id > coalesce(last_ok_run_id, 0) then 1 else 0 end) as failures
    from runs
    group by source_id
),

jobs as (
    select
        source_id,
        max(created_at) as newest_job_at,
        sum(case when not settled and unlisted_at is null then 1 else 0 end) as open_jobs
    from {{ ref('stg_bifrost__video_jobs') }}
    group by source_id
),

rejects as (
    select source_id, count(*) as rejects from {{ ref('stg_bifrost__rejected_items') }} group by source_id
),

gaps as (
    select source_id, count(*) as gaps from {{ ref('stg_bifrost__coverage_gaps') }} group by source_id
)

select
    sources.source,
    sources.base_url,
    sources.provider,
    standing.last_ok_at,
    {{ seconds_between('standing.last_ok_at', utc('current_timestamp')) }} as age_seconds,
    jobs.newest_job_at,
    runs.run_id as last_run_id,
    runs.kind as last_run_kind,
    runs.status as last_run_status,
    runs.started_at as last_run_started_at,
    runs.finished_at as last_run_finished_at,
    runs.error_class as last_error,
    coalesce(standing.failures, 0) as failures,
    coalesce(jobs.open_jobs, 0) as open_jobs,
    coalesce(rejects.rejects, 0) as rejects,
    coalesce(gaps.gaps, 0) as gaps
from {{ ref('stg_bifrost__sources') }} as sources
left join runs on runs.source_id = sources.source_id and runs.place = 1
left join standing on standing.source_id = sources.source_id
left join jobs on jobs.source_id = sources.source_id
left join rejects on rejects.source_id = sources.source_id
left join gaps on gaps.source_id = sources.source_id
