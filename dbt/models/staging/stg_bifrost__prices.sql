select
    id as price_id,
    provider,
    model_pattern,
    resolution,
    unit,
    price,
    currency,
    cast({{ utc('valid_from') }} as date) as valid_from_day,
    origin
from {{ source('bifrost', 'prices') }}
