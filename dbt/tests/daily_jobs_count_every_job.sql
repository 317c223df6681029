select facts.jobs as in_facts, daily.jobs as in_days
from (select count(*) as jobs, sum(cost) as cost from {{ ref('fct_video_jobs') }}) as facts
cross join (select coalesce(sum(jobs), 0) as jobs, sum(cost) as cost from {{ ref('daily_video_jobs') }}) as daily
where facts.jobs <> daily.jobs or facts.cost is distinct from daily.cost
