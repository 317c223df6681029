select
    id as source_id,
    name as source,
    base_url,
    provider,
    key_name,
    {{ utc('created_at') }} as created_at
from {{ source('bifrost', 'sources') }}
