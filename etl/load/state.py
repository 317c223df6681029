"""Where a source stands: frontier, checkpoint, trouble, and the rows that name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from etl.db.types import UtcDateTime
from etl.errors import CommitLost, SourceRetired
from etl.load import awaited, bulk, lookup
from etl.load.learned import Learned, from_text
from etl.load.sql_values import storable_text
from etl.schema.tables import leases, sources, sync_runs, sync_state, video_jobs

#: A job may appear so long after jobs that the list places behind it: they share its second, or a gateway
#: took its time to store it.
LOOK_BACK = timedelta(seconds=10)
#: A second that was over so long before the list was read, by our clock, gets no more jobs.
FRESH = timedelta(minutes=5)
#: A job created later than this from now has a wrong clock.
CREDIBLE = timedelta(hours=1)

#: What a run that succeeded leaves of the failures before it.
UNTROUBLED = {"failures": 0} | dict.fromkeys(("disabled_at", "disabled_reason", "config_hash"))

# What every tick says is put together once: that takes longer than to execute it.
_SOURCE: sa.BindParameter[Any] = sa.bindparam("source")
_FACTS = (
    sa.select(
        *(sources.c[name] for name in ("id", "base_url", "provider", "key_name")),
        sync_state.c.retired_at,
        sync_state.c.retired_reason,
    )
    .join(sync_state, sync_state.c.source_id == sources.c.id)
    .where(sources.c.name == _SOURCE)
)
_STATE = sa.select(sync_state).where(sync_state.c.source_id == _SOURCE)


class Trouble(msgspec.Struct, frozen=True):
    """The last `runs` runs, since `since`, ended with the same error at the same place: behind `after`."""

    after: str | None
    order: str
    error: str
    runs: int
    since: datetime


@dataclass(slots=True)
class SyncState:
    """`sync_state`, as the run sees it. `checkpoint` is None unless a walk is unfinished."""

    frontier_id: str | None = None
    cursor: str | None = None
    checkpoint: dict[str, Any] | None = None
    list_order: str | None = None
    complete_run_id: int | None = None
    complete_at: datetime | None = None
    reconciled_at: datetime | None = None
    last_commit: str | None = None
    trouble: Trouble | None = None
    learned: Learned = field(default_factory=Learned)


_KEPT = tuple(each.name for each in fields(SyncState))


def find_source(
    conn: sa.Connection, name: str, base_url: str, provider: str | None, key_name: str | None
) -> int | None:
    """The source's id, or None when it is new or its facts have changed. Raises SourceRetired."""
    row = conn.execute(_FACTS, {"source": name}).one_or_none()
    if row is not None and row.retired_at is not None:
        raise SourceRetired(
            f"retired since {row.retired_at:%Y-%m-%d} and no longer asked: {row.retired_reason}",
            hint=f"to ask it again: bifrost-etl source revive {name}",
        )
    facts = (base_url, provider, key_name)
    return row.id if row is not None and (row.base_url, row.provider, row.key_name) == facts else None


def register_source(
    conn: sa.Connection, name: str, base_url: str, provider: str | None, key_name: str | None, now: datetime
) -> int:
    """The source's id; its rows are made on first use, and its address kept up to date."""
    values = {"base_url": base_url, "provider": provider, "key_name": key_name}
    row = conn.execute(sa.select(sources).where(sources.c.name == name)).one_or_none()
    if row is None:
        return _create_source(conn, {"name": name, "created_at": now, **values})
    if any(row._mapping[key] != value for key, value in values.items()):
        conn.execute(sa.update(sources).where(sources.c.id == row.id).values(**values))
    if row.base_url != base_url:
        _forget_gateway(conn, row.id)
    return int(row.id)


def _forget_gateway(conn: sa.Connection, source_id: int) -> None:
    """How the list behaves was learned at another address."""
    mine = sync_state.c.source_id == source_id
    learned = from_text(conn.scalar(sa.select(sync_state.c.learned).where(mine)))
    kept = learned.elsewhere().as_text()
    conn.execute(sa.update(sync_state).where(mine).values(list_order=None, learned=kept))


def _create_source(conn: sa.Connection, values: dict[str, Any]) -> int:
    source_id = bulk.insert_one(conn, sources, values)
    conn.execute(sa.insert(sync_state).values(source_id=source_id))
    conn.execute(sa.insert(leases).values(source_id=source_id, token=0))
    return source_id


def read_state(conn: sa.Connection, source_id: int) -> SyncState:
    row = conn.execute(_STATE, {"source": source_id}).one()
    return SyncState(
        frontier_id=row.frontier_id,
        cursor=row.cursor,
        checkpoint=None if row.checkpoint is None else msgspec.json.decode(row.checkpoint),
        list_order=row.list_order,
        complete_run_id=row.complete_run_id,
        complete_at=row.complete_at,
        reconciled_at=row.reconciled_at,
        last_commit=row.last_commit,
        trouble=None if row.trouble is None else msgspec.json.decode(row.trouble, type=Trouble),
        learned=from_text(row.learned),
    )


