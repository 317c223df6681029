"""What the database already knows of the jobs of a batch, read in a statement or two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

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


def seen_before(conn: sa.Connection, source_id: int, ids: Sequence[str], run_id: int) -> bool:
    """Whether one of these jobs came to light in a run before this one."""
    where = (_job.source_id == source_id, _job.job_id.in_(ids), _job.first_run_id < run_id)
    return conn.scalar(sa.select(sa.literal(1)).where(*where).limit(1)) is not None


def listed_between(
    conn: sa.Connection, source_id: int, low: datetime | None, high: datetime, most: int
) -> list[str]:
    """Jobs believed to be listed that were created between these times (UTC), and not at them; the newest
    first, `most` at most. `low` None: since ever."""
    after = () if low is None else (_job.created_at > low,)
    which = (_job.source_id == source_id, _job.unlisted_at.is_(None), _job.created_at < high, *after)
    query = sa.select(_job.job_id).where(*which, is_placed()).order_by(_job.list_position.desc()).limit(most)
    return list(conn.scalars(query))


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
