"""Jobs that share their second of creation with others: what a scan missed among them."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple

import sqlalchemy as sa

from etl.load.lookup import is_placed
from etl.load.unlisting import suspect_conditions
from etl.records import as_utc
from etl.schema.tables import video_jobs

_job = video_jobs.c
_other = video_jobs.alias("other")
#: Jobs of one second that are looked for below the oldest one listed, and suspects of one scan: where there
#: are more, whole stretches are gone and not single jobs.
_TIED, _SUSPECTS = 1_000, 10_000


class Tied(NamedTuple):
    """A listed job, its place, and the second of its creation (UTC)."""

    job_id: str
    position: int
    moment: datetime


def tied_suspects(conn: sa.Connection, source_id: int, run_id: int) -> list[tuple[str, datetime]]:
    """This run's suspects that share their creation (UTC) with other listed jobs; none where there are more
    than can be looked for. One without a time may be of either neighbour's second, and comes with both."""
    shared = (
        sa.select(sa.literal(1))
        .where(
            _other.c.source_id == source_id,
            _other.c.created_at == _job.created_at,
            _other.c.job_id != _job.job_id,
            _other.c.unlisted_at.is_(None),
        )
        .exists()
    )
    columns = (_job.job_id, _job.created_at, _job.list_position)
    tied = sa.or_(shared, _job.created_at.is_(None))
    query = sa.select(*columns).where(*suspect_conditions(source_id, run_id), tied)
    rows = conn.execute(query.limit(_SUSPECTS + 1)).fetchall()
    if len(rows) > _SUSPECTS:
        return []
    return [(row.job_id, as_utc(moment)) for row in rows for moment in _seconds_of(conn, source_id, row)]


def _seconds_of(conn: sa.Connection, source_id: int, row: Any) -> list[datetime]:
    """Its creation, or that of the nearest listed jobs on either side that have one."""
    if row.created_at is not None:
        return [row.created_at]
    beside = [nearest_creation(conn, source_id, row.list_position, above=above) for above in (False, True)]
    return [moment for moment in beside if moment is not None]


def nearest_creation(conn: sa.Connection, source_id: int, place: int, *, above: bool) -> datetime | None:
    """Of the listed job at this place, or of the next one above it, or below, that has one."""
    beside = _job.list_position >= place if above else _job.list_position <= place
    where = (_job.source_id == source_id, _job.unlisted_at.is_(None), _job.created_at.is_not(None), beside)
    query = sa.select(_job.created_at).where(*where, is_placed())
    found: datetime | None = conn.scalar(
        query.order_by(_job.list_position if above else _job.list_position.desc()).limit(1)
    )
    return found


def suspects_between(
    conn: sa.Connection, source_id: int, run_id: int, low: int | None, high: int | None
) -> list[str]:
    """This run's suspects that were created when the listed jobs at two places were, or between (None: no
    bound): where ties moved, their own places need not stand there."""
    ends = [
        None if place is None else nearest_creation(conn, source_id, place, above=above)
        for place, above in ((low, False), (high, True))
    ]
    if None not in ends:
        ends.sort()
    first, last = ends
    where = [*suspect_conditions(source_id, run_id)]
    where += [] if first is None else [_job.created_at >= first]
    where += [] if last is None else [_job.created_at <= last]
    return list(conn.scalars(sa.select(_job.job_id).where(*where)))


def edge_of_second(conn: sa.Connection, source_id: int, moment: datetime, *, highest: bool) -> int | None:
    """The lowest place of a listed job that was created then (UTC), or the highest one."""
    where = (_job.source_id == source_id, _job.created_at == moment, _job.unlisted_at.is_(None), is_placed())
    edge = sa.func.max(_job.list_position) if highest else sa.func.min(_job.list_position)
    found: int | None = conn.scalar(sa.select(edge).where(*where))
    return found


def jobs_beside(
    conn: sa.Connection, source_id: int, place: int, *, above: bool, limit: int
) -> list[tuple[str, int]]:
    """Ids and positions of the listed jobs next above this place, or below it, that nobody suspects."""
    listed = (_job.source_id == source_id, _job.unlisted_at.is_(None), _job.suspect_run_id.is_(None))
    beside = _job.list_position > place if above else _job.list_position < place
    query = sa.select(_job.job_id, _job.list_position).where(*listed, beside, is_placed())
    query = query.order_by(_job.list_position if above else _job.list_position.desc())
    return [(row.job_id, row.list_position) for row in conn.execute(query.limit(limit))]


def below_in_its_second(conn: sa.Connection, source_id: int, position: int | None) -> list[Tied]:
    """Listed jobs next below this position, as long as they are without a time, or of the second of the job
    that stands there. One of another second ends it: what lies below has nothing to do with ties."""
    if position is None:
        return []
    born = nearest_creation(conn, source_id, position, above=True)
    if born is None:
        return []
    where = (_job.source_id == source_id, _job.unlisted_at.is_(None), _job.list_position < position)
    query = sa.select(_job.job_id, _job.list_position, _job.created_at).where(*where, is_placed())
    rows = conn.execute(query.order_by(_job.list_position.desc()).limit(_TIED))
    return [
        Tied(row.job_id, row.list_position, as_utc(born))
        for row in takewhile(lambda row: row.created_at in (born, None), rows)
    ]
