{# The days that metrics are laid out on. #}
select cast(date_day as date) as date_day
from ({{ dbt.date_spine('day', "cast('" ~ var('first_day') ~ "' as date)", "cast('" ~ var('last_day') ~ "' as date)") }}) as days
