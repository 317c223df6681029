{# An instant as a timestamp without zone, in UTC, so that days and hours are UTC whatever the session says. #}
{% macro utc(instant) %}{{ adapter.dispatch('utc', 'bifrost_etl')(instant) }}{% endmacro %}

{% macro default__utc(instant) %}cast({{ instant }} as {{ dbt.type_timestamp() }}){% endmacro %}

{% macro duckdb__utc(instant) %}({{ instant }} at time zone 'UTC'){% endmacro %}

{% macro postgres__utc(instant) %}({{ instant }} at time zone 'UTC'){% endmacro %}

{# Seconds from one instant to another, exact to the millisecond. #}
{% macro seconds_between(start, until) %}{{ adapter.dispatch('seconds_between', 'bifrost_etl')(start, until) }}{% endmacro %}

{% macro default__seconds_between(start, until) -%}
round(cast({{ dbt.datediff(start, until, 'microsecond') }} as {{ dbt.type_numeric() }}) / 1000000, 3)
{%- endmacro %}

{% macro duckdb__seconds_between(start, until) -%}
round(cast(date_diff('microsecond', {{ start }}, {{ until }}) as decimal(38, 6)) / 1000000, 3)
{%- endmacro %}

{% macro postgres__seconds_between(start, until) -%}
round(extract(epoch from ({{ until }} - {{ start }})), 3)
{%- endmacro %}

{# An instant plus a number of seconds. #}
{% macro later(instant, seconds) %}{{ adapter.dispatch('later', 'bifrost_etl')(instant, seconds) }}{% endmacro %}

{% macro default__later(instant, seconds) -%}
{{ dbt.dateadd('microsecond', 'cast(round(' ~ seconds ~ ' * 1000000) as ' ~ dbt.type_bigint() ~ ')', instant) }}
{%- endmacro %}

{% macro duckdb__later(instant, seconds) -%}
({{ instant }} + to_microseconds(cast(round({{ seconds }} * 1000000) as bigint)))
{%- endmacro %}

{% macro postgres__later(instant, seconds) -%}
({{ instant }} + {{ seconds }} * interval '1 second')
{%- endmacro %}

{# What clocks in the zone `reporting_timezone` showed at an instant that is in UTC without zone. #}
{% macro in_zone(instant) -%}
{% if var('reporting_timezone') == 'UTC' %}{{ instant }}
{%- else %}{{ adapter.dispatch('in_zone', 'bifrost_etl')(instant, var('reporting_timezone')) }}{% endif %}
{%- endmacro %}

{% macro default__in_zone(instant, zone) %}convert_timezone('UTC', '{{ zone }}', {{ instant }}){% endmacro %}

{% macro duckdb__in_zone(instant, zone) %}({{ instant }} at time zone 'UTC' at time zone '{{ zone }}'){% endmacro %}

{% macro postgres__in_zone(instant, zone) %}({{ instant }} at time zone 'UTC' at time zone '{{ zone }}'){% endmacro %}
