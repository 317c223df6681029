{# The resolution band: the shorter side, or the name that stands instead of a size. #}
{% macro resolution(size, width, height) -%}
case
    when {{ width }} is null or {{ height }} is null then
        case
            when lower({{ size }}) in ('4k', '2160p', 'uhd') then '4k'
            when lower({{ size }}) in ('480p', '720p', '1024p', '1080p') then lower({{ size }})
        end
    when {{ width }} < {{ height }} and {{ width }} = 2160 then '4k'
    when {{ width }} >= {{ height }} and {{ height }} = 2160 then '4k'
    when {{ width }} < {{ height }} then {{ dbt.concat([dbt.cast(width, dbt.type_string()), "'p'"]) }}
    else {{ dbt.concat([dbt.cast(height, dbt.type_string()), "'p'"]) }}
end
{%- endmacro %}

{# What became of a job: the delivered `settled` decides, not a list of statuses. #}
{% macro outcome(job) -%}
case
    when {{ job }}.status in ('completed', 'failed') then {{ job }}.status
    when {{ job }}.settled then 'stopped'
    when {{ job }}.unlisted_at is not null then 'vanished'
    else 'open'
end
{%- endmacro %}

{# What something of so many seconds costs at a price. #}
{% macro cost(seconds, price, unit) -%}
case
    when {{ unit }} = 'second' then round(cast({{ seconds }} as {{ dbt.type_numeric() }}) * {{ price }}, 6)
    else {{ price }}
end
{%- endmacro %}

{# A failure's class, the same for all providers: the first whose words occur in the code or the message. #}
{% macro failure_class(code, message) -%}
{%- set classes = {
    'moderation': ['moderat', 'safety', 'policy', 'content_filter', 'blocked_content', 'flagged', 'sexual'],
    'quota': ['quota', 'rate_limit', 'rate limit', 'budget', 'billing', 'insufficient', 'too many requests'],
    'timeout': ['timeout', 'timed out', 'timed_out', 'deadline', 'expired'],
    'invalid_input': ['invalid', 'unsupported', 'bad_request', 'bad request', 'validation', 'not allowed',
                      'input_image'],
    'provider_fault': ['internal', 'server_error', 'server error', 'unavailable', 'overload', 'upstream',
                       'generation_failed', 'processing_error', 'video_generation'],
} -%}
case
{%- for name, words in classes.items() %}
    when {% for word in words %}
        {%- for text in [code, message] -%}
        {{ dbt.position("'" ~ word ~ "'", "lower(coalesce(" ~ text ~ ", ''))") }} > 0
        {%- if not loop.last %} or {% endif %}{% endfor %}
        {%- if not loop.last %} or {% endif %}{% endfor %} then '{{ name }}'
{%- endfor %}
    else 'unknown'
end
{%- endmacro %}

{# An amount with its currency, as text: EUR 4.2. #}
{% macro amount(currency, amount) -%}
{%- set digits = dbt.cast('cast(' ~ amount ~ ' as decimal(38, 6))', dbt.type_string()) -%}
{{ dbt.concat([currency, "' '", "rtrim(rtrim(" ~ digits ~ ", '0'), '.')"]) }}
{%- endmacro %}
