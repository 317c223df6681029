"""Jobs counted by outcome: the columns of every report that counts jobs, and SQL that adds `daily_jobs` up by
days, weeks, months, hours or models."""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)
from collections.abc import Callable
from dataclasses import replace

from etl.schema.views.aggregates import DAILY_JOBS
from etl.schema.views.columns import Column, Scope
from etl.schema.views.dialects import Dialect
from etl.schema.views.hours import count_by_hour

FAILURE_RATE = Column("failure_rate", "ratio", "failed / (completed + failed).")
COUNTS = (
    Column("jobs", "integer", "Jobs created."),
    Column("completed", "integer", "Of these completed."),
    Column("failed", "integer", "Of these failed."),
    Column("stopped", "integer", "Of these cancelled, expired, rejected or otherwise ended."),
    Column("unfinished", "integer", "Of these listed, and not at an end yet."),
    Column("vanished", "integer", "Of these no longer listed before an end was seen."),
    FAILURE_RATE,
    Column("seconds", "seconds", "Length of the completed clips."),
    Column("cost", "money", "What they cost, in the reporting currency; null when nothing is priced in it."),
    Column("other_costs", "amounts", "What they cost besides, in each other currency; null when nothing."),
    Column("uncosted_jobs", "integer", "Completed jobs without a price or a length: not in cost."),
)


#: Columns that add up to the jobs, each with its outcome.
_PARTS = {
    "completed": "completed",
    "failed": "failed",
    "stopped": "stopped",
    "unfinished": "open",
    "vanished": "vanished",
}


def failure_rate(d: Dialect) -> str:
    """Over rows that count jobs `completed` and `failed`; null where none ended."""
    return d.share("SUM(failed)", "SUM(completed) + SUM(failed)")


def sum_in_one_currency(d: Dialect, cost: str) -> str:
    """Sums in the reporting currency, and beside them those in others: never added, never left out."""
    ours = d.sum_of_money(f"CASE WHEN currency = :currency THEN {cost} END")
    others = d.amounts("currency", f"CASE WHEN currency <> :currency THEN {cost} END")
    return f"{ours} AS {cost}, {others} AS other_costs"


def _sum_jobs(d: Dialect, jobs: str) -> str:
    """The sum of numbers of jobs: of none it is nought, where SQL would say that it is not known."""
    return d.whole(f"COALESCE(SUM({jobs}), 0)")


def sum_counts(keys: str, made: str = "") -> Callable[[Dialect, Scope], str]:
    """`daily_jobs`, added up by `keys`, of which one is `made` of its columns."""
    source = f"SELECT d.*, {made} FROM ({{days}}) d" if made else "{days}"
    return lambda d, scope: sum_outcomes(d, keys, source.format(days=DAILY_JOBS.sql(d, scope)))


def sum_outcomes(d: Dialect, keys: str, rows: str) -> str:
    """COUNTS by `keys` of `rows`: they have those, jobs, outcome, seconds, cost, currency, uncosted_jobs."""

    def ended(outcome: str) -> str:
        return f"SUM(CASE WHEN outcome = '{outcome}' THEN jobs ELSE 0 END)"

    counts = ", ".join(f"{ended(outcome)} AS {name}" for name, outcome in _PARTS.items())
    sums = ", ".join(f"{_sum_jobs(d, name)} AS {name}" for name in ("jobs", *_PARTS))
    by = f"{keys}, " if keys else ""
    return f"""
SELECT {by}{sums}, {failure_rate(d)} AS failure_rate, SUM(seconds) AS seconds,
  {sum_in_one_currency(d, "cost")}, {_sum_jobs(d, "uncosted_jobs")} AS uncosted_jobs
FROM (
  SELECT {by}currency, SUM(jobs) AS jobs, {counts},
    SUM(CASE WHEN outcome = 'completed' THEN seconds END) AS seconds, {d.sum_of_money("cost")} AS cost,
    SUM(uncosted_jobs) AS uncosted_jobs
  FROM ({rows}) q GROUP BY {by}currency
) r{f" GROUP BY {keys}" if keys else ""}"""


def sum_by_span(span: str, d: Dialect, scope: Scope) -> str:
    """By weeks, which begin on Mondays, or months, of the reporting time zone's days."""
    first = {"week": d.week, "month": d.month}[span]
    return sum_counts(span, f"{first('day')} AS {span}")(d, scope)


def sum_by_hour(d: Dialect, scope: Scope) -> str:
    return sum_outcomes(d, "hour", count_by_hour(d, scope))


def sum_by_minute(d: Dialect, scope: Scope) -> str:
    counts = ", ".join(column.name for column in COUNTS)
    by_minute = replace(scope, day=d.minutes, kept=None)
    return f"SELECT day AS minute, {counts} FROM ({sum_counts('day')(d, by_minute)}) q"
