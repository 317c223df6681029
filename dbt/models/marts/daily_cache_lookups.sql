select
    cast(lookups.looked_up_at as date) as day,
    sources.source,
    count(*) as lookups,
    sum(case when lookups.cache_hit then 1 else 0 end) as hits,
    sum(case when lookups.cache_hit and lookups.hit_type = 'direct' then 1 else 0 end) as direct_hits,
    sum(case when lookups.cache_hit and lookups.hit_type = 'semantic' then 1 else 0 end) as semantic_hits,
    sum(lookups.input_tokens) as input_tokens
from {{ ref('stg_bifrost__cache_lookups') }} as lookups
inner join {{ ref('stg_bifrost__sources') }} as sources
    on sources.source_id = lookups.source_id
group by cast(lookups.looked_up_at as date), sources.source
