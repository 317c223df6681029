"""The reports that can be added up by any dimension of `--by`: from totals where those know the dimensions,
else over job_facts, job by job."""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from etl.analytics.job_counts import COUNTS, sum_in_one_currency, sum_outcomes
from etl.analytics.spend import (
    BY,
    OWNERS,
    SPEND_COLUMNS,
    keys_of_days,
    keys_of_jobs,
    keys_of_video_jobs,
    known_to_hours,
    known_to_totals,
    spend_report,
)
from etl.schema.views.aggregates import DAILY_JOBS, LATENCY, count_durations
from etl.schema.views.columns import Column, Scope
from etl.schema.views.dialects import Dialect, nearest_rank
from etl.schema.views.hours import count_by_hour
from etl.schema.views.job_facts import COUNTED, JOB_FACTS, failure_class

Sql = Callable[[Dialect, Scope], str]


@dataclass(frozen=True, slots=True)
class Grouped:
    """A report by dimensions: the columns behind those, SQL for some of them, and which rows come `first`
    where time does not order them; `then` orders rows that have the same."""

    title: str
    columns: tuple[Column, ...]
    sql: Callable[[tuple[str, ...]], Sql]
    first: tuple[str, ...]
    chart: str
    then: tuple[str, ...] = ()


_COST_COLUMNS = (
    Column("currency", "text", "Currency of the money; null when nothing is priced."),
    Column("jobs", "integer", "Completed jobs."),
    Column("seconds", "seconds", "Length of their clips."),
    Column("cost", "money", "What they cost by the price book."),
    Column("uncosted_jobs", "integer", "Of these without a price or a length: not in cost."),
)
_FAILURE_COLUMNS = (
    Column("class", "text", "moderation, quota, invalid_input, provider_fault, timeout or unknown."),
    Column("jobs", "integer", "Failed jobs."),
    Column("wasted_seconds", "seconds", "Length of the clips asked for and not delivered."),
    Column("would_be_cost", "money", "What they would have cost, in the reporting currency."),
    Column("other_costs", "amounts", "The same in each other currency; null when nothing."),
    Column("last_created_at", "instant", "Creation of the newest of them, gateway's clock."),
)


def _facts(d: Dialect, scope: Scope, names: tuple[str, ...], more: str, where: str) -> str:
    keys = keys_of_jobs(d, scope, names)
    return f"SELECT {keys}, {more} FROM ({JOB_FACTS.sql(d, scope)}) f WHERE {where}"


#: What totals of durations tell apart.
_MAKERS = {"source", "provider", "model"}
_PRICED = (
    "outcome, currency, 1 AS jobs, seconds, cost,"
    " CASE WHEN outcome = 'completed' AND cost IS NULL THEN 1 ELSE 0 END AS uncosted_jobs"
)


def _priced_rows(d: Dialect, scope: Scope, names: tuple[str, ...], where: str) -> str:
    """Jobs with what they cost: a row for each, or for those of a day or an hour that are alike."""
    counts = "outcome, currency, jobs, seconds, cost, uncosted_jobs"
    if known_to_hours(scope, names):
        hours = count_by_hour(d, scope, [BY[name] for name in names if name not in {"hour", *OWNERS}])
        return f"SELECT {keys_of_days(d, names)}, {counts} FROM ({hours}) f WHERE {where}"
    if not known_to_totals(scope, names):
        return _facts(d, scope, names, _PRICED, where)
    keys = keys_of_days(d, names)
    return f"SELECT {keys}, {counts} FROM ({DAILY_JOBS.sql(d, scope)}) f WHERE {where}"


def _count_jobs(names: tuple[str, ...]) -> Sql:
    keys = _keys_of(names)
    return lambda d, scope: sum_outcomes(d, keys, _priced_rows(d, scope, names, "1 = 1"))


def _sum_costs(names: tuple[str, ...]) -> Sql:
    keys = _keys_of(names)
    return lambda d, scope: (
        f"""
SELECT {keys}, currency, {d.whole("SUM(jobs)")} AS jobs, SUM(seconds) AS seconds,
  {d.sum_of_money("cost")} AS cost, {d.whole("SUM(uncosted_jobs)")} AS uncosted_jobs
FROM ({_priced_rows(d, scope, names, "outcome = 'completed'")}) q GROUP BY {keys}, currency"""
    )


