"""One job's life: every version, with what changed from the one before."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from etl.config.nearest import unknown_name
from etl.db.engine import storage_errors
from etl.errors import ConfigError
from etl.records import TRACKED
from etl.schema.tables import sources, video_job_versions, video_jobs

#: How many ids are offered for one that does not exist.
NEAREST = 5
#: Characters of an id that name a job if only one begins so.
SHORTEST = 6
#: From this likeness on (0 to 1) an id is offered for another; also one that begins the same.
ALIKE = 0.5
#: Ids with the same beginning that are counted.
_COUNTED = 1000
#: Of how many of the newest changes the liveliest job is chosen.
_NEWEST = 2000


class UnknownJob(ConfigError):
    """No source has a job of this id, or several ids begin so; `nearest` are stored ids that look like it."""

    def __init__(self, what: str, nearest: tuple[str, ...], hint: str) -> None:
        super().__init__(what, hint=hint)
        self.nearest = nearest


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A column that changed, and its values before and after."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One version. `valid_from` is when the page that showed it was received (our clock, UTC)."""

    version: int
    op: str
    valid_from: datetime
    run_id: int
    status: str
    changes: tuple[FieldChange, ...]
    unlisted_reason: str | None


@dataclass(frozen=True, slots=True)
class JobHistory:
    """A job of one source: as it is now, and every version, oldest first. `now` holds the tracked columns."""

    source: str
    job_id: str
    now: dict[str, Any]
    first_seen_at: datetime
    last_changed_at: datetime
    unlisted_at: datetime | None
    versions: tuple[Change, ...]


def read_history(engine: sa.Engine, job_id: str, source: str | None = None) -> list[JobHistory]:
    """The job in every source that has it, or in one. Its id may lack the provider at its end, or be a
    beginning that only one id has. Raises ConfigError when none has it, StorageError."""
    with storage_errors(), engine.connect() as conn:
        names = _find_sources(conn, source)
        meant = _meant(conn, job_id, list(names))
        if meant is None:
            raise _unknown_job(conn, job_id, list(names))
        return [
            _read_history(conn, names[row.source_id], row) for row in _current_rows(conn, meant, list(names))
        ]


