"""Jobs counted by what views group them by, kept with every commit: a whole history in a few rows.

`daily_totals` counts by UTC day of creation, `duration_totals` by the time that completed jobs took,
`job_kinds` by what prices depend on: the views resolve the price book for each kind, not for each job. Views
believe them while they add up to the number of jobs, and count the jobs themselves otherwise; so jobs that
somebody wrote or deleted by hand cost time, until `recount_totals`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa

from etl.db.engine import read_transaction, storage_errors, write_transaction
from etl.load import bulk
from etl.load.lease import Lease
from etl.records import JobRow, decide_outcome
from etl.schema.migrate import check_schema
from etl.schema.tables import daily_totals, duration_totals, job_kinds, sources, video_jobs

_KIND = ("provider", "model", "status", "settled", "seconds", "size", "width", "height")
_kind: Any = itemgetter(*map(JobRow._fields.index, _KIND))
_NEEDED = {*_KIND, "created_at", "completed_at"}
_MICROSECOND = timedelta(microseconds=1)
_AT_ONCE = 5000


class Totals:
    """Jobs of one source, counted. `unlisted`: these are no longer listed."""

    def __init__(self, jobs: Sequence[JobRow] = (), *, unlisted: bool = False) -> None:
        days = [job.created_at and job.created_at.toordinal() for job in jobs]
        counted = Counter(zip(days, map(_kind, jobs), strict=True))
        self._days = Counter[tuple[Any, ...]]()
        for (day, (provider, model, status, settled, *rest)), count in counted.items():
            came_to = decide_outcome(status, settled=settled, unlisted=unlisted)
            self._days[day, provider, model, status, came_to, *rest] += count
        self._durations = Counter(_times_taken(jobs))

    def add(self, other: Totals) -> None:
        self._days.update(other._days)
        self._durations.update(other._durations)

    def subtract(self, other: Totals) -> None:
        self._days.subtract(other._days)
        self._durations.subtract(other._durations)

    def jobs(self) -> int:
        return self._days.total()

    def write(self, conn: sa.Connection, source_id: int) -> None:
        """Add them to what is stored."""
        days = [((day and date.fromordinal(day).isoformat(), *of), n) for (day, *of), n in self._days.items()]
        durations = [((*of, _round_milliseconds(took)), n) for (*of, took), n in self._durations.items()]
        kinds = Counter[tuple[Any, ...]]()
        for (_, provider, model, _, _, _, *size), n in self._days.items():
            kinds[provider, model, *size] += n
        written = ((job_kinds, kinds.items()), (daily_totals, days), (duration_totals, durations))
        for table, counted in written:
            how = bulk.Merge(tuple(table.columns.keys()), ("source_id", "digest"), add=("jobs",))
            bulk.merge_rows(conn, table, how, _total_rows(source_id, counted))


def recount_all(engine: sa.Engine) -> int:
    """Count every source's jobs anew, one after the other. Raises SchemaMismatch, StorageError."""
    check_schema(engine)
    with read_transaction(engine) as conn:
        ids = conn.scalars(sa.select(sources.c.id).order_by(sources.c.id)).all()
    jobs = 0
    for source_id in ids:
        with storage_errors(), write_transaction(engine) as conn:
            jobs += recount_totals(conn, source_id)
    return jobs


def recount_totals(conn: sa.Connection, source_id: int) -> int:
    """Count a source's jobs anew, in a transaction that keeps its writer waiting; returns their number."""
    Lease(source_id, "", 0).lock(conn)
    totals, table = Totals(), video_jobs
    columns = [table.c[name] if name in _NEEDED else sa.null().label(name) for name in JobRow._fields]
    query = sa.select(table.c.unlisted_at, *columns)
    query = query.where(table.c.source_id == source_id, table.c.twin_source_id.is_(None))
    with conn.execute(query, execution_options={"yield_per": _AT_ONCE}) as found:
        for rows in found.partitions():
            for gone in (False, True):
                jobs = [JobRow._make(row[1:]) for row in rows if (row[0] is not None) is gone]
                totals.add(Totals(jobs, unlisted=gone))
    for counted in (daily_totals, duration_totals, job_kinds):
        conn.execute(sa.delete(counted).where(counted.c.source_id == source_id))
    totals.write(conn, source_id)
    return totals.jobs()


def _times_taken(jobs: Sequence[JobRow]) -> list[tuple[Any, ...]]:
    """Provider, model and time taken of the jobs that were completed."""
    return [
        (job.provider, job.model, job.completed_at - job.created_at)
        for job in jobs
        if job.status == "completed" and job.completed_at is not None and job.created_at is not None
    ]


def _round_milliseconds(took: timedelta) -> int:
    """Rounded as databases round: halves away from zero."""
    micro = took // _MICROSECOND
    return (abs(micro) + 500) // 1000 * (1 if micro > 0 else -1)


def _total_rows(source_id: int, counted: Iterable[tuple[tuple[Any, ...], int]]) -> list[tuple[Any, ...]]:
    """A digest is the key: no database has one over columns that may be null, or as long as they like."""
    return [(source_id, _digest_key(key), *key, jobs) for key, jobs in counted if jobs]


def _digest_key(key: tuple[Any, ...]) -> str:
    return blake2b(msgspec.json.encode(key), digest_size=16).hexdigest()
