select jobs.job_key
from {{ ref('stg_bifrost__video_jobs') }} as jobs
left join {{ ref('fct_video_jobs') }} as facts
    on facts.job_key = jobs.job_key
where facts.job_key is null and jobs.is_counted
