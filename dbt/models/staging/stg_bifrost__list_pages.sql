select
    id as page_id,
    source_id,
    run_id,
    {{ utc('received_at') }} as received_at,
    items,
    http_status,
    attempts,
    duration_ms,
    bytes,
    accepted,
    provider,
    latency_ms
from {{ source('bifrost', 'list_pages') }}
