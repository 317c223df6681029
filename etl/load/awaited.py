"""Jobs that are waited for: the open ones, those that a walk missed, and those that no list has shown."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from etl.db.types import UtcDateTime
from etl.load.lookup import is_placed
from etl.load.positions import UNPLACED
from etl.schema.tables import video_jobs

_job = video_jobs.c


def open_jobs(conn: sa.Connection, source_id: int, since: datetime | None = None) -> dict[str, int]:
    """Position by id of listed jobs that are not settled, without those created before `since` (UTC)."""
    query = sa.select(_job.job_id, _job.list_position).where(
        *_open_conditions(source_id), *_fresh_conditions(since), is_placed()
    )
    return {row.job_id: row.list_position for row in conn.execute(query)}


def oldest_open() -> sa.ScalarSelect[int]:
    """Asks for the position of the oldest open job of `source` that is still waited for, being created
    `since` (UTC)."""
    place = sa.func.min(_job.list_position)
    where = (
        *_open_conditions(sa.bindparam("source")),
        *_fresh_conditions(sa.bindparam("since", type_=UtcDateTime)),
        is_placed(),
    )
    return sa.select(place).where(*where).scalar_subquery()


def unplaced_open(conn: sa.Connection, source_id: int, since: datetime) -> list[str]:
    """Open jobs that no list has shown and that are still waited for: created since then (UTC)."""
    where = (*_open_conditions(source_id), *_fresh_conditions(since), _job.list_position <= UNPLACED)
    return list(conn.scalars(sa.select(_job.job_id).where(*where).order_by(_job.job_id)))


def unplaced_jobs(conn: sa.Connection, source_id: int, after: str, limit: int) -> list[str]:
    """Jobs that no list has shown and that are not gone, by id, behind `after`."""
    where = (_job.source_id == source_id, _job.job_id > after, _job.unlisted_at.is_(None))
    query = sa.select(_job.job_id).where(*where, _job.list_position <= UNPLACED)
    return list(conn.scalars(query.order_by(_job.job_id).limit(limit)))


class Candidate(NamedTuple):
    """A listed job that may be read by id, being open or missed by a walk; `read_at` is when it last was, or
    first came (UTC)."""

    open: bool
    job_id: str
    read_at: datetime


def reread_candidates(conn: sa.Connection, source_id: int, limit: int) -> list[Candidate]:
    """Listed jobs that are open, and behind them those that a walk missed; of each so many at most, those
    longest not read by id first."""
    found = conn.execute(_candidates(), {"source": source_id, "most": limit})
    return [Candidate(bool(row.open), row.job_id, row.read_at) for row in found]


def jobs_to_reread(conn: sa.Connection, source_id: int, limit: int) -> list[str]:
    """Their ids, each once."""
    return list(dict.fromkeys(each.job_id for each in reread_candidates(conn, source_id, limit)))


@cache  # every tick asks, and to put such a statement together takes ten times as long as to execute it
def _candidates() -> sa.CompoundSelect[Any]:
    """Open jobs, and missed ones, in one statement: a server is a journey away."""
    source = sa.bindparam("source", type_=sa.Integer)
    missed = [by_suspicion(source), _job.suspect_run_id.is_not(None), _job.unlisted_at.is_(None)]
    read = sa.func.coalesce(_job.reread_at, _job.first_seen_at).label("read_at")
    parts = []
    for is_open, where in ((1, _open_conditions(source)), (0, missed)):
        kind = sa.literal_column(str(is_open), sa.Integer).label("open")
        found = sa.select(kind, _job.job_id, read, _job.list_position).where(*where)
        found = found.order_by(read, _job.list_position).limit(sa.bindparam("most"))
        parts.append(sa.select(found.subquery("waiting" if is_open else "missed")))
    both = sa.union_all(*parts)
    return both.order_by(sa.desc("open"), "read_at", "list_position")


def by_suspicion(source_id: int | sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """Jobs of this source, said so that SQLite looks up the few suspects, and not all jobs of the source."""
    return _job.source_id + 0 == source_id


def _open_conditions(source_id: int | sa.BindParameter[int]) -> list[Any]:
    return [_job.source_id == source_id, ~_job.settled, _job.unlisted_at.is_(None)]


def _fresh_conditions(since: datetime | sa.BindParameter[datetime] | None) -> list[Any]:
    """Created since then; a creation after our first sight of it is no creation but a wrong clock."""
    if since is None:
        return []
    seen = _job.first_seen_at
    return [sa.case((_job.created_at < seen, _job.created_at), else_=seen) > since]
