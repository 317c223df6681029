{# Two keys of one account list the same jobs, and one source counts each: `twin_source_id` says which. Until it
   has been told, the source that saw a job first counts it. #}
select
    {{ dbt.concat([dbt.cast('source_id', dbt.type_string()), "':'", 'job_id']) }} as job_key,
    source_id,
    job_id,
    jobs.provider,
    model,
    status,
    reported_status,
    progress,
    prompt,
    remixed_from_job_id,
    seconds,
    size,
    width,
    height,
    {{ resolution('size', 'width', 'height') }} as resolution,
    {{ utc('jobs.created_at') }} as created_at,
    {{ utc('completed_at') }} as completed_at,
    {{ utc('expires_at') }} as expires_at,
    error_code,
    error_message,
    extra,
    settled,
    version,
    {{ utc('first_seen_at') }} as first_seen_at,
    {{ utc('last_changed_at') }} as last_changed_at,
    {{ utc('unlisted_at') }} as unlisted_at,
    unlisted_reason,
    {{ utc('started_seen_at') }} as started_seen_at,
    {{ utc('ended_seen_at') }} as ended_seen_at,
    first_seen_within,
    started_seen_within,
    ended_seen_within,
    twin_source_id,
    row_number() over (
        partition by gateways.base_url, coalesce(jobs.provider, ''), jobs.job_id
        order by case when jobs.twin_source_id is null then 0 else 1 end, jobs.first_seen_at, jobs.source_id
    ) = 1 as is_counted
from {{ source('bifrost', 'video_jobs') }} as jobs
inner join {{ source('bifrost', 'sources') }} as gateways
    on gateways.id = jobs.source_id
