{# Jobs that may still change, with an expected finish: the median of comparable jobs among the newest ones. A view:
   ages are as of the moment of asking. #}
{{ config(materialized='view') }}

{% set median = 'min(case when place * 2 >= jobs then total_seconds end)' %}
with newest as (
    select model, size, seconds, status, created_at, completed_at
    from {{ ref('stg_bifrost__video_jobs') }}
    where created_at is not null
    order by created_at desc
    limit {{ var('compared_jobs') }}
),

recent as (
    select model, size, seconds, {{ seconds_between('created_at', 'completed_at') }} as total_seconds
    from newest
    where status = 'completed' and completed_at >= created_at
),

ranked as (
    select
        model,
        size,
        seconds,
        total_seconds,
        count(*) over (partition by model, size, seconds) as jobs,
        row_number() over (partition by model, size, seconds order by total_seconds) as place
    from recent
),

ranked_by_model as (
    select
        model,
        total_seconds,
        count(*) over (partition by model) as jobs,
        row_number() over (partition by model order by total_seconds) as place
    from recent
),

alike as (
    select model, size, seconds, max(jobs) as jobs, {{ median }} as median
    from ranked
    group by model, size, seconds
),

same_model as (
    select model, max(jobs) as jobs, {{ median }} as median
    from ranked_by_model
    group by model
),

expected as (
    select
        open_ones.source,
        open_ones.job_id,
        open_ones.provider,
        open_ones.model,
        open_ones.size,
        open_ones.seconds,
        open_ones.status,
        open_ones.prompt,
        open_ones.created_at,
        open_ones.first_seen_at,
        {{ seconds_between('open_ones.created_at', utc('current_timestamp')) }} as age_seconds,
        coalesce(alike.median, same_model.median) as expected_seconds,
        case
            when alike.median is not null then 'same model, size and length'
            when same_model.median is not null then 'same model'
        end as compared_with,
        coalesce(alike.jobs, same_model.jobs) as compared_jobs
    from {{ ref('fct_video_jobs') }} as open_ones
    left join alike
        on alike.model = open_ones.model
        and alike.size = open_ones.size
        and alike.seconds = open_ones.seconds
    left join same_model on same_model.model = open_ones.model
    where open_ones.outcome = 'open'
)

select
    source,
    job_id,
    provider,
    model,
    size,
    seconds,
    status,
    prompt,
    created_at,
    first_seen_at,
    age_seconds,
    expected_seconds,
    compared_with,
    compared_jobs,
    {{ later('created_at', 'expected_seconds') }} as expected_at,
    age_seconds > {{ var('late_seconds') }} as is_late,
    age_seconds > {{ var('stalled_seconds') }} as is_stalled
from expected
