-- A job's versions count up by one. (They may begin later: the mirror may have been pruned before the first delivery.)
select job_key, version, previous
from (
    select
        job_key,
        version,
        lag(version) over (partition by job_key order by version) as previous
    from {{ ref('stg_bifrost__video_job_versions') }}
) as pairs
where previous is not null and version <> previous + 1
