{# Files that can still be downloaded, and until when. A view: as of the moment of asking. #}
{{ config(materialized='view') }}

select
    source,
    job_id,
    provider,
    model,
    size,
    seconds,
    prompt,
    completed_at,
    expires_at,
    {{ seconds_between(utc('current_timestamp'), 'expires_at') }} as seconds_left,
    cost,
    currency
from {{ ref('fct_video_jobs') }}
where status = 'completed' and not is_unlisted and expires_at > {{ utc('current_timestamp') }}
