select
    jobs.job_key,
    sources.source,
    jobs.source_id,
    jobs.job_id,
    jobs.provider,
    jobs.model,
    jobs.status,
    jobs.prompt,
    jobs.remixed_from_job_id,
    jobs.size,
    jobs.resolution,
    jobs.seconds,
    jobs.created_at,
    jobs.completed_at,
    jobs.expires_at,
    cast(jobs.created_at as date) as created_day,
    extract(hour from jobs.created_at) as created_hour,
    {% set local = in_zone('jobs.created_at') -%}
    cast({{ local }} as date) as local_day,
    cast({{ dbt.date_trunc('week', local) }} as date) as local_week,
    cast({{ dbt.date_trunc('month', local) }} as date) as local_month,
    jobs.first_seen_at,
    jobs.started_seen_at,
    jobs.ended_seen_at,
    {{ seconds_between('jobs.first_seen_at', 'jobs.started_seen_at') }} as queue_seconds,
    jobs.first_seen_within + jobs.started_seen_within as queue_error_seconds,
    case when jobs.status = 'completed'
        then {{ seconds_between('jobs.started_seen_at', 'jobs.ended_seen_at') }}
    end as render_seconds,
    case when jobs.status = 'completed'
        then jobs.started_seen_within + jobs.ended_seen_within
    end as render_error_seconds,
    {{ seconds_between('jobs.created_at', 'jobs.completed_at') }} as total_seconds,
    {{ outcome('jobs') }} as outcome,
    jobs.settled as is_terminal,
    jobs.unlisted_at is not null as is_unlisted,
    jobs.version as versions,
    jobs.error_code,
    jobs.error_message,
    case
        when jobs.status = 'failed' and (details.filtered_outputs > 0 or details.filter_reasons is not null)
            then 'moderation'
        when jobs.status = 'failed' then {{ failure_class('jobs.error_code', 'jobs.error_message') }}
    end as failure_class,
    details.reported_cost,
    details.outputs,
    details.variants,
    details.filtered_outputs,
    details.filter_reasons,
    prices.price,
    prices.unit as price_unit,
    prices.currency,
    case when jobs.status = 'completed'
        then {{ cost('jobs.seconds', 'prices.price', 'prices.unit') }}
    end as cost,
    case
        when jobs.status = 'completed' and prices.price is null then 'unpriced'
        when jobs.status = 'completed' and prices.unit = 'second' and jobs.seconds is null then 'unknown'
        when jobs.status = 'completed' then 'billed'
        when jobs.settled then 'failed'
        when jobs.unlisted_at is not null then 'unknown'
        else 'open'
    end as cost_state,
    {% for name, of in {'virtual_key': 'virtual_key', 'team': 'team', 'customer': 'customer',
                        'user_name': 'user', 'business_unit': 'business_unit'}.items() -%}
    coalesce(made.{{ of }}_name, made.{{ of }}_id, ended.{{ of }}_name, ended.{{ of }}_id,
        polled.{{ of }}_name, polled.{{ of }}_id) as {{ name }},
    {% endfor -%}
    coalesce(made.key_name, ended.key_name, polled.key_name) as key_name,
    case
        when made.request_id is not null then 'made'
        when ended.request_id is not null then 'settled'
        when polled.request_id is not null then 'polled'
    end as owner_source,
    case
        when ended.cost is not null then ended.cost
        when jobs.status = 'completed' then made.cost
    end as settled_cost,
    case
        when ended.cost is not null then 'settled'
        when jobs.status = 'completed' and made.cost is not null then 'at creation'
    end as settled_cost_source
from {{ ref('stg_bifrost__video_jobs') }} as jobs
inner join {{ ref('stg_bifrost__sources') }} as sources
    on sources.source_id = jobs.source_id
left join {{ ref('stg_bifrost__job_prices') }} as prices
    on prices.model = jobs.model
    and prices.created_day = cast(jobs.created_at as date)
    and coalesce(prices.provider, '') = coalesce(jobs.provider, '')
    and coalesce(prices.resolution, '') = coalesce(jobs.resolution, '')
{# Whose reading of the gateway's log tells of a source's jobs, where it reads none itself. #}
left join (
    select own.source_id, min(other.source_id) as reader_id
    from {{ ref('stg_bifrost__sources') }} as own
    inner join {{ ref('stg_bifrost__sources') }} as other
        on other.base_url = own.base_url
        and coalesce(other.provider, own.provider, '') = coalesce(own.provider, other.provider, '')
        and coalesce(other.key_name, own.key_name, '') = coalesce(own.key_name, other.key_name, '')
    where other.source_id in (select source_id from {{ ref('stg_bifrost__job_requests') }})
        and own.source_id not in (select source_id from {{ ref('stg_bifrost__job_requests') }} where source_id is not null)
    group by own.source_id
) as readers
    on readers.source_id = jobs.source_id
left join {{ ref('stg_bifrost__job_details') }} as details
    on details.source_id = jobs.source_id and details.job_id = jobs.job_id
{% for alias, role in [('made', 'made'), ('ended', 'settled'), ('polled', 'polled')] -%}
left join {{ ref('stg_bifrost__job_requests') }} as {{ alias }}
    on {{ alias }}.source_id = coalesce(readers.reader_id, jobs.source_id)
    and {{ alias }}.job_id = jobs.job_id
    and {{ alias }}.role = '{{ role }}'
{% endfor -%}
where jobs.is_counted
