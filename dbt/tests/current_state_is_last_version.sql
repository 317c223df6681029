-- Every job stands as its newest version says. A delivery commits table by table, so only what both tables are
-- known to have is compared.
{% set compared = ['provider', 'model', 'status', 'reported_status', 'progress', 'prompt', 'seconds', 'size', 'width',
                   'height', 'created_at', 'completed_at', 'expires_at', 'error_code', 'error_message', 'extra',
                   'version'] %}
with delivered as (
    select source_id, min(delivered_key) as change_seq
    from {{ source('bifrost', 'bifrost_etl_marks') }}
    where table_name in ('video_jobs', 'video_job_versions')
    group by source_id
),

newest as (
    select versions.*
    from {{ ref('stg_bifrost__video_job_versions') }} as versions
    inner join (
        select job_key, max(version) as version
        from {{ ref('stg_bifrost__video_job_versions') }}
        group by job_key
    ) as last_ones
        on last_ones.job_key = versions.job_key and last_ones.version = versions.version
    inner join delivered
        on delivered.source_id = versions.source_id and versions.change_seq <= delivered.change_seq
)

select newest.job_key
from newest
left join {{ ref('stg_bifrost__video_jobs') }} as jobs
    on jobs.job_key = newest.job_key
where jobs.job_key is null
{%- for name in compared %}
    or jobs.{{ name }} is distinct from newest.{{ name }}
{%- endfor %}
