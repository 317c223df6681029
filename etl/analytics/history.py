"""One job's life: every version, with what changed from the one before."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from etl.db.engine import storage_errors
from etl.errors import ConfigError
from etl.records import TRACKED
from etl.schema.tables import sources, video_job_versions, video_jobs

#: How many ids are offered for one that does not exist.
NEAREST = 5


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
    """The job in every source that has it, or in one. Raises ConfigError when none has, StorageError."""
    with storage_errors(), engine.connect() as conn:
        names = _sources(conn, source)
        found = [_history(conn, names[row.source_id], row) for row in _current(conn, job_id, list(names))]
        if not found:
            raise _unknown(conn, job_id, list(names))
        return found


def _sources(conn: sa.Connection, name: str | None) -> dict[int, str]:
    names = {
        row.id: row.name for row in conn.execute(sa.select(sources.c.id, sources.c.name).order_by("name"))
    }
    if name is None:
        return names
    chosen = {source_id: known for source_id, known in names.items() if known == name}
    if not chosen:
        known = ", ".join(names.values()) or "none yet"
        raise ConfigError(f"the database has no source named {name!r}", hint=f"sources: {known}")
    return chosen


def _current(conn: sa.Connection, job_id: str, ids: Sequence[int]) -> Sequence[sa.Row[Any]]:
    where = video_jobs.c.source_id.in_(ids), video_jobs.c.job_id == job_id
    return conn.execute(sa.select(video_jobs).where(*where).order_by(video_jobs.c.source_id)).all()


def _history(conn: sa.Connection, source: str, row: sa.Row[Any]) -> JobHistory:
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
            _change(before, version) for before, version in zip([None, *versions], versions, strict=False)
        ),
    )


def _change(before: sa.Row[Any] | None, row: sa.Row[Any]) -> Change:
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


def _unknown(conn: sa.Connection, job_id: str, ids: Sequence[int]) -> ConfigError:
    near = _nearest(conn, job_id, ids)
    hint = f"nearest: {', '.join(near)}" if near else "nothing has been synced yet; run: bifrost-etl sync"
    return ConfigError(f"no job {job_id!r} in the database", hint=hint)


def _nearest(conn: sa.Connection, job_id: str, ids: Sequence[int]) -> list[str]:
    """Stored ids around `job_id` in sort order, likest first: two index look-ups, whatever the size."""
    column = video_jobs.c.job_id
    near: set[str] = set()
    for source_id in ids:
        for beyond, order in ((column >= job_id, column), (column < job_id, column.desc())):
            query = sa.select(column).where(video_jobs.c.source_id == source_id, beyond)
            near.update(conn.scalars(query.order_by(order).limit(NEAREST)))
    likest = sorted(near, key=lambda other: -difflib.SequenceMatcher(None, job_id, other).ratio())
    return likest[:NEAREST]
