"""How a source is doing, for schedules: what one cheap read tells, and what a run's end leaves behind."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from etl.db.engine import read_transaction, write_transaction
from etl.load.alerts import outage_told
from etl.load.lease import LONGEST, database_now
from etl.schema.tables import coverage_gaps, leases, sources, sync_runs, sync_state, video_jobs

#: Refused runs in a row after which a source is disabled: a single one passes, as a key is being changed.
REFUSALS = 3
_REFUSED = ("Forbidden", "Unauthorized", "Unsupported")


@dataclass(frozen=True, slots=True)
class Health:
    """One source. Instants are UTC; the lease is judged by the database's clock.

    `failures` counts failed runs in a row; `told` says that people know of them. `changed` says that the last
    run found something new, `open_jobs` that jobs are unfinished. `holder` writes it now and will hold it for
    `lease_left` more seconds at least.
    """

    created_at: datetime
    failures: int
    disabled_at: datetime | None
    disabled_reason: str | None
    config_hash: str | None
    complete_at: datetime | None
    reconciled_at: datetime | None
    retired_at: datetime | None = None
    last_started: datetime | None = None
    last_status: str | None = None
    last_worker: str | None = None
    changed: bool = False
    open_jobs: bool = False
    holder: str | None = None
    lease_left: float = 0.0
    told: bool = False

    @property
    def abandoned(self) -> bool:
        """Its last run never ended, and nobody holds the lease any more: that process is dead or frozen."""
        return self.last_status == "running" and self.holder is None


def read_health(engine: sa.Engine, name: str, open_since: datetime) -> Health | None:
    """The source's health, or None before its first run. Open jobs older than `open_since` do not count.

    Raises StorageError.
    """
    with read_transaction(engine) as conn:
        row = conn.execute(_health_query(name, open_since)).one_or_none()
        return None if row is None else _health_of_row(row, database_now(conn))


def abandoned_sources(engine: sa.Engine) -> set[str]:
    """Names of the sources whose last run died without giving its lease back. Raises StorageError."""
    query = (
        sa.select(sources.c.name)
        .join(leases, leases.c.source_id == sources.c.id)
        .join(sync_runs, _is_newest_run())
        .where(sync_runs.c.status == "running")
    )
    with read_transaction(engine) as conn:
        moment = database_now(conn)
        ends = leases.c.expires_at
        dead = sa.or_(ends.is_(None), ends <= moment, ends > moment + LONGEST)
        return set(conn.scalars(query.where(dead)))


def retire_source(engine: sa.Engine, name: str, *, now: datetime, reason: str) -> None:
    """Make an archive of the source: it is no longer asked, and nothing of it is called stale or failed.

    `reason` is the evidence, redacted. Raises StorageError."""
    untroubled = {"failures": 0} | dict.fromkeys(("disabled_at", "disabled_reason", "config_hash"))
    _update_source(engine, name, {"retired_at": now, "retired_reason": reason, **untroubled})


def revive_source(engine: sa.Engine, name: str) -> None:
    """Ask the source again from its next turn on: what a walk has left unread counts again. Raises
    StorageError."""
    _update_source(engine, name, dict.fromkeys(("retired_at", "retired_reason")))
    left = (coverage_gaps.c.source_id == _id_of(name), coverage_gaps.c.kind == "interrupted")
    with write_transaction(engine) as conn:
        conn.execute(sa.update(coverage_gaps).where(*left).values(accepted_at=None))


def last_completions(engine: sa.Engine) -> dict[str, datetime | None]:
    """When each source was last known complete; None of one that never was, or is retired.

    Raises StorageError."""
    active = sa.case((sync_state.c.retired_at.is_(None), sync_state.c.complete_at))
    query = sa.select(sources.c.name, active.label("complete_at")).join(
        sync_state, sync_state.c.source_id == sources.c.id
    )
    with read_transaction(engine) as conn:
        return {row.name: row.complete_at for row in conn.execute(query)}


def count_refusals(engine: sa.Engine, name: str) -> int:
    """How many of the newest runs in a row the gateway refused; looks at REFUSALS at most.

    Raises StorageError.
    """
    query = (
        sa.select(sync_runs.c.error_class)
        .where(sync_runs.c.source_id == _id_of(name))
        .order_by(sync_runs.c.id.desc())
        .limit(REFUSALS)
    )
    with read_transaction(engine) as conn:
        classes = list(conn.scalars(query))
    return len(list(itertools.takewhile(lambda found: found in _REFUSED, classes)))


def note_failure(
    engine: sa.Engine, name: str, *, now: datetime, disabled: str | None, fingerprint: str
) -> None:
    """One more failed run; `disabled` is the redacted reason when the settings themselves were refused."""
    values: dict[str, Any] = {"failures": sync_state.c.failures + 1}
    if disabled is not None:
        values |= {"disabled_at": now, "disabled_reason": disabled, "config_hash": fingerprint}
    _update_source(engine, name, values)


def release_all(engine: sa.Engine, process: str) -> None:
    """Give back what this process (`host:pid`) still holds; its late writers are refused from now on."""
    mine = leases.c.holder.startswith(process + ":", autoescape=True)
    held = sa.select(leases.c.source_id).where(mine)
    with write_transaction(engine) as conn:
        ids = list(conn.scalars(held))
        conn.execute(sa.update(leases).where(mine).values(holder=None, expires_at=None))
        conn.execute(
            sa.update(sync_runs)
            .where(sync_runs.c.source_id.in_(ids), sync_runs.c.status == "running")
            .values(status="interrupted", error_class="Stopped", error_message="left behind at shutdown")
        )


def _update_source(engine: sa.Engine, name: str, values: dict[str, Any]) -> None:
    with write_transaction(engine) as conn:
        conn.execute(sa.update(sync_state).where(sync_state.c.source_id == _id_of(name)).values(values))


def _id_of(name: str) -> sa.ScalarSelect[int]:
    return sa.select(sources.c.id).where(sources.c.name == name).scalar_subquery()


def _is_newest_run() -> sa.ColumnElement[bool]:
    runs = sync_runs.alias()
    newest = sa.select(sa.func.max(runs.c.id)).where(runs.c.source_id == sources.c.id)
    newest_id = newest.correlate(sources).scalar_subquery()
    return sa.and_(sync_runs.c.source_id == sources.c.id, sync_runs.c.id == newest_id)


def _health_query(name: str, open_since: datetime) -> sa.Select[Any]:
    jobs = video_jobs.c
    unfinished = sa.exists().where(
        jobs.source_id == sources.c.id,
        ~jobs.settled,
        jobs.unlisted_at.is_(None),
        sa.func.coalesce(jobs.created_at, jobs.first_seen_at) > open_since,
    )
    return (
        sa.select(
            sources.c.created_at,
            *(sync_state.c[name] for name in Health.__slots__ if name in sync_state.c),
            sync_runs.c.started_at,
            sync_runs.c.status,
            sync_runs.c.worker,
            (sync_runs.c.jobs_inserted + sync_runs.c.jobs_updated).label("changes"),
            unfinished.label("open_jobs"),
            outage_told(name).label("told"),
            leases.c.holder,
            leases.c.expires_at,
        )
        .join(sync_state, sync_state.c.source_id == sources.c.id)
        .outerjoin(leases, leases.c.source_id == sources.c.id)
        .outerjoin(sync_runs, _is_newest_run())
        .where(sources.c.name == name)
    )


def _health_of_row(row: sa.Row[Any], now: datetime) -> Health:
    left = 0.0 if row.expires_at is None else (row.expires_at - now).total_seconds()
    is_held = 0 < left <= LONGEST.total_seconds()
    return Health(
        created_at=row.created_at,
        failures=row.failures,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        config_hash=row.config_hash,
        complete_at=row.complete_at,
        reconciled_at=row.reconciled_at,
        retired_at=row.retired_at,
        last_started=row.started_at,
        last_status=row.status,
        last_worker=row.worker,
        changed=bool(row.changes),
        open_jobs=bool(row.open_jobs),
        holder=row.holder if is_held else None,
        lease_left=left if is_held else 0.0,
        told=bool(row.told),
    )
