"""The run log: one row per run, written with the run's first commit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from etl.load import bulk
from etl.load.sql_values import storable_text
from etl.records import Counts, RunKind
from etl.schema.tables import sync_runs


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended. `status`: ok, failed or interrupted; the message carries no secret."""

    status: str
    error_class: str | None = None
    error_message: str | None = None


_COUNTS = tuple(field.name for field in fields(Counts))
# Put together once, as every tick asks it.
_NEWEST = (
    sa.select(sync_runs.c.id, sync_runs.c.status)
    .where(sync_runs.c.source_id == sa.bindparam("source"))
    .order_by(sync_runs.c.id.desc())
    .limit(1)
)


def begin_run(
    conn: sa.Connection, source_id: int, kind: RunKind, started_at: datetime, worker: str, token: int
) -> int:
    """Open the run's row and close what an earlier, killed run of this source left open."""
    _close_last(conn, source_id, started_at)
    values = {
        "source_id": source_id,
        "kind": kind,
        "status": "running",
        "started_at": started_at,
        "worker": worker,
        "lease_token": token,
    }
    return bulk.insert_one(conn, sync_runs, values)


def _close_last(conn: sa.Connection, source_id: int, at: datetime) -> None:
    """Only the newest can be open: each run closes the one before. So this costs the same after years."""
    last = conn.execute(_NEWEST, {"source": source_id}).one_or_none()
    if last is None or last.status != "running":
        return
    conn.execute(
        sa.update(sync_runs)
        .where(sync_runs.c.id == last.id)
        .values(
            status="interrupted",
            finished_at=at,
            error_class="Interrupted",
            error_message="the process ended without finishing this run",
        )
    )


def update_run(conn: sa.Connection, run_id: int, counts: Counts) -> None:
    conn.execute(_set_columns(*_COUNTS), {"run": run_id, **asdict(counts)})


def close_run(
    conn: sa.Connection, run_id: int, token: int | None, how: RunEnd, requests: int, at: datetime
) -> None:
    """End a run whose last commit failed: its counts stay as the database has them, for that commit may have
    taken effect. `requests` are those of a run that begins here and committed nothing; 0 otherwise."""
    c = sync_runs.c
    ours = (c.id == run_id, c.lease_token == token, c.status == "running")
    values = {name: storable_text(text) for name, text in asdict(how).items()}
    asked = c.requests if requests == 0 else requests
    conn.execute(sa.update(sync_runs).where(*ours).values(finished_at=at, **values, requests=asked))


def end_run(conn: sa.Connection, run_id: int, counts: Counts, how: RunEnd, at: datetime) -> None:
    said = {name: storable_text(text) for name, text in asdict(how).items()}
    values = {"finished_at": at, **said, **asdict(counts)}
    conn.execute(_set_columns(*values), {"run": run_id, **values})


@cache  # every tick asks it
def _set_columns(*names: str) -> sa.Update:
    values: dict[str, Any] = {name: sa.bindparam(name) for name in names}
    return sa.update(sync_runs).where(sync_runs.c.id == sa.bindparam("run")).values(values)
