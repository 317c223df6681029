{# The price in force for every provider, model, resolution and UTC day that jobs were created on. Imported
   before configured before published; then the more exact model, provider and resolution; then the newest. #}
with wanted as (
    select distinct provider, model, resolution, cast(created_at as date) as created_day
    from {{ ref('stg_bifrost__video_jobs') }}
),

ranked as (
    select
        wanted.provider,
        wanted.model,
        wanted.resolution,
        wanted.created_day,
        prices.price,
        prices.unit,
        prices.currency,
        row_number() over (
            partition by wanted.provider, wanted.model, wanted.resolution, wanted.created_day
            order by
                case prices.origin when 'import' then 0 when 'config' then 1 else 2 end,
                case when {{ dbt.position("'*'", 'prices.model_pattern') }} > 0 then 1 else 0 end,
                length(replace(prices.model_pattern, '*', '')) desc,
                case prices.provider when '*' then 1 else 0 end,
                case prices.resolution when '*' then 1 else 0 end,
                prices.valid_from_day desc,
                prices.price_id desc
        ) as place
    from wanted
    inner join {{ ref('stg_bifrost__prices') }} as prices
        on prices.valid_from_day <= wanted.created_day
        and (prices.provider = '*' or prices.provider = wanted.provider)
        and wanted.model like replace(
            replace(replace(replace(prices.model_pattern, '!', '!!'), '%', '!%'), '_', '!_'), '*', '%'
        ) escape '!'
        and (prices.resolution = '*' or prices.resolution = wanted.resolution)
)

select provider, model, resolution, created_day, price, unit, currency
from ranked
where place = 1
