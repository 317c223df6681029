"""When jobs were seen to start and to end, by our clock, and how sure that is.

A change happened after the last moment at which the job was surely as before: the version before, or the
start of the last run that ended well, which read every open job. A job that is read by id, because it stayed
open for too long, was not seen by every run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from etl.records import JobRow
from etl.schema.tables import sync_runs, video_job_versions


class Sight(NamedTuple):
    """A change as a page showed it: the row as stored, the row now, and when that page came."""

    old: Mapping[str, Any]
    row: JobRow
    at: datetime
    partial: bool


class Observed(NamedTuple):
    """Columns of `video_jobs`, in this order. Widths are seconds; None: unknown, or not bounded."""

    started_seen_at: datetime | None
    ended_seen_at: datetime | None
    first_seen_within: float | None
    started_seen_within: float | None
    ended_seen_within: float | None


def observe_changes(
    conn: sa.Connection, source_id: int, run_id: int, sights: Sequence[Sight]
) -> list[Observed]:
    """What is known of each job after its change. Asks the database only about jobs that start or end."""
    changing = [sight for sight in sights if _starts_job(sight) or _ends_job(sight)]
    first = _first_versions(conn, source_id, [s for s in changing if s.old["version"] > 1])
    before = (
        _runs_before(conn, source_id, {run_id, *(s.old["first_run_id"] for s in changing)})
        if changing
        else {}
    )
    return [_observe_sight(sight, first, before, run_id) for sight in sights]


def _starts_job(sight: Sight) -> bool:
    return sight.row.status == "in_progress" and sight.old["started_seen_at"] is None


def _ends_job(sight: Sight) -> bool:
    return sight.row.settled and not sight.old["settled"] and sight.old["ended_seen_at"] is None


def _observe_sight(
    sight: Sight, first: Mapping[str, str], before: Mapping[int, datetime], run_id: int
) -> Observed:
    old, found = sight.old, Observed(*(sight.old[name] for name in Observed._fields))
    begun = old["status"] if old["version"] == 1 else first.get(sight.row.job_id)
    width = _width_seconds(sight, before.get(run_id))
    if _starts_job(sight) and begun == "queued":
        run = before.get(old["first_run_id"])
        within = None if run is None else _seconds_between(run, old["first_seen_at"])
        found = found._replace(started_seen_at=sight.at, first_seen_within=within, started_seen_within=width)
    if _ends_job(sight) and begun is not None:
        found = found._replace(ended_seen_at=sight.at, ended_seen_within=width)
    return found


def _width_seconds(sight: Sight, run: datetime | None) -> float:
    since = sight.old["last_changed_at"]
    if run is not None and not sight.partial and sight.old["reread_at"] is None:
        since = max(since, run)
    return _seconds_between(since, sight.at)


def _seconds_between(since: datetime, until: datetime) -> float:
    return max(0.0, round((until - since).total_seconds(), 3))


def _first_versions(conn: sa.Connection, source_id: int, sights: Sequence[Sight]) -> dict[str, str]:
    """The status of each job's first version; those that were pruned have none."""
    c, found = video_job_versions.c, dict[str, str]()
    ids = [sight.row.job_id for sight in sights]
    for start in range(0, len(ids), 500):
        query = sa.select(c.job_id, c.status).where(
            c.source_id == source_id, c.job_id.in_(ids[start : start + 500]), c.version == 1
        )
        found.update((job_id, status) for job_id, status in conn.execute(query))
    return found


def _runs_before(conn: sa.Connection, source_id: int, runs: Iterable[int]) -> dict[int, datetime]:
    """For each run the start of the last one before it that ended well."""
    earlier = sync_runs.alias("earlier")
    last = (
        sa.select(earlier.c.started_at)
        .where(earlier.c.source_id == source_id, earlier.c.id < sync_runs.c.id, earlier.c.status == "ok")
        .order_by(earlier.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    ids, found = sorted(runs), dict[int, datetime]()
    for start in range(0, len(ids), 500):
        query = sa.select(sync_runs.c.id, last).where(sync_runs.c.id.in_(ids[start : start + 500]))
        found.update((run, moment) for run, moment in conn.execute(query) if moment is not None)
    return found
