{# One row per job of a remix tree, its root included: by climbing from each remix to its parents. #}
with recursive climb as (
    select
        source_id,
        job_id,
        1 as depth,
        remixed_from_job_id as ancestor,
        remixed_from_job_id as smallest
    from {{ ref('fct_video_jobs') }}
    where remixed_from_job_id is not null and remixed_from_job_id <> job_id

    union all

    select
        climb.source_id,
        climb.job_id,
        climb.depth + 1,
        parents.remixed_from_job_id,
        case when parents.remixed_from_job_id < climb.smallest then parents.remixed_from_job_id else climb.smallest end
    from climb
    inner join {{ ref('fct_video_jobs') }} as parents
        on parents.source_id = climb.source_id and parents.job_id = climb.ancestor
    where parents.remixed_from_job_id is not null
        and parents.remixed_from_job_id <> parents.job_id
        and climb.ancestor <> climb.job_id
        and climb.depth < {{ var('deepest_remix') }}
),

ends as (
    select
        source_id,
        job_id,
        depth,
        ancestor,
        smallest,
        ancestor = job_id or depth = {{ var('deepest_remix') }} as is_cycle,
        row_number() over (partition by source_id, job_id order by depth desc) as place
    from climb
),

remixes as (
    select source_id, job_id, depth, is_cycle, case when is_cycle then smallest else ancestor end as root_job_id
    from ends
    where place = 1
),

members as (
    select source_id, root_job_id, job_id, depth, is_cycle from remixes
    union all
    select distinct remixes.source_id, remixes.root_job_id, jobs.job_id, 0, false
    from remixes
    inner join {{ ref('fct_video_jobs') }} as jobs
        on jobs.source_id = remixes.source_id and jobs.job_id = remixes.root_job_id
    where not remixes.is_cycle
)

select
    jobs.source,
    members.root_job_id,
    members.job_id,
    jobs.remixed_from_job_id,
    members.depth,
    members.is_cycle,
    jobs.provider,
    jobs.model,
    jobs.status,
    jobs.seconds,
    jobs.created_at,
    jobs.cost,
    jobs.currency
from members
inner join {{ ref('fct_video_jobs') }} as jobs
    on jobs.source_id = members.source_id and jobs.job_id = members.job_id