def _count_failures(names: tuple[str, ...]) -> Sql:
    keys = f"{_keys_of(names)}, class"
    filtered = "(COALESCE(filtered_outputs, 0) > 0 OR filter_reasons IS NOT NULL)"

    def sql(d: Dialect, scope: Scope) -> str:
        failed = scope.only("j.status = 'failed'")  # of these there is an index
        cost = f"CASE price_unit WHEN 'second' THEN {d.cost('f.seconds', 'f.price')} ELSE f.price END"
        kind = f"CASE WHEN {filtered} THEN 'moderation' ELSE {failure_class('f')} END AS class"
        more = f"{kind}, currency, 1 AS jobs, seconds AS wasted_seconds, {cost} AS would_be_cost, created_at"
        return f"""
SELECT {keys}, {d.whole("SUM(jobs)")} AS jobs, SUM(wasted_seconds) AS wasted_seconds,
  {sum_in_one_currency(d, "would_be_cost")}, MAX(last_created_at) AS last_created_at
FROM (
  SELECT {keys}, currency, SUM(jobs) AS jobs, SUM(wasted_seconds) AS wasted_seconds,
    {d.sum_of_money("would_be_cost")} AS would_be_cost, MAX(created_at) AS last_created_at
  FROM ({_facts(d, failed, names, more, "1 = 1")}) q GROUP BY {keys}, currency
) r GROUP BY {keys}"""

    return sql


def _rank_durations(names: tuple[str, ...]) -> Sql:
    """Percentiles by nearest rank. Lengths of time are few: equal ones are counted first."""
    keys = _keys_of(names)
    ranks = ", ".join(f"{nearest_rank(n, 'total')} AS p{n}" for n in (50, 90, 95, 99))
    return lambda d, scope: (
        f"""
SELECT {keys}, {d.whole("MAX(n)")} AS jobs, MIN(total) AS fastest, {ranks}, MAX(total) AS slowest
FROM (
  SELECT u.*, SUM(jobs) OVER (PARTITION BY {keys}) AS n,
    SUM(jobs) OVER (PARTITION BY {keys} ORDER BY total) AS until
  FROM (
    SELECT {keys}, total, SUM(jobs) AS jobs
    FROM ({_durations(d, scope, names)}) q GROUP BY {keys}, total
  ) u
) t GROUP BY {keys}"""
    )


def _durations(d: Dialect, scope: Scope, names: tuple[str, ...]) -> str:
    """Lengths of time with the number of jobs that took so long."""
    if known_to_totals(scope, names) and not set(names) - _MAKERS - OWNERS:
        rows = f"""SELECT u.*, s.name AS source FROM ({count_durations(d, scope)}) u
      JOIN sources s ON s.id = u.source_id"""
        return f"SELECT {keys_of_days(d, names)}, total, jobs FROM ({rows}) f"
    if scope.unowned or not OWNERS & set(names):
        took = f"{d.seconds('j.created_at', 'j.completed_at')} AS total, 1 AS jobs"
        known = "j.status = 'completed' AND j.completed_at >= j.created_at"
        keys = keys_of_video_jobs(d, scope, names)
        return f"SELECT {keys}, {took} FROM video_jobs j WHERE {known} AND {COUNTED} AND {scope.where}"
    known = "outcome = 'completed' AND total_seconds >= 0"
    return _facts(d, scope, names, "total_seconds AS total, 1 AS jobs", known)


def _keys_of(names: tuple[str, ...]) -> str:
    return ", ".join(BY[name] for name in names)


GROUPED = {
    "totals": Grouped("Jobs", COUNTS, _count_jobs, ("jobs DESC",), "jobs"),
    "cost": Grouped(
        "Cost of completed jobs",
        _COST_COLUMNS,
        _sum_costs,
        ("COALESCE(cost, 0) DESC",),
        "cost",
        ("currency",),
    ),
    "failures": Grouped("Failures", _FAILURE_COLUMNS, _count_failures, ("jobs DESC",), "jobs", ("class",)),
    "latency": Grouped(
        "Seconds from creation to completion", LATENCY.columns[3:], _rank_durations, ("jobs DESC",), "p50"
    ),
    "spend": Grouped("Spend", SPEND_COLUMNS, spend_report, ("COALESCE(cost, 0) DESC", "jobs DESC"), "cost"),
}
