{# Seconds from creation to completion, gateway's clock, by nearest rank. #}
with ranked as (
    select
        source,
        provider,
        model,
        total_seconds,
        count(*) over (partition by source, provider, model) as jobs,
        row_number() over (partition by source, provider, model order by total_seconds) as place
    from {{ ref('fct_video_jobs') }}
    where status = 'completed' and total_seconds >= 0
)

select
    source,
    provider,
    model,
    max(jobs) as jobs,
    min(total_seconds) as fastest
    {%- for share in [50, 90, 95, 99] %},
    min(case when place * 100 >= jobs * {{ share }} then total_seconds end) as p{{ share }}
    {%- endfor %},
    max(total_seconds) as slowest
from ranked
group by source, provider, model
