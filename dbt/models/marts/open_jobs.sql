{# Jobs that may still change. A view: ages are as of the moment of asking. #}
{{ config(materialized='view') }}

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
    {{ seconds_between('created_at', utc('current_timestamp')) }} as age_seconds,
    {{ seconds_between('created_at', utc('current_timestamp')) }} > {{ var('late_seconds') }} as is_late,
    {{ seconds_between('created_at', utc('current_timestamp')) }} > {{ var('stalled_seconds') }} as is_stalled
from {{ ref('fct_video_jobs') }}
where outcome = 'open'
