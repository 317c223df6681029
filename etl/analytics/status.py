"""How fresh and how complete every source is. Cheap at any size: indexes and small tables, no full scans.

`jobs` is counted through an index. `unlisted` sums what the runs marked, because only a scan of all jobs
could count those that still are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from etl.db.engine import storage_errors
from etl.records import time_elapsed
from etl.schema.tables import (
    coverage_gaps,
    leases,
    rejected_items,
    sources,
    sync_runs,
    sync_state,
    unknown_fields,
    video_jobs,
)


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a source, as in `sync_runs`. Instants are UTC; a running one has counts so far."""

    run_id: int
    kind: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    jobs_inserted: int
    jobs_updated: int
    error_class: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class CoverageGap:
    """Jobs created between these instants (UTC, the gateway's clock) were not read: those listed behind
    `last_known_job_id` and before `oldest_listed_job_id`. None: nothing is known on that side.

    `kind`: unreadable, interrupted or window. `accepted_at`: somebody knows that they are lost.
    """

    id: int
    kind: str
    detected_at: datetime
    gap_from: datetime | None
    gap_until: datetime | None
    last_known_job_id: str | None
    oldest_listed_job_id: str | None
    reason: str
    probed_at: datetime | None
    accepted_at: datetime | None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source. Instants are UTC.

    `complete_at` is the end of the last sync that read everything it had to. `jobs` counts all ever seen,
    `unlisted` how often one was found to be no longer listed, `twins` how many are another source's
    too, which counts them (by its name), `drift` fields that the contract does not name. A source that is
    `retired_at` a time is an archive: nobody asks it, and nobody is told of its age.
    """

    source: str
    base_url: str
    provider: str | None
    last_run: LastRun | None
    complete_at: datetime | None
    reconciled_at: datetime | None
    newest_job_at: datetime | None
    frontier_at: datetime | None
    loading: bool
    failures: int
    disabled_at: datetime | None
    disabled_reason: str | None
    held_by: str | None
    jobs: int
    open_jobs: int
    oldest_open_id: str | None
    oldest_open_at: datetime | None
    unlisted: int
    twins: dict[str, int]
    rejects: int
    drift: int
    gaps: tuple[CoverageGap, ...]
    retired_at: datetime | None = None
    retired_reason: str | None = None
    accounts_unknown: bool = False  # the gateway names no key, and nobody has asked whether several answer
    moves_by_id: bool = False  # a job's status in the list moves only when the job is read by id

    @property
    def open_gaps(self) -> list[CoverageGap]:
        """What is not read and not accepted; what a running walk has left so far is about to be read."""
        return [
            g for g in self.gaps if g.accepted_at is None and not (g.kind == "interrupted" and self.held_by)
        ]

    def age(self, now: datetime) -> timedelta | None:
        """How long ago the source was last known complete; None when it never was, as far as we can tell:
        an instant that lies ahead says nothing."""
        return time_elapsed(self.complete_at, now)

    def lag(self, now: datetime) -> timedelta | None:
        """Now − creation of the newest job; it grows when nobody makes videos."""
        return None if self.newest_job_at is None else now - self.newest_job_at


def read_status(engine: sa.Engine, now: datetime) -> list[SourceStatus]:
    """Every source of the database, by name. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        gaps = _read_gaps(conn)
        small = (
            _counts_by_source(conn, rejected_items),
            _counts_by_source(conn, unknown_fields),
            _count_twins(conn),
        )
        return [_source_status(conn, row, now, gaps[row.id], *small) for row in conn.execute(_states_query())]


