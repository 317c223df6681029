"""observed: when jobs were seen to start and end stands in video_jobs, whatever versions are pruned"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from alembic import op

from etl.db.types import UtcDateTime

revision = "0011"
down_revision = "0010"

VIEWS = "634936ef19576ec7"
_WITHIN = "Seconds before {} in which it may have happened; null: no bound."
_COLUMNS = (
    ("started_seen_at", UtcDateTime(), "First seen in progress after queued, our clock (UTC)."),
    ("ended_seen_at", UtcDateTime(), "First seen settled after open, our clock (UTC)."),
    ("first_seen_within", sa.Double(), _WITHIN.format("first_seen_at")),
    ("started_seen_within", sa.Double(), _WITHIN.format("started_seen_at")),
    ("ended_seen_within", sa.Double(), _WITHIN.format("ended_seen_at")),
)
_SETTLED = ("completed", "failed", "cancelled", "canceled", "expired", "rejected")
_OPEN = ("queued", "in_progress")
_AT_ONCE = 500


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("video_jobs")}
    for name, kind, comment in _COLUMNS:
        if name not in there:  # MariaDB keeps what a broken upgrade added
            op.add_column("video_jobs", sa.Column(name, kind, nullable=True, comment=comment))
    _fill(op.get_bind())


def downgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("video_jobs")}
    for name, _, _ in _COLUMNS:
        if name in there:
            op.drop_column("video_jobs", name)


# --- what the history tells, as far as it is kept ------------------------------------------------


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(
        name,
        *(
            sa.column(each, UtcDateTime() if each.endswith(("_at", "valid_from")) else None)
            for each in columns
        ),
    )


_JOBS = _table(
    "video_jobs", "source_id", "job_id", "version", "reread_at", "first_run_id", *(c[0] for c in _COLUMNS)
)
_VERSIONS = _table(
    "video_job_versions", "source_id", "job_id", "version", "valid_from", "status", "run_id", "completed_at",
    "error_code", "error_message",
)  # fmt: skip
_RUNS = _table("sync_runs", "id", "source_id", "started_at", "status")


def _fill(conn: sa.Connection) -> None:
    good: dict[int, list[tuple[int, datetime]]] = {}
    query = sa.select(_RUNS.c.source_id, _RUNS.c.id, _RUNS.c.started_at).where(_RUNS.c.status == "ok")
    for source_id, run, started in conn.execute(query.order_by(_RUNS.c.id)):
        good.setdefault(source_id, []).append((run, started))
    for jobs in _changed_jobs(conn):
        rows = [row for row in _observed(conn, jobs, good) if row is not None]
        if rows:
            key = (_JOBS.c.source_id == sa.bindparam("of_source"), _JOBS.c.job_id == sa.bindparam("of_job"))
            names = {name: sa.bindparam(name, type_=kind) for name, kind, _ in _COLUMNS}
            conn.execute(sa.update(_JOBS).where(*key).values(names), rows)


def _changed_jobs(conn: sa.Connection) -> Iterator[list[Any]]:
    """Some hundreds at a time, of one source, in the order of the primary key."""
    c = _JOBS.c
    for source_id in conn.scalars(sa.text("SELECT id FROM sources ORDER BY id")).all():
        last = ""
        while True:
            query = sa.select(c.source_id, c.job_id, c.reread_at, c.first_run_id)
            query = query.where(c.source_id == source_id, c.job_id > last, c.version > 1)
            jobs = list(conn.execute(query.order_by(c.job_id).limit(_AT_ONCE)))
            if not jobs:
                break
            yield jobs
            last = jobs[-1].job_id


def _observed(
    conn: sa.Connection, jobs: list[Any], good: dict[int, list[tuple[int, datetime]]]
) -> Iterator[dict[str, Any] | None]:
    by_id = {job.job_id: job for job in jobs}
    c, source_id = _VERSIONS.c, jobs[0].source_id
    query = sa.select(_VERSIONS).where(c.source_id == source_id, c.job_id.in_(list(by_id)))
    rows = conn.execute(query.order_by(c.job_id, c.version))
    for job_id, versions in groupby(rows, key=attrgetter("job_id")):
        yield _one(by_id[job_id], list(versions), good.get(source_id, []))


def _one(job: Any, versions: list[Any], good: list[tuple[int, datetime]]) -> dict[str, Any] | None:
    """The row's values; None when the history says nothing, or its beginning is gone."""
    first = versions[0]
    if first.version != 1 or _is_settled(first):
        return None
    found: dict[str, Any] = dict.fromkeys(name for name, _, _ in _COLUMNS)
    found |= {"of_source": job.source_id, "of_job": job.job_id}
    for before, row in pairwise(versions):
        began = row.status == "in_progress" and first.status == "queued" and found["started_seen_at"] is None
        ended = _is_settled(row) and found["ended_seen_at"] is None
        if not (began or ended):
            continue
        run = None if job.reread_at else _started_before(good, row.run_id)
        since = before.valid_from if run is None else max(run, before.valid_from)
        name = "started" if began else "ended"
        found[f"{name}_seen_at"] = row.valid_from
        found[f"{name}_seen_within"] = _seconds(since, row.valid_from)
        if began and (run := _started_before(good, first.run_id)) is not None:
            found["first_seen_within"] = _seconds(run, first.valid_from)
    return found if found["started_seen_at"] or found["ended_seen_at"] else None


def _is_settled(row: Any) -> bool:
    ended = row.completed_at is not None or row.error_code is not None or row.error_message is not None
    return row.status in _SETTLED or (row.status not in _OPEN and ended)


def _started_before(good: list[tuple[int, datetime]], run: int) -> datetime | None:
    """The start of the last run before this one that ended well."""
    place = bisect_left(good, run, key=lambda each: each[0])
    return good[place - 1][1] if place else None


def _seconds(since: datetime, until: datetime) -> float:
    return max(0.0, round((until - since).total_seconds(), 3))
