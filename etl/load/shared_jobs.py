"""Jobs that two sources have: what one of them sees, the one that counts the job is told.

That one may not be read any more (renamed, switched off, retired): its open jobs would be open for ever, what
they cost in no sum, and what has vanished listed. Both rows are written in one commit, under both leases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from etl.load import lookup
from etl.load.unlisting import unlist_jobs
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts, JobRow
from etl.schema.tables import leases, sync_runs, video_jobs

_AT_ONCE = 5000

_ours, _theirs = video_jobs.c, video_jobs.alias("theirs").c


def tell_counting_sources(conn: sa.Connection, run_id: int, shared: Sequence[tuple[int, Seen]]) -> None:
    """Write these sights as changes of the jobs of the source that counts them. What it keeps of prompts is
    its own affair."""
    told: dict[int, dict[str, Seen]] = {}
    for source_id, job in shared:
        told.setdefault(source_id, {})[job.row.job_id] = job
    for source_id, jobs in sorted(told.items()):
        if _is_at_rest(conn, source_id):
            _write_sights(conn, source_id, run_id, jobs)


def _is_at_rest(conn: sa.Connection, source_id: int) -> bool:
    """A source that is writing at this moment sees for itself. Nobody waits, so nobody waits in a circle."""
    query = sa.select(leases.c.source_id).where(leases.c.source_id == source_id)
    return conn.execute(query.with_for_update(skip_locked=True)).first() is not None


def _write_sights(conn: sa.Connection, source_id: int, run_id: int, jobs: Mapping[str, Seen]) -> None:
    known = lookup.known_jobs(conn, source_id, list(jobs))
    seen = [
        Seen(jobs[i].row._replace(prompt=None), found.list_position, jobs[i].at, found, partial=True)
        for i, found in known.items()
    ]
    JobWriter(conn, source_id, run_id, first=True).write(seen, Counts())


def find_left_open(conn: sa.Connection, source_id: int) -> Iterator[tuple[int, Seen]]:
    """Jobs of a source that have ended, and are open in the source that counts them: they ended after that
    one was read last."""
    columns = [_ours[name] for name in JobRow._fields]
    query = _counted_elsewhere(source_id, _ours.last_changed_at, *columns)
    query = query.where(_ours.settled, sa.not_(_theirs.settled))
    for counts, at, *row in conn.execute(query).all():
        yield counts, Seen(JobRow._make(row), 0, at, None)


def unlist_left_behind(conn: sa.Connection, source_id: int, run_id: int, started_at: datetime) -> None:
    """What an earlier scan of this source missed, and the source that counts it still believes to be listed:
    if that one has not been read since, as far as is known it never will say so itself."""
    runs = sync_runs.c
    read_since = sa.exists().where(
        runs.source_id == _theirs.source_id, runs.started_at > _ours.unlisted_at, runs.status == "ok"
    )
    query = _counted_elsewhere(source_id, _ours.job_id, _ours.unlisted_reason, _ours.unlisted_at).where(
        _ours.unlisted_at < started_at, _theirs.unlisted_at.is_(None), ~read_since
    )
    for counts in conn.scalars(sa.select(query.subquery().c.counts).distinct()).all():
        some = query.where(_theirs.source_id == counts).limit(_AT_ONCE)
        while _is_at_rest(conn, counts) and (rows := conn.execute(some).all()):
            for at, jobs in groupby(sorted(rows, key=_moment_of), key=_moment_of):
                unlist_jobs(conn, counts, run_id, [(row.job_id, row.unlisted_reason) for row in jobs], at)


def _moment_of(row: Any) -> datetime:
    at: datetime = row.unlisted_at
    return at


def _counted_elsewhere(source_id: int, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """These columns of a source's jobs that another source counts; first, which that is."""
    return sa.select(_theirs.source_id.label("counts"), *columns).where(
        _ours.source_id == source_id,
        _ours.twin_source_id.is_not(None),
        _theirs.source_id == _ours.twin_source_id,
        _theirs.job_id == _ours.job_id,
    )
