"""What the database already knows of the jobs of a batch, read in a statement or two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from etl.db.types import UtcDateTime
from etl.load import bulk
from etl.load.positions import UNPLACED
from etl.records import JobRow, Order
from etl.schema.tables import video_jobs

_job = video_jobs.c


class Known(NamedTuple):
    """The part of a stored job that decides what a new sight of it means."""

    job_id: str
    content_hash: str
    version: int
    progress: float | None
    list_position: int
    settled: bool
    unlisted: bool
    first_run_id: int
    suspect_run_id: int | None

    def stands(self, row: JobRow, position: int) -> bool:
        """This sight of the job at this position says nothing that is not stored."""
        return (
            self.content_hash == row.content_hash
            and self.progress == row.progress
            and self.list_position == position
            and self.suspect_run_id is None
            and not self.unlisted
        )

    def listed_between(self, low: int, high: int | None) -> bool:
        """It is believed to be listed, with low < position <= high (None: no bound)."""
        return not self.unlisted and low < self.list_position and (high is None or self.list_position <= high)


class Found(NamedTuple):
    """What is stored of some jobs, by id; perhaps all that stands with above < position <= until."""

    jobs: dict[str, Known]
    above: int | None = None
    until: int | None = None

    def covers(self, low: int, high: int | None) -> bool:
        """Nothing is stored with low < position <= high but what is found here."""
        known = self.above is not None and self.until is not None and high is not None
        return known and self.above <= low and high <= self.until  # type: ignore[operator]


_FIELDS = (
    "job_id, content_hash, version, {progress}, list_position, settled, unlisted_at IS NOT NULL, "
    "first_run_id, suspect_run_id"
)
_PLAIN = f"SELECT {_FIELDS.format(progress='progress')} FROM video_jobs"  # noqa: S608 (our own names)
#: JSON in SQLite has 15 digits of a number. So a progress that is no whole number is asked for again.
_ASK_AGAIN = -1
_WHOLE = "CASE WHEN progress <> CAST(progress AS {integer}) THEN -1 ELSE CAST(progress AS {integer}) END"
_ARRAY = f"json_array({_FIELDS.format(progress=_WHOLE)})"
_AS_JSON = {
    "sqlite": f"SELECT json_group_array({_ARRAY.format(integer='INTEGER')}) FROM video_jobs",  # noqa: S608
    "mysql": f"SELECT {_ARRAY.format(integer='SIGNED')} FROM video_jobs",  # noqa: S608
}
#: Above every position.
HIGHEST = (1 << 63) - 1
_decode = msgspec.json.Decoder(list[Known], strict=False).decode  # a flag is a number


def known_jobs(conn: sa.Connection, source_id: int, ids: Sequence[str]) -> dict[str, Known]:
    """The stored jobs among `ids`, by id."""
    if not ids:
        return {}
    return _read_known(conn, source_id, *bulk.of_jobs(conn, source_id, ids))


def known_on_the_way(
    conn: sa.Connection, source_id: int, edge: int, order: Order, ids: Sequence[str]
) -> Found:
    """The stored jobs among `ids`, and as many as they are of those that a walk from `edge` meets next.

    A reconcile meets nearly all in the order they stand in. Read as a stretch they take a third of the time
    that thousands of ids take, which are parsed and looked up one by one.
    """
    if not ids:  # an empty page, or one of rejects alone: no database is asked for the next zero jobs
        return Found({})
    low, high = _stretch_bounds(conn, source_id, edge, order, len(ids))
    where = f"source_id = {int(source_id)} AND list_position > {low} AND list_position <= {high}"
    jobs = _read_known(conn, source_id, where, ())
    jobs.update(known_jobs(conn, source_id, [each for each in ids if each not in jobs]))
    return Found(jobs, low, high)


def _stretch_bounds(
    conn: sa.Connection, source_id: int, edge: int, order: Order, count: int
) -> tuple[int, int]:
    """The bounds of the next `count` jobs: above the first, up to the second position."""
    place, up = _job.list_position, order == "asc"
    query = sa.select(place).where(_job.source_id == source_id, place > edge if up else place < edge)
    end = conn.scalar(query.order_by(place if up else place.desc()).offset(count - 1).limit(1))
    if up:
        return edge, HIGHEST if end is None else end
    return -HIGHEST if end is None else end - 1, edge - 1


def _read_known(
    conn: sa.Connection, source_id: int, where: str, parameters: tuple[str, ...]
) -> dict[str, Known]:
    dialect = conn.dialect.name
    if dialect == "postgresql":
        return _by_id(map(Known._make, _fetch_rows(conn, f"{_PLAIN} WHERE {where}", parameters)))
    texts = _fetch_rows(conn, f"{_AS_JSON.get(dialect, _AS_JSON['mysql'])} WHERE {where}", parameters)
    return _from_json(conn, source_id, [text for (text,) in texts])


def _from_json(conn: sa.Connection, source_id: int, texts: list[str]) -> dict[str, Known]:
    """Row by row, Python's lock goes back and forth between threads that compute (SQLite: a third of a
    re-read), and PyMySQL takes long for each value."""
    text = texts[0] if conn.dialect.name == "sqlite" else f"[{','.join(texts)}]"
    found = _by_id(_decode(text))
    again = [job.job_id for job in found.values() if job.progress == _ASK_AGAIN]
    if again:
        where, parameters = bulk.of_jobs(conn, source_id, again)
        found.update(_by_id(map(Known._make, _fetch_rows(conn, f"{_PLAIN} WHERE {where}", parameters))))
    return found


def _by_id(jobs: Iterable[Known]) -> dict[str, Known]:
    return {job.job_id: job for job in jobs}


def _fetch_rows(conn: sa.Connection, sql: str, parameters: tuple[str, ...]) -> Sequence[Any]:
    cursor = bulk.run_driver_sql(conn, sql, parameters).cursor
    return [] if cursor is None else cursor.fetchall()


def find_neighbour(
    conn: sa.Connection, source_id: int, position: int, *, above: bool, listed: bool = False, skip: int = 0
) -> tuple[str, int] | None:
    """Id and position of the next stored job above (or below) a position; `listed` skips unlisted ones,
    `skip` so many of the next ones."""
    beyond = _job.list_position > position if above else _job.list_position < position
    column = _job.list_position
    query = sa.select(_job.job_id, column).where(_job.source_id == source_id, beyond, is_placed())
    if listed:
        query = query.where(_job.unlisted_at.is_(None))
    query = query.order_by(column if above else column.desc()).offset(skip).limit(1)
    row = conn.execute(query).one_or_none()
    return None if row is None else (row.job_id, row.list_position)


def count_between(conn: sa.Connection, source_id: int, low: int, high: int) -> int:
    """How many listed jobs stand with low < position < high."""
    between = (_job.list_position > low, _job.list_position < high, _job.unlisted_at.is_(None))
    query = sa.select(sa.func.count()).select_from(video_jobs).where(_job.source_id == source_id, *between)
    return int(conn.scalar(query) or 0)


def count_listed(conn: sa.Connection, source_id: int, low: int, high: int) -> int:
    """How many jobs with low <= position <= high are believed to be listed."""
    place = _job.list_position
    where = (_job.source_id == source_id, _job.unlisted_at.is_(None), place >= low, place <= high)
    return int(conn.scalar(sa.select(sa.func.count()).select_from(video_jobs).where(*where)) or 0)


def highest_position(conn: sa.Connection, source_id: int) -> int | None:
    """Position of the newest job ever listed."""
    value: int | None = conn.execute(
        sa.select(sa.func.max(_job.list_position)).where(_job.source_id == source_id, is_placed())
    ).scalar()
    return value


def is_placed() -> sa.ColumnElement[bool]:
    """A list has shown it: a job that only the gateway's log named stands between no others."""
    return _job.list_position > UNPLACED


