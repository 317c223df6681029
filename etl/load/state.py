"""Where a source stands: frontier, checkpoint, coverage gaps, and the rows that name it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from etl.db.models import coverage_gaps, leases, sources, sync_state, video_jobs
from etl.errors import CommitLost
from etl.load import bulk, known

#: What a run that succeeded leaves of the failures before it.
UNTROUBLED = {"failures": 0} | dict.fromkeys(("disabled_at", "disabled_reason", "config_hash"))


@dataclass(slots=True)
class State:
    """`sync_state`, as the run sees it. `checkpoint` is None unless a walk is unfinished."""

    frontier_id: str | None = None
    cursor: str | None = None
    checkpoint: dict[str, Any] | None = None
    list_order: str | None = None
    complete_run_id: int | None = None
    complete_at: datetime | None = None
    reconciled_at: datetime | None = None
    last_commit: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Jobs may have come and gone between these two instants of creation (UTC)."""

    gap_from: datetime | None
    gap_until: datetime | None
    last_known_job_id: str | None
    oldest_listed_job_id: str | None
    reason: str


def registered(
    conn: sa.Connection, name: str, base_url: str, provider: str | None, key_name: str | None
) -> int | None:
    """The source's id, or None when it is new or its facts have changed."""
    columns = (sources.c.base_url, sources.c.provider, sources.c.key_name)
    row = conn.execute(sa.select(sources.c.id, *columns).where(sources.c.name == name)).one_or_none()
    return row.id if row is not None and tuple(row[1:]) == (base_url, provider, key_name) else None


def register(
    conn: sa.Connection, name: str, base_url: str, provider: str | None, key_name: str | None, now: datetime
) -> int:
    """The source's id; its rows are made on first use, and its address kept up to date."""
    values = {"base_url": base_url, "provider": provider, "key_name": key_name}
    row = conn.execute(sa.select(sources).where(sources.c.name == name)).one_or_none()
    if row is None:
        return _create(conn, {"name": name, "created_at": now, **values})
    if any(row._mapping[key] != value for key, value in values.items()):
        conn.execute(sa.update(sources).where(sources.c.id == row.id).values(**values))
    return int(row.id)


def _create(conn: sa.Connection, values: dict[str, Any]) -> int:
    source_id = bulk.insert_one(conn, sources, values)
    conn.execute(sa.insert(sync_state).values(source_id=source_id))
    conn.execute(sa.insert(leases).values(source_id=source_id, token=0))
    return source_id


def read(conn: sa.Connection, source_id: int) -> State:
    row = conn.execute(sa.select(sync_state).where(sync_state.c.source_id == source_id)).one()
    return State(
        frontier_id=row.frontier_id,
        cursor=row.cursor,
        checkpoint=None if row.checkpoint is None else msgspec.json.decode(row.checkpoint),
        list_order=row.list_order,
        complete_run_id=row.complete_run_id,
        complete_at=row.complete_at,
        reconciled_at=row.reconciled_at,
        last_commit=row.last_commit,
    )


def write(
    conn: sa.Connection,
    source_id: int,
    state: State,
    *,
    mark: str,
    newest: datetime | None = None,
    **more: Any,
) -> None:
    """Store `state`, under the new commit's mark, over what the last commit left; CommitLost if that is gone.

    `newest` (creation of the newest job of this batch) only ever moves forward.
    """
    column = sync_state.c.newest_job_at
    if newest is not None:
        more["newest_job_at"] = sa.case((column >= newest, column), else_=newest)
    checkpoint = None
    if state.checkpoint is not None:
        checkpoint = msgspec.json.encode(_storable(state.checkpoint)).decode()
    before, state.last_commit = state.last_commit, mark
    found = conn.execute(
        sa.update(sync_state)
        .where(sync_state.c.source_id == source_id, sync_state.c.last_commit.is_not_distinct_from(before))
        .values(
            frontier_id=state.frontier_id,
            cursor=state.cursor,
            checkpoint=checkpoint,
            list_order=state.list_order,
            complete_run_id=state.complete_run_id,
            complete_at=state.complete_at,
            reconciled_at=state.reconciled_at,
            last_commit=mark,
            **more,
        )
    )
    if found.rowcount != 1:
        raise CommitLost


def _storable(found: Any) -> Any:
    """Cursors as every database's JSON takes them; one that this changes is dead, and found to be so."""
    if isinstance(found, dict):
        return {name: _storable(value) for name, value in found.items()}
    if isinstance(found, list):
        return [_storable(value) for value in found]
    return bulk.storable(found) if isinstance(found, str) else found


def last_commit(conn: sa.Connection, source_id: int) -> str | None:
    mark: str | None = conn.execute(
        sa.select(sync_state.c.last_commit).where(sync_state.c.source_id == source_id)
    ).scalar()
    return mark


def advance_frontier(
    conn: sa.Connection, source_id: int, state: State, now: datetime, patience: float
) -> dict[str, Any]:
    """Move `state` to the newest job such that it and all older ones are settled or no longer waited for.

    Correct only while the stored jobs are a gapless stretch of the list. Returns the frontier's own columns.
    """
    table, place = video_jobs, video_jobs.c.list_position
    barrier = known.oldest_open(source_id, now - timedelta(seconds=patience))
    query = sa.select(table.c.job_id, table.c.created_at).where(
        table.c.source_id == source_id,
        table.c.unlisted_at.is_(None),
        table.c.suspect_run_id.is_(None),
        place < sa.func.coalesce(barrier, known.HIGHEST),
    )
    rows = conn.execute(query.order_by(table.c.list_position.desc()).limit(2)).all()
    state.frontier_id = rows[0].job_id if rows else None
    state.cursor = rows[1].job_id if len(rows) > 1 else None
    return {"frontier_created_at": rows[0].created_at if rows else None}


def record_gap(conn: sa.Connection, source_id: int, run_id: int, gap: Gap, now: datetime) -> bool:
    """Write the gap, or stretch the one that began at the same job; True when it is new."""
    table = coverage_gaps
    same = [table.c.source_id == source_id, table.c.last_known_job_id == gap.last_known_job_id]
    if gap.last_known_job_id is not None:
        stretched = conn.execute(
            sa.update(table)
            .where(*same, table.c.oldest_listed_job_id.is_(None))
            .values(gap_until=gap.gap_until, oldest_listed_job_id=gap.oldest_listed_job_id, reason=gap.reason)
        )
        if stretched.rowcount:
            return False
    conn.execute(
        sa.insert(table).values(
            source_id=source_id,
            run_id=run_id,
            detected_at=now,
            **{name: getattr(gap, name) for name in gap.__slots__},
        )
    )
    return True