def write_state(
    conn: sa.Connection,
    source_id: int,
    state: SyncState,
    *,
    mark: str,
    newest: datetime | None = None,
    **more: Any,
) -> None:
    """Store `state`, under the new commit's mark, over what the last commit left; CommitLost if that is gone.

    `newest` (creation of the newest job of this batch) only ever moves forward.
    """
    before, state.last_commit = state.last_commit, mark
    values = {name: getattr(state, name) for name in _KEPT} | more
    if state.checkpoint is not None:
        values["checkpoint"] = msgspec.json.encode(_storable_cursors(state.checkpoint)).decode()
    if state.trouble is not None:
        values["trouble"] = msgspec.json.encode(state.trouble).decode()
    values["learned"] = state.learned.as_text()
    statement = _state_update(tuple(values), forward=newest is not None)
    which = {"source": source_id, "before": before, "newest": newest}
    if conn.execute(statement, values | which).rowcount != 1:
        raise CommitLost


@cache
def _state_update(names: tuple[str, ...], *, forward: bool) -> sa.Update:
    """Sets these columns; `forward`: the newest job's creation as well."""
    values: dict[str, Any] = {name: sa.bindparam(name) for name in names}
    column = sync_state.c.newest_job_at
    if forward:
        newest = sa.bindparam("newest", type_=UtcDateTime)
        values[column.name] = sa.case((column >= newest, column), else_=newest)
    before = sync_state.c.last_commit.is_not_distinct_from(sa.bindparam("before", type_=sa.String))
    return sa.update(sync_state).where(sync_state.c.source_id == _SOURCE, before).values(values)


def _storable_cursors(found: Any) -> Any:
    """Cursors as every database's JSON takes them; one that this changes is dead, and found to be so."""
    if isinstance(found, dict):
        return {name: _storable_cursors(value) for name, value in found.items()}
    if isinstance(found, list):
        return [_storable_cursors(value) for value in found]
    return storable_text(found) if isinstance(found, str) else found


def last_commit(conn: sa.Connection, source_id: int) -> str | None:
    mark: str | None = conn.execute(
        sa.select(sync_state.c.last_commit).where(sync_state.c.source_id == source_id)
    ).scalar()
    return mark


@dataclass(frozen=True, slots=True)
class LookBack:
    """How far before the frontier the next walk begins. `since` (UTC): when this run began to read the list;
    `most`: jobs that one page shows besides what is new."""

    since: datetime
    most: int


def advance_frontier(
    conn: sa.Connection, source_id: int, state: SyncState, now: datetime, patience: float, back: LookBack
) -> dict[str, Any]:
    """Move `state` to the newest job such that it and all older ones are settled or no longer waited for.

    Its cursor is a job before that one. Correct only while the stored jobs are a gapless stretch of the list.
    Returns the frontier's own columns.
    """
    asked = {"source": source_id, "since": now - timedelta(seconds=patience), "most": back.most + 1}
    rows = conn.execute(_behind_open(), asked).all()
    state.frontier_id = rows[0].job_id if rows else None
    state.cursor = _cursor_before(conn, asked, rows, back)
    return {"frontier_created_at": rows[0].created_at if rows else None}


@cache
def _behind_open() -> sa.Select[Any]:
    """`most` listed jobs older than every open one that is waited for, newest first."""
    c = video_jobs.c
    place = c.list_position < sa.func.coalesce(awaited.oldest_open(), lookup.HIGHEST)
    listed = (c.source_id == _SOURCE, c.unlisted_at.is_(None), c.suspect_run_id.is_(None), lookup.is_placed())
    query = sa.select(c.job_id, c.created_at).where(*listed, place).order_by(c.list_position.desc())
    return query.limit(sa.bindparam("most"))


def _cursor_before(
    conn: sa.Connection, asked: dict[str, Any], rows: Sequence[sa.Row[Any, Any]], back: LookBack
) -> str | None:
    """Behind a job of an earlier second: a gateway that orders by time and id puts a new job before others of
    its second. Where jobs came so fast that a page does not hold them all, only while more may come."""
    if len(rows) < 2:
        return None
    times = [row.created_at for row in rows]
    newest = next((t for t in times if t is not None and t <= back.since + CREDIBLE), None)
    if newest is None:
        return str(rows[1].job_id)
    older = (row.job_id for row in rows[1:] if row.created_at and newest - row.created_at > LOOK_BACK)
    if (found := next(older, None)) is not None:
        return str(found)
    if newest < back.since - FRESH:
        return str(rows[-1].job_id)
    earlier = _behind_open().where(video_jobs.c.created_at < newest - LOOK_BACK)
    row = conn.execute(earlier, asked | {"most": 1}).one_or_none()
    return None if row is None else str(row.job_id)


def may_be_joined(conn: sa.Connection, complete_run_id: int | None, newest: datetime) -> bool:
    """A job may since have appeared among those of this time of creation (UTC): the last complete run began
    to read before their second was long over."""
    query = sa.select(sync_runs.c.started_at).where(sync_runs.c.id == complete_run_id)
    began: datetime | None = conn.scalar(query)
    return began is None or newest >= began - FRESH