def ids_beginning(engine: sa.Engine, text: str, limit: int) -> list[str]:
    """Stored ids that begin so, the first in sort order. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        return sorted(_beginning_with(conn, text, list(_find_sources(conn, None)), limit))[:limit]


def similar_ids(engine: sa.Engine, job_id: str) -> list[str]:
    """The stored id that `read_history` would take this for, or else those that look like it. Raises
    StorageError."""
    with storage_errors(), engine.connect() as conn:
        ids = list(_find_sources(conn, None))
        meant = _meant(conn, job_id, ids)
        return _nearest_ids(conn, job_id, ids) if meant is None else [meant]


def _meant(conn: sa.Connection, job_id: str, ids: Sequence[int]) -> str | None:
    """The stored id that is meant: this one, this one of one provider, or the only one that begins so.
    Ids are stored as the gateway escapes them, and may be typed as the provider writes them."""
    for typed in dict.fromkeys((job_id, quote(job_id, safe=":"), quote(job_id, safe=""))) if job_id else ():
        for beginning in (typed, f"{typed}:"):
            found = _beginning_with(conn, beginning, ids, 2)
            if typed in found:
                return typed
            if len(found) == 1 and (beginning != typed or len(typed) >= SHORTEST):
                return found.pop()
    return None


def _beginning_with(conn: sa.Connection, beginning: str, ids: Sequence[int], limit: int) -> set[str]:
    """A few of the stored ids that begin so, the first in sort order, through the index."""
    column, found = video_jobs.c.job_id, set[str]()
    for source_id in ids:
        query = sa.select(column).where(video_jobs.c.source_id == source_id, column >= beginning)
        found.update(conn.scalars(query.order_by(column).limit(limit)))
    return {other for other in found if other.startswith(beginning)}


def _find_sources(conn: sa.Connection, name: str | None) -> dict[int, str]:
    names = {
        row.id: row.name for row in conn.execute(sa.select(sources.c.id, sources.c.name).order_by("name"))
    }
    if name is None:
        return names
    chosen = {source_id: known for source_id, known in names.items() if known == name}
    if not chosen:
        raise unknown_name("source", name, names.values())
    return chosen


def find_source_ids(engine: sa.Engine, names: Sequence[str]) -> list[int]:
    """The keys of sources by name. Raises ConfigError for a name that the database does not know."""
    with storage_errors(), engine.connect() as conn:
        return [source_id for name in names for source_id in _find_sources(conn, name)]


def _current_rows(conn: sa.Connection, job_id: str, ids: Sequence[int]) -> Sequence[sa.Row[Any]]:
    where = video_jobs.c.source_id.in_(ids), video_jobs.c.job_id == job_id
    return conn.execute(sa.select(video_jobs).where(*where).order_by(video_jobs.c.source_id)).all()


def _read_history(conn: sa.Connection, source: str, row: sa.Row[Any]) -> JobHistory:
    table = video_job_versions
    where = table.c.source_id == row.source_id, table.c.job_id == row.job_id
    versions = conn.execute(sa.select(table).where(*where).order_by(table.c.version)).all()
    return JobHistory(
        source=source,
        job_id=row.job_id,
        now={name: row._mapping[name] for name in TRACKED},
        first_seen_at=row.first_seen_at,
        last_changed_at=row.last_changed_at,
        unlisted_at=row.unlisted_at,
        versions=tuple(
            _describe_change(before, version)
            for before, version in zip([None, *versions], versions, strict=False)
        ),
    )


def _describe_change(before: sa.Row[Any] | None, row: sa.Row[Any]) -> Change:
    named = json.loads(row.changed_fields) if row.changed_fields else []
    old = {} if before is None else before._mapping
    fields = [name for name in named if name in TRACKED]
    return Change(
        version=row.version,
        op=row.op,
        valid_from=row.valid_from,
        run_id=row.run_id,
        status=row.status,
        changes=tuple(FieldChange(name, old.get(name), row._mapping[name]) for name in fields),
        unlisted_reason=row.unlisted_reason,
    )


def _unknown_job(conn: sa.Connection, job_id: str, ids: Sequence[int]) -> ConfigError:
    if conn.scalar(sa.select(video_jobs.c.job_id).where(video_jobs.c.source_id.in_(ids)).limit(1)) is None:
        hint = "nothing has been synced yet; run: bifrost-etl sync"
        return UnknownJob(f"no job {job_id!r} in the database", (), hint)
    near = tuple(_nearest_ids(conn, job_id, ids))
    if (many := len(_beginning_with(conn, job_id, ids, _COUNTED + 1))) > 1:
        number = f"more than {_COUNTED:,}" if many > _COUNTED else str(many)
        hint = f"type more of the id; the first are {', '.join(near)}"
        return UnknownJob(f"{number} jobs begin with {job_id!r}", near, hint)
    hint = f"nearest: {', '.join(near)}" if near else "no stored id looks like it"
    return UnknownJob(f"no job {job_id!r} in the database", near, hint)


def _nearest_ids(conn: sa.Connection, job_id: str, ids: Sequence[int]) -> list[str]:
    """Stored ids that begin so; where none does, those around `job_id` in sort order, likest first: a few
    index look-ups, whatever the size."""
    column = video_jobs.c.job_id
    if job_id and (begin := _beginning_with(conn, job_id, ids, NEAREST)):
        return sorted(begin)[:NEAREST]
    near: set[str] = set()
    for source_id in ids:
        for beyond, order in ((column >= job_id, column), (column < job_id, column.desc())):
            query = sa.select(column).where(video_jobs.c.source_id == source_id, beyond)
            near.update(conn.scalars(query.order_by(order).limit(NEAREST)))
    alike = {other: difflib.SequenceMatcher(None, job_id, other).ratio() for other in near}
    meant = [o for o in near if alike[o] >= ALIKE or o.startswith(job_id[:SHORTEST])]
    return sorted(meant, key=lambda other: (-alike[other], other))[:NEAREST]


def liveliest_job(engine: sa.Engine) -> str | None:
    """The job with the longest history among the newest changes; None in an empty database."""
    table = video_job_versions
    recent = (
        sa.select(table.c.job_id, table.c.version, table.c.change_seq)
        .order_by(table.c.change_seq.desc())
        .limit(_NEWEST)
        .subquery()
    )
    query = sa.select(recent.c.job_id).order_by(recent.c.version.desc(), recent.c.change_seq.desc()).limit(1)
    with storage_errors(), engine.connect() as conn:
        job_id: str | None = conn.scalar(query)
        return job_id
