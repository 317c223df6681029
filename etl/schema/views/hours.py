"""Jobs by the hour of their creation, from totals that know it. SQL for reports, in any time zone."""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from etl.schema.totals_tables import HOURS
from etl.schema.views.aggregates import days_counted, price_groups, totals_or_jobs
from etl.schema.views.columns import Scope
from etl.schema.views.dialects import Dialect
from etl.schema.views.pricing import job_cost

#: Beside the hours of a day: stands for the jobs of which no day is known.
_NO_HOUR = 24
_UNCOSTED = "CASE WHEN q.status = 'completed' AND q.cost IS NULL THEN 1 ELSE 0 END"


def count_by_hour(d: Dialect, scope: Scope, keys: Sequence[str] = ()) -> str:
    """Rows of hour, `keys` (source, provider, model, size, status), outcome, currency, jobs, and what those
    come to; from the totals, unless hours of the zone begin within those of UTC."""
    by_hour = replace(scope, day=scope.hour, kept=None if scope.hours is None else scope.kept)
    return totals_or_jobs(by_hour, partial(_hours_kept, d, scope, keys), partial(_hours_counted, d, keys))


def _named(keys: Sequence[str], t: str) -> str:
    return "".join(f"{t}.{key}, " for key in keys)


def _hours_counted(d: Dialect, keys: Sequence[str], scope: Scope) -> str:
    return f"""
  SELECT q.day AS hour, {_named(keys, "q")}q.outcome, q.currency, q.jobs, q.seconds * q.jobs AS seconds,
    {d.times("q.cost", "q.jobs")} AS cost, {_UNCOSTED} * q.jobs AS uncosted_jobs
  FROM ({_priced(d, days_counted(d, scope))}) q"""


def _hours_kept(d: Dialect, scope: Scope, keys: Sequence[str], where: str) -> str:
    """Cells are priced and added up by day, each hour by itself; what is left is cut into hours."""
    numbers = " UNION ALL ".join(f"SELECT {hour} AS hour" for hour in range(_NO_HOUR + 1))
    sums = ", ".join(f"{_pick_hour(what)} AS {what}" for what in ("jobs", "seconds", "cost"))
    moment = d.hour_of_day("x.day", "x.hour")
    return f"""
  SELECT {scope.hour("x.moment")} AS hour, {_named(keys, "x")}x.outcome, x.currency, x.jobs, x.seconds,
    x.cost, x.uncosted * x.jobs AS uncosted_jobs
  FROM (
    SELECT x.*, {moment} AS moment FROM (
      SELECT y.day, h.hour, {_named(keys, "y")}y.outcome, y.currency, y.uncosted, {sums}
      FROM ({_sum_days(d, keys, where)}) y CROSS JOIN ({numbers}) h
    ) x WHERE x.jobs <> 0
  ) x"""


def _sum_days(d: Dialect, keys: Sequence[str], where: str) -> str:
    cells = f"SELECT j.*, j.day AS utc_day FROM daily_totals j WHERE j.jobs <> 0 AND {where}"
    nowhere = "CASE WHEN q.day IS NULL THEN q.jobs ELSE 0 END"
    counts = [f"q.{name}" for name in HOURS] + [nowhere]
    sums = ", ".join(
        f"SUM({jobs}) AS jobs{hour}, SUM(q.seconds * NULLIF({jobs}, 0)) AS seconds{hour},"
        f" {d.sum_of_money('q.cost', f'NULLIF({jobs}, 0)')} AS cost{hour}"
        for hour, jobs in enumerate(counts)
    )
    by = f"q.day, {_named(keys, 'q')}q.outcome, q.currency"
    return f"""
        SELECT {by}, {_UNCOSTED} AS uncosted, {sums}
        FROM ({_priced(d, cells)}) q GROUP BY {by}, {_UNCOSTED}"""


def _pick_hour(what: str) -> str:
    return f"CASE h.hour {' '.join(f'WHEN {h} THEN y.{what}{h}' for h in range(_NO_HOUR + 1))} END"


def _priced(d: Dialect, groups: str) -> str:
    cost = f"CASE WHEN g.status = 'completed' THEN {job_cost(d, 'g')} END"
    return f"SELECT g.*, s.name AS source, {cost} AS cost, p.currency {price_groups(d, groups)}"
