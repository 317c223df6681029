"""The named reports: what each asks of the views' SQL, and in which order its rows come.

A report of jobs reads those created in a range, through the index on created_at; `open`, `expiring` and
`freshness` tell what is so now. Money is in the reporting currency, with what is in others beside it; `cost`
has a row for each.
"""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from etl.analytics.filters import JOB_COLUMNS, FilteredColumns
from etl.analytics.grouped import GROUPED
from etl.analytics.job_counts import (
    COUNTS,
    sum_by_hour,
    sum_by_minute,
    sum_by_span,
    sum_counts,
    sum_in_one_currency,
)
from etl.analytics.spend import BY, RECONCILE_COLUMNS, SPANS, key_columns, reconcile_cost, split_dimensions
from etl.errors import ConfigError
from etl.schema.views.aggregates import CACHE_DAILY, DAILY_JOBS, FAILURES, LATENCY
from etl.schema.views.columns import Column, Scope, View
from etl.schema.views.dialects import Dialect
from etl.schema.views.freshness import FRESHNESS
from etl.schema.views.job_facts import JOB_FACTS
from etl.schema.views.open_jobs import EXPIRING, OPEN_JOBS
from etl.schema.views.remixes import DUPLICATES, REMIX_TREES

#: Their rows are jobs, or nearly as many: only as many are read as are shown.
_LISTS = ("jobs", "slowest", "open", "expiring", "remixes", "duplicates", "freshness")


@dataclass(frozen=True, slots=True)
class Report:
    """What it is filtered by has no `time` when the report tells of now. `chart` is drawn as bars. `zoned`:
    the reporting time zone cuts its days."""

    name: str
    title: str
    columns: tuple[Column, ...]
    sql: Callable[[Dialect, Scope], str]
    order: str
    filtered: FilteredColumns = JOB_COLUMNS
    chart: str | None = None
    zoned: bool = True

    @property
    def whole(self) -> bool:
        """Its rows are sums, so there are few: all are read, and added up, however many are shown."""
        return self.name not in _LISTS


def _columns_of(view: View, *names: str) -> tuple[Column, ...]:
    known = {column.name: column for column in view.columns}
    return tuple(known[name] for name in names)


def _sum_by_class(d: Dialect, scope: Scope) -> str:
    keys = "class, error_code, error_message"
    return f"""
SELECT {keys}, {d.whole("SUM(jobs)")} AS jobs, SUM(wasted_seconds) AS wasted_seconds,
  {sum_in_one_currency(d, "would_be_cost")}, MAX(last_created_at) AS last_created_at
FROM (
  SELECT {keys}, currency, SUM(jobs) AS jobs, SUM(wasted_seconds) AS wasted_seconds,
    {d.sum_of_money("would_be_cost")} AS would_be_cost, MAX(last_created_at) AS last_created_at
  FROM ({FAILURES.sql(d, scope)}) q GROUP BY {keys}, currency
) r GROUP BY {keys}"""


def _sum_costs(d: Dialect, scope: Scope) -> str:
    return f"""
SELECT provider, model, currency, {d.whole("SUM(jobs)")} AS jobs, SUM(seconds) AS seconds,
  {d.sum_of_money("cost")} AS cost, {d.whole("SUM(uncosted_jobs)")} AS uncosted_jobs
FROM ({DAILY_JOBS.sql(d, scope)}) q WHERE status = 'completed' GROUP BY provider, model, currency"""


def _select_columns(view: View, columns: tuple[Column, ...]) -> Callable[[Dialect, Scope], str]:
    names = ", ".join(column.name for column in columns)
    return lambda d, scope: f"SELECT {names} FROM ({view.sql(d, scope)}) q"


_JOBS = _columns_of(
    JOB_FACTS, "source", "job_id", "provider", "model", "status", "size", "seconds", "created_at",
    "total_seconds", "cost", "currency", "cost_state", "error_code", "error_message", "is_unlisted",
)  # fmt: skip
_OPEN = _columns_of(
    OPEN_JOBS, "source", "job_id", "model", "size", "seconds", "status", "progress", "created_at",
    "age_seconds", "expected_seconds", "expected_at", "is_late", "is_stalled",
)  # fmt: skip
_SLOWEST = _columns_of(
    JOB_FACTS, "source", "job_id", "provider", "model", "size", "seconds", "created_at", "completed_at",
    "total_seconds",
)  # fmt: skip
_BY_MODEL = _columns_of(DAILY_JOBS, "provider", "model")


def _slowest_jobs(d: Dialect, scope: Scope) -> str:
    names = ", ".join(column.name for column in _SLOWEST)
    finished = "outcome = 'completed' AND total_seconds >= 0"
    return f"SELECT {names} FROM ({JOB_FACTS.sql(d, scope)}) q WHERE {finished}"