def newest_before(conn: sa.Connection, source_id: int, moment: datetime) -> int | None:
    """Position of the newest job created before a moment of the gateway's clock."""
    query = sa.select(sa.func.max(_job.list_position)).where(_job.source_id == source_id, is_placed())
    value: int | None = conn.execute(query.where(_job.created_at < moment)).scalar()
    return value


def next_after(conn: sa.Connection, source_id: int, position: int | None, moment: datetime) -> int | None:
    """Position of the next listed job above a position, created after a moment of the gateway's clock."""
    column = _job.list_position
    query = sa.select(column).where(
        _job.source_id == source_id, _job.created_at > moment, _job.unlisted_at.is_(None), is_placed()
    )
    if position is not None:
        query = query.where(column > position)
    return conn.execute(query.order_by(column).limit(1)).scalar()


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
    asked = {"source": source_id, "most": limit}
    waiting, missed = (conn.execute(query, asked).all() for query in _candidates())
    both = [(True, row) for row in waiting] + [(False, row) for row in missed]
    return [Candidate(is_open, row.job_id, row.read_at) for is_open, row in both]


def jobs_to_reread(conn: sa.Connection, source_id: int, limit: int) -> list[str]:
    """Their ids, each once."""
    return list(dict.fromkeys(each.job_id for each in reread_candidates(conn, source_id, limit)))


@cache  # every tick asks, and to put such a statement together takes ten times as long as to execute it
def _candidates() -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Open jobs, and missed ones."""
    source = sa.bindparam("source", type_=sa.Integer)
    missed = [by_suspicion(source), _job.suspect_run_id.is_not(None), _job.unlisted_at.is_(None)]
    read = sa.func.coalesce(_job.reread_at, _job.first_seen_at).label("read_at")
    found = sa.select(_job.job_id, read).order_by(read, _job.list_position).limit(sa.bindparam("most"))
    return found.where(*_open_conditions(source)), found.where(*missed)


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


def seen_before(conn: sa.Connection, source_id: int, ids: Sequence[str], run_id: int) -> bool:
    """Whether one of these jobs came to light in a run before this one."""
    where = (_job.source_id == source_id, _job.job_id.in_(ids), _job.first_run_id < run_id)
    return conn.scalar(sa.select(sa.literal(1)).where(*where).limit(1)) is not None


def newest_known(conn: sa.Connection, source_id: int, ground: int) -> tuple[str, datetime | None] | None:
    """Id and creation of the newest job first seen by run `ground` or an earlier one."""
    query = (
        sa.select(_job.job_id, _job.created_at)
        .where(_job.source_id == source_id, _job.first_run_id <= ground, is_placed())
        .order_by(_job.list_position.desc())
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else (row.job_id, row.created_at)
