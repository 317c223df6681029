"""Jobs counted by what views group them by, kept with every commit: a whole history in a few rows.

`daily_totals` counts by UTC day and hour of creation, `duration_totals` by the time that completed jobs took,
`job_kinds` by what prices depend on: the views resolve the price book for each kind, not for each job. Views
believe them while they add up to the number of jobs, and count the jobs themselves otherwise; so jobs that
somebody wrote or deleted by hand cost time, until `recount_totals`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from hashlib import blake2b
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa

from etl.db.engine import read_transaction, storage_errors, write_transaction
from etl.load import bulk
from etl.load.lease import Lease
from etl.records import JobRow, decide_outcome
from etl.schema.migrate import check_schema
from etl.schema.tables import daily_totals, duration_totals, job_kinds, sources, video_jobs
from etl.schema.totals_tables import DAY_SUMS

_KIND = ("provider", "model", "status", "settled", "seconds", "size", "width", "height")
_kind: Any = itemgetter(*map(JobRow._fields.index, _KIND))
_created_at: Any = attrgetter("created_at")
_NEEDED = {*_KIND, "created_at", "completed_at"}
_MICROSECOND = timedelta(microseconds=1)
_AT_ONCE = 5000


class Totals:
    """Jobs of one source, counted. `unlisted`: these are no longer listed."""

    def __init__(self, jobs: Sequence[JobRow] = (), *, unlisted: bool = False) -> None:
        self._days = defaultdict[tuple[Any, ...], list[int]](_no_sums)
        self._durations = Counter[tuple[Any, ...]]()
        hours = [at and at.toordinal() * 24 + at.hour for at in map(_created_at, jobs)]
        kinds = list(map(_kind, jobs))
        cells = self._count_hours(hours, kinds, unlisted)
        for job, hour, kind in zip(jobs, hours, kinds, strict=True):
            if job.status == "completed" and job.completed_at is not None and job.created_at is not None:
                took = _round_milliseconds(job.completed_at - job.created_at)
                self._durations[job.provider, job.model, took] += 1
                if took >= 0:
                    sums = cells[hour // 24, kind]
                    sums[1] += 1
                    sums[2] += took

    def _count_hours(
        self, hours: Sequence[int | None], kinds: Sequence[tuple[Any, ...]], unlisted: bool
    ) -> dict[tuple[Any, ...], list[int]]:
        """The sums of each day and kind, filled with jobs by the hour."""
        cells: dict[tuple[Any, ...], list[int]] = {}
        for (hour, kind), n in Counter(zip(hours, kinds, strict=True)).items():
            day = None if hour is None else hour // 24
            sums = cells.get((day, kind))
            if sums is None:
                sums = cells[day, kind] = self._days[day, *_with_outcome(kind, unlisted)]
            sums[0] += n
            if hour is not None:
                sums[3 + hour % 24] += n
        return cells

    def add(self, other: Totals, sign: int = 1) -> None:
        for cell, more in other._days.items():
            self._days[cell] = [
                one + sign * another for one, another in zip(self._days[cell], more, strict=True)
            ]
        (self._durations.update if sign == 1 else self._durations.subtract)(other._durations)

    def subtract(self, other: Totals) -> None:
        self.add(other, -1)

    def jobs(self) -> int:
        return sum(sums[0] for sums in self._days.values())

    def write(self, conn: sa.Connection, source_id: int) -> None:
        """Add them to what is stored."""
        kinds = Counter[tuple[Any, ...]]()
        for (_, provider, model, _, _, _, *size), (n, *_) in self._days.items():
            kinds[provider, model, *size] += n
        days = [((_as_day(day), *kind), sums) for (day, *kind), sums in self._days.items()]
        _add_totals(conn, job_kinds, ("jobs",), source_id, [(key, (n,)) for key, n in kinds.items()])
        _add_totals(conn, daily_totals, DAY_SUMS, source_id, days)
        durations = [(key, (n,)) for key, n in self._durations.items()]
        _add_totals(conn, duration_totals, ("jobs",), source_id, durations)


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


def _no_sums() -> list[int]:
    return [0] * len(DAY_SUMS)


def _with_outcome(kind: tuple[Any, ...], unlisted: bool) -> tuple[Any, ...]:
    """A kind as daily_totals has it."""
    provider, model, status, settled, *rest = kind
    return provider, model, status, decide_outcome(status, settled=settled, unlisted=unlisted), *rest


def _round_milliseconds(took: timedelta) -> int:
    """Rounded as databases round: halves away from zero."""
    if not took.microseconds:
        return took.days * 86_400_000 + took.seconds * 1000
    micro = took // _MICROSECOND
    return (abs(micro) + 500) // 1000 * (1 if micro > 0 else -1)


def _as_day(ordinal: int | None) -> str | None:
    return None if ordinal is None else date.fromordinal(ordinal).isoformat()


def _add_totals(
    conn: sa.Connection,
    table: sa.Table,
    sums: tuple[str, ...],
    source_id: int,
    counted: Iterable[tuple[tuple[Any, ...], Sequence[int]]],
) -> None:
    """A digest is the key: no database has one over columns that may be null, or as long as they like."""
    how = bulk.Merge(tuple(table.columns.keys()), ("source_id", "digest"), add=sums)
    rows = [(source_id, _digest_key(key), *key, *more) for key, more in counted if any(more)]
    bulk.merge_rows(conn, table, how, rows)


def _digest_key(key: tuple[Any, ...]) -> str:
    return blake2b(msgspec.json.encode(key), digest_size=16).hexdigest()
