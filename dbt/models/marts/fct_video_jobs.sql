with versions as (
    select * from {{ ref('stg_bifrost__video_job_versions') }}
),

first_versions as (
    select
        job_key,
        min(case when status = 'in_progress' then version end) as started_version,
        min(case when status in ('completed', 'failed') then version end) as ended_version
    from versions
    group by job_key
),

{# Our clock only says something about a change when the state before it was seen as well. #}
sights as (
    select
        first_versions.job_key,
        opening.valid_from as opened_seen_at,
        case when opening.status = 'queued' then starting.valid_from end as started_seen_at,
        case when opening.status not in ('completed', 'failed') then ending.valid_from end as ended_seen_at,
        case when opening.status not in ('completed', 'failed') then ending.status end as ended_status
    from first_versions
    inner join versions as opening
        on opening.job_key = first_versions.job_key and opening.version = 1
    left join versions as starting
        on starting.job_key = first_versions.job_key and starting.version = first_versions.started_version
    left join versions as ending
        on ending.job_key = first_versions.job_key and ending.version = first_versions.ended_version
)

select
    jobs.job_key,
    sources.source,
    jobs.source_id,
    jobs.job_id,
    jobs.provider,
    jobs.model,
    jobs.status,
    jobs.prompt,
    jobs.remixed_from_job_id,
    jobs.size,
    jobs.resolution,
    jobs.seconds,
    jobs.created_at,
    jobs.completed_at,
    jobs.expires_at,
    cast(jobs.created_at as date) as created_day,
    extract(hour from jobs.created_at) as created_hour,
    jobs.first_seen_at,
    sights.started_seen_at,
    sights.ended_seen_at,
    {{ seconds_between('sights.opened_seen_at', 'sights.started_seen_at') }} as queue_seconds,
    case when sights.ended_status = 'completed'
        then {{ seconds_between('sights.started_seen_at', 'sights.ended_seen_at') }}
    end as render_seconds,
    {{ seconds_between('jobs.created_at', 'jobs.completed_at') }} as total_seconds,
    jobs.settled as is_terminal,
    jobs.unlisted_at is not null as is_unlisted,
    jobs.version as versions,
    jobs.error_code,
    jobs.error_message,
    case when jobs.status = 'failed'
        then {{ failure_class('jobs.error_code', 'jobs.error_message') }}
    end as failure_class,
    prices.price,
    prices.currency,
    case when jobs.status = 'completed'
        then round(
            case when prices.unit = 'second' then cast(jobs.seconds as {{ dbt.type_numeric() }}) else 1 end
            * prices.price,
            6
        )
    end as cost,
    case
        when jobs.status = 'completed' and prices.price is null then 'unpriced'
        when jobs.status = 'completed' and prices.unit = 'second' and jobs.seconds is null then 'unknown'
        when jobs.status = 'completed' then 'billed'
        when jobs.settled then 'failed'
        when jobs.unlisted_at is not null then 'unknown'
        else 'open'
    end as cost_state
from {{ ref('stg_bifrost__video_jobs') }} as jobs
inner join {{ ref('stg_bifrost__sources') }} as sources
    on sources.source_id = jobs.source_id
left join sights
    on sights.job_key = jobs.job_key
left join {{ ref('stg_bifrost__job_prices') }} as prices
    on prices.model = jobs.model
    and prices.created_day = cast(jobs.created_at as date)
    and coalesce(prices.provider, '') = coalesce(jobs.provider, '')
    and coalesce(prices.resolution, '') = coalesce(jobs.resolution, '')