def seen_twice(engine: sa.Engine) -> list[tuple[str, str, int]]:
    """Source, the source that counts them, and how many jobs are seen through both. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        names = {row.id: row.name for row in conn.execute(sa.select(sources.c.id, sources.c.name))}
        return [
            (names[key], other, n) for key, found in _count_twins(conn).items() for other, n in found.items()
        ]


def _states_query() -> sa.Select[Any]:
    return (
        sa.select(
            sources.c.id,
            sources.c.name,
            sources.c.base_url,
            sources.c.provider,
            sync_state,
            leases.c.holder,
            leases.c.expires_at,
        )
        .join(sync_state, sync_state.c.source_id == sources.c.id)
        .outerjoin(leases, leases.c.source_id == sources.c.id)
        .order_by(sources.c.name)
    )


def _source_status(
    conn: sa.Connection,
    row: sa.Row[Any],
    now: datetime,
    gaps: Sequence[CoverageGap],
    rejects: dict[int, int],
    drift: dict[int, int],
    twins: dict[int, dict[str, int]],
) -> SourceStatus:
    held = row.holder is not None and row.expires_at is not None and row.expires_at > now
    oldest = _oldest_open(conn, row.id)
    return SourceStatus(
        source=row.name,
        base_url=row.base_url,
        provider=row.provider,
        last_run=_last_run(conn, row.id),
        complete_at=row.complete_at,
        reconciled_at=row.reconciled_at,
        newest_job_at=row.newest_job_at,
        frontier_at=row.frontier_created_at,
        loading=row.complete_at is None,
        failures=row.failures,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        held_by=row.holder if held else None,
        jobs=_read_count(conn, sa.select(sa.func.count()).where(video_jobs.c.source_id == row.id)),
        open_jobs=_read_count(conn, sa.select(sa.func.count()).where(*_is_open(row.id))),
        oldest_open_id=None if oldest is None else oldest.job_id,
        oldest_open_at=None if oldest is None else oldest.created_at,
        unlisted=_read_count(conn, _unlisted_query(row.id)),
        twins=twins.get(row.id, {}),
        rejects=rejects.get(row.id, 0),
        drift=drift.get(row.id, 0),
        gaps=tuple(gaps),
        retired_at=row.retired_at,
        retired_reason=row.retired_reason,
        accounts_unknown=not any(f'"{name}":' in (row.learned or "") for name in ("accounts", "several")),
        moves_by_id='"moves_by_id":true' in (row.learned or ""),
    )


def _last_run(conn: sa.Connection, source_id: int) -> LastRun | None:
    columns = [sync_runs.c[name] for name in LastRun.__slots__ if name != "run_id"]
    newest = (
        sa.select(sync_runs.c.id, *columns)
        .where(sync_runs.c.source_id == source_id)
        .order_by(sync_runs.c.id.desc())
        .limit(1)
    )
    row = conn.execute(newest).one_or_none()
    return None if row is None else LastRun(*row)


def _is_open(source_id: int) -> list[Any]:
    return [video_jobs.c.source_id == source_id, ~video_jobs.c.settled, video_jobs.c.unlisted_at.is_(None)]


def _oldest_open(conn: sa.Connection, source_id: int) -> sa.Row[Any, Any] | None:
    query = sa.select(video_jobs.c.job_id, video_jobs.c.created_at).where(*_is_open(source_id))
    return conn.execute(query.order_by(video_jobs.c.list_position).limit(1)).one_or_none()


def _unlisted_query(source_id: int) -> sa.Select[Any]:
    return sa.select(sa.func.sum(sync_runs.c.jobs_unlisted)).where(sync_runs.c.source_id == source_id)


def _read_count(conn: sa.Connection, query: sa.Select[Any]) -> int:
    return int(conn.scalar(query) or 0)


def _counts_by_source(conn: sa.Connection, table: sa.Table) -> dict[int, int]:
    query = sa.select(table.c.source_id, sa.func.count()).group_by(table.c.source_id)
    return {row[0]: row[1] for row in conn.execute(query)}


def _count_twins(conn: sa.Connection) -> dict[int, dict[str, int]]:
    """By source, and by the name of the one that counts them: jobs that are seen through two."""
    c = video_jobs.c
    query = sa.select(c.twin_source_id, c.source_id, sa.func.count()).where(c.twin_source_id.is_not(None))
    counted = list(conn.execute(query.group_by(c.twin_source_id, c.source_id)))
    listed = conn.execute(sa.select(sources.c.id, sources.c.name)) if counted else ()
    names = {row.id: row.name for row in listed}
    found: dict[int, dict[str, int]] = {}
    for twin, source_id, jobs in counted:
        found.setdefault(source_id, {})[names[twin]] = jobs
    return found


def _read_gaps(conn: sa.Connection) -> defaultdict[int, list[CoverageGap]]:
    found: defaultdict[int, list[CoverageGap]] = defaultdict(list)
    columns = [coverage_gaps.c[name] for name in CoverageGap.__slots__]
    for source_id, *values in conn.execute(
        sa.select(coverage_gaps.c.source_id, *columns).order_by(coverage_gaps.c.id)
    ):
        found[source_id].append(CoverageGap(*values))
    return found