REPORTS = {
    report.name: report
    for report in (
        Report("totals", "Jobs", COUNTS, sum_counts(""), "", zoned=False),
        Report(
            "daily",
            "Jobs by day",
            (*_columns_of(DAILY_JOBS, "day"), *COUNTS),
            sum_counts("day"),
            "day",
            chart="jobs",
        ),
        Report(
            "usage",
            "Jobs by day and model",
            (*_columns_of(DAILY_JOBS, "day", "provider", "model"), *COUNTS),
            sum_counts("day, provider, model"),
            "day, provider, model",
        ),
        *(
            Report(
                name,
                f"Jobs by {span}",
                (Column(span, "day", f"First day of the {span} of creation, gateway's clock."), *COUNTS),
                partial(sum_by_span, span),
                span,
                chart="jobs",
            )
            for name, span in (("weekly", "week"), ("monthly", "month"))
        ),
        Report(
            "hourly",
            "Jobs by hour",
            (Column("hour", "instant", "Start of the hour of creation, gateway's clock."), *COUNTS),
            sum_by_hour,
            "hour",
            chart="jobs",
        ),
        Report(
            "minutely",
            "Jobs by minute",
            (Column("minute", "instant", "Start of the minute of creation, gateway's clock."), *COUNTS),
            sum_by_minute,
            "minute",
            chart="jobs",
            zoned=False,
        ),
        Report(
            "models",
            "Jobs by model",
            (*_BY_MODEL, *COUNTS),
            sum_counts("provider, model"),
            "jobs DESC, provider, model",
            chart="jobs",
            zoned=False,
        ),
        Report(
            "failures",
            "Failures by class and error",
            (
                *_columns_of(
                    FAILURES,
                    "class",
                    "error_code",
                    "error_message",
                    "jobs",
                    "wasted_seconds",
                    "would_be_cost",
                ),
                Column("other_costs", "amounts", "The same in each other currency; null when nothing."),
                *_columns_of(FAILURES, "last_created_at"),
            ),
            _sum_by_class,
            "jobs DESC, class, error_code, error_message",
            chart="jobs",
        ),
        Report(
            "latency",
            "Time from creation to completion",
            LATENCY.columns,
            LATENCY.sql,
            "jobs DESC, source, provider, model",
            chart="p50",
            zoned=False,
        ),
        Report(
            "cost",
            "Cost of completed jobs by model",
            (
                *_BY_MODEL,
                *_columns_of(DAILY_JOBS, "currency", "jobs", "seconds", "cost", "uncosted_jobs"),
            ),
            _sum_costs,
            "COALESCE(cost, 0) DESC, provider, model, currency",
            chart="cost",
            zoned=False,
        ),
        Report(
            "reconcile-cost",
            "Price book against settled costs",
            RECONCILE_COLUMNS,
            reconcile_cost,
            "ABS(difference) DESC, provider, model, resolution",
        ),
        Report(
            "cache",
            "Lookups in the gateway's cache by day",
            CACHE_DAILY.columns,
            CACHE_DAILY.sql,
            "day, source",
            FilteredColumns("j.looked_up_at", "j.requested_model", None, "j.requested_provider"),
            chart="hit_rate",
        ),
        Report(
            "open",
            "Open jobs",
            _OPEN,
            _select_columns(OPEN_JOBS, _OPEN),
            "created_at, source, job_id",
            FilteredColumns(time=None),
        ),
        Report(
            "expiring",
            "Files that expire next",
            EXPIRING.columns,
            EXPIRING.sql,
            "expires_at, source, job_id",
            FilteredColumns(time=None),
        ),
        Report(
            "remixes",
            "Families of remixes that grew",
            REMIX_TREES.columns,
            REMIX_TREES.sql,
            "jobs DESC, source, root_job_id",
        ),
        Report(
            "duplicates",
            "Requests made more than once",
            DUPLICATES.columns,
            DUPLICATES.sql,
            "COALESCE(avoidable_cost, 0) DESC, jobs DESC, model, prompt",
        ),
        Report(
            "freshness",
            "How fresh each source is",
            FRESHNESS.columns,
            FRESHNESS.sql,
            "source",
            FilteredColumns(None, None, None, None, "s.name IN :sources"),
        ),
        Report(
            "jobs",
            "Jobs, newest first",
            _JOBS,
            _select_columns(JOB_FACTS, _JOBS),
            "created_at DESC, source, job_id",
        ),
        Report(
            "slowest",
            "Jobs that took longest",
            _SLOWEST,
            _slowest_jobs,
            "total_seconds DESC, created_at, source, job_id",
        ),
    )
}


def report_by(name: str, by: str) -> Report:
    """A report of GROUPED by some of `BY`, which commas part. Raises ConfigError for anything else."""
    if name not in GROUPED:
        hint = f"--by goes with {', '.join(GROUPED)}"
        raise ConfigError(f"the report {name} cannot be grouped", hint=hint)
    grouped, names = GROUPED[name], split_dimensions(by)
    spans = [BY[n] for n in names if n in SPANS]
    others = [BY[n] for n in names if n not in SPANS]
    keys = ", ".join([*spans, *others])
    title = f"{grouped.title} by {' and '.join(n.replace('-', ' ') for n in names)}"
    order = (keys, *grouped.then) if spans else (*grouped.first, keys, *grouped.then)
    columns = (*key_columns(names), *grouped.columns)
    return Report(name, title, columns, grouped.sql(names), ", ".join(order), chart=grouped.chart)


REPORTS["spend"] = report_by("spend", "team")

#: What `report` shows without a name.
SUMMARY = ("totals", "models", "failures", "latency", "open", "freshness")
