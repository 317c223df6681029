{# Only jobs that changed since are written again: a new version ends the one before it. #}
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='job_key') }}

select
    versions.change_seq,
    versions.job_key,
    sources.source,
    versions.source_id,
    versions.job_id,
    versions.version,
    versions.op,
    versions.valid_from,
    lead(versions.valid_from) over (partition by versions.job_key order by versions.version) as valid_to,
    lead(versions.version) over (partition by versions.job_key order by versions.version) is null as is_current,
    versions.run_id,
    versions.changed_fields,
    versions.provider,
    versions.model,
    versions.status,
    versions.progress,
    versions.seconds,
    versions.size,
    versions.created_at,
    versions.completed_at,
    versions.expires_at,
    versions.error_code,
    versions.error_message,
    versions.unlisted_reason
from {{ ref('stg_bifrost__video_job_versions') }} as versions
inner join {{ ref('stg_bifrost__sources') }} as sources
    on sources.source_id = versions.source_id
{% if is_incremental() %}
where versions.job_key in (
    select newer.job_key
    from {{ ref('stg_bifrost__video_job_versions') }} as newer
    left join (
        select source_id, max(change_seq) as change_seq from {{ this }} group by source_id
    ) as reached
        on reached.source_id = newer.source_id
    where newer.change_seq > coalesce(reached.change_seq, 0)
)
{% endif %}
