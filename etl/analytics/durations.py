"""How long jobs took, hour by hour or day by day: percentiles for a chart, by nearest rank.

`total` is creation to completion, the gateway's clock. `queue` and `render` are what we saw happen, our
clock: a job first seen queued, then in progress, then at its end; as exact as ticks are close together.
"""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from etl.analytics.filters import Filter, bind_values
from etl.analytics.jobs import Choice, conditions_of, seconds_taken
from etl.analytics.queries import Table, as_table, days_of, hours_of, run_report
from etl.db.engine import storage_errors
from etl.schema.views.columns import Column
from etl.schema.views.dialects import Dialect, make_dialect, nearest_rank
from etl.schema.views.job_facts import RENDERED

_RANKS = (50, 90, 99)
_COLUMNS = (
    Column("part", "text", "total, queue or render."),
    Column("jobs", "integer", "Jobs of which it is known."),
    *(Column(f"p{n}", "seconds", f"{n} of 100 took no longer.") for n in _RANKS),
)
_DAY = Column("day", "day", "Day of creation, gateway's clock.")
_HOUR = Column("hour", "instant", "Start of the hour of creation, gateway's clock.")


def durations_by_time(engine: sa.Engine, chosen: Filter, *, hourly: bool) -> Table:
    """Percentiles of the jobs created in each hour or day of the range. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        d = make_dialect(conn.dialect.name)
        where, values = conditions_of(d, Choice(chosen))
        bucket = (hours_of if hourly else days_of)(conn, d, chosen)("j.created_at")
        parts = _duration_parts(d, bucket, f"j.created_at IS NOT NULL AND {where}")
        text = " UNION ALL ".join(_rank_percentiles(part, inner) for part, inner in parts)
        rows = conn.execute(bind_values(f"{text} ORDER BY 1, 2", values))
        columns = (_HOUR if hourly else _DAY, *_COLUMNS)
        return as_table("pace", "Time to finish, over time", columns, rows)


def latency_percentiles(engine: sa.Engine, chosen: Filter) -> dict[int, float]:
    """Percentiles 50, 90, 95, 99 of the seconds from creation to completion, by nearest rank; or nothing."""
    with storage_errors(), engine.connect() as conn:
        d = make_dialect(conn.dialect.name)
        where, values = conditions_of(d, Choice(chosen))
        text = f"SELECT took, jobs FROM ({_count_durations(d, '1', where)}) t ORDER BY took"
        rows = [(float(took), int(jobs)) for took, jobs in conn.execute(bind_values(text, values))]
    whole, found, until = sum(jobs for _, jobs in rows), dict[int, float](), 0
    for seconds, jobs in rows:
        until += jobs
        for percent in (50, 90, 95, 99):
            if until * 100 >= whole * percent:
                found.setdefault(percent, seconds)
    return found


def count_untimed(engine: sa.Engine, latency: Table, chosen: Filter) -> int:
    """Completed jobs that the report `latency` leaves out: they end at no known time, or before they begin.
    Raises StorageError."""
    totals = run_report(engine, "totals", replace(chosen, by="", limit=None))
    completed = [column.name for column in totals.columns].index("completed")
    jobs = [column.name for column in latency.columns].index("jobs")
    return int(sum(row[completed] for row in totals.rows) - sum(row[jobs] for row in latency.rows))


def _duration_parts(d: Dialect, bucket: str, where: str) -> list[tuple[str, str]]:
    """The counted lengths of time of each part."""
    return [
        ("total", _count_durations(d, bucket, where)),
        ("queue", _seen_duration(d, bucket, where, "first_seen_at", "started_seen_at")),
        ("render", _seen_duration(d, bucket, f"{RENDERED} AND {where}", "started_seen_at", "ended_seen_at")),
    ]


def _count_durations(d: Dialect, bucket: str, where: str) -> str:
    """Lengths of time are few: counting equal ones first leaves little to rank."""
    return f"""
  SELECT {bucket} AS bucket, {seconds_taken(d)} AS took, COUNT(*) AS jobs FROM video_jobs j
  WHERE j.status = 'completed' AND j.completed_at >= j.created_at AND {where}
  GROUP BY 1, 2"""


def _seen_duration(d: Dialect, bucket: str, where: str, start: str, end: str) -> str:
    """Between two instants that we saw, of jobs that were seen to begin."""
    return f"""
  SELECT {bucket} AS bucket, {d.seconds(f"j.{start}", f"j.{end}")} AS took, COUNT(*) AS jobs
  FROM video_jobs j WHERE j.started_seen_at IS NOT NULL AND j.{end} IS NOT NULL AND {where}
  GROUP BY 1, 2"""


def _rank_percentiles(part: str, inner: str) -> str:
    ranks = ", ".join(f"{nearest_rank(n, 'took')} AS p{n}" for n in _RANKS)
    return f"""
SELECT bucket, '{part}' AS part, MAX(n) AS jobs, {ranks} FROM (
  SELECT bucket, took, SUM(jobs) OVER (PARTITION BY bucket) AS n,
    SUM(jobs) OVER (PARTITION BY bucket ORDER BY took) AS until
  FROM ({inner}) counted
) ranked GROUP BY bucket"""


def rows_of(table: Table, part: str) -> list[tuple[Any, ...]]:
    """Bucket and percentiles of one part."""
    return [(row[0], *row[3:]) for row in table.rows if row[1] == part]
