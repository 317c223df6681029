"""Erases what people wrote, and keeps what it cost: prompts and raw payloads go, figures and states stay.

Works job by job in small transactions, each under its source's lease row as every write of a source is, so
that it runs beside syncs. What was erased stays so: see `etl.load.erasures`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

import sqlalchemy as sa

from etl.db.engine import is_sqlite, read_transaction, storage_errors, write_transaction
from etl.load import erase_tables
from etl.load.erase_selection import ErasureSelection, JobKey, find_unmatched, select_jobs
from etl.load.erase_tables import Erased
from etl.schema.tables import erasures, leases

#: Jobs of one transaction.
BATCH = 200


def count_texts(engine: sa.Engine, selection: ErasureSelection) -> Erased:
    """What `erase_jobs` would remove. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        keys = select_jobs(conn, selection)
        counted = Erased(jobs=len(keys))
        for source_id, ids in _in_batches(keys):
            erase_tables.erase(conn, source_id, ids, selection.words, counted, at=None)
    return counted


def find_missing(engine: sa.Engine, selection: ErasureSelection) -> list[str]:
    """What of the selection matches no job at all. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        return find_unmatched(conn, selection)


def erase_jobs(
    engine: sa.Engine, selection: ErasureSelection, *, at: datetime, reason: str | None = None
) -> Erased:
    """Remove the texts of the jobs chosen; `at` is our clock (UTC). Raises StorageError; a part that was
    committed before stays erased, and the same call again goes on."""
    with storage_errors(), engine.connect() as conn:
        keys = select_jobs(conn, selection)
    done = Erased(jobs=len(keys))
    for source_id, ids in _in_batches(keys):
        with write_transaction(engine) as conn:
            _overwrite_freed_pages(conn)
            _lock_source(conn, source_id)
            _log_erasure(conn, source_id, ids, selection, at, reason)
            erase_tables.erase(conn, source_id, ids, selection.words, done, at=at)
    _empty_sqlite_log(engine)
    return done


def _in_batches(keys: Sequence[JobKey]) -> Iterator[tuple[int, list[str]]]:
    for source_id, group in groupby(keys, key=lambda key: key.source_id):
        ids = [key.job_id for key in group]
        yield from ((source_id, ids[start : start + BATCH]) for start in range(0, len(ids), BATCH))


def _lock_source(conn: sa.Connection, source_id: int) -> None:
    """No sync commits meanwhile: it would write back what it had read, and history's order would break."""
    conn.execute(sa.select(leases.c.token).where(leases.c.source_id == source_id).with_for_update()).all()


def _log_erasure(
    conn: sa.Connection,
    source_id: int,
    ids: Sequence[str],
    selection: ErasureSelection,
    at: datetime,
    reason: str | None,
) -> None:
    c = erasures.c
    known = set(conn.scalars(sa.select(c.job_id).where(c.source_id == source_id, c.job_id.in_(ids))))
    row = {"source_id": source_id, "erased_at": at, "selected_by": selection.kinds, "reason": reason}
    new = [{**row, "job_id": job_id} for job_id in ids if job_id not in known]
    if new:
        conn.execute(sa.insert(erasures), new)


def _overwrite_freed_pages(conn: sa.Connection) -> None:
    """SQLite writes zeros over what it frees from here on; what it had freed before stays until a VACUUM."""
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql("PRAGMA secure_delete = ON")


def _empty_sqlite_log(engine: sa.Engine) -> None:
    """The write-ahead log holds the pages as they were, until it is emptied; a reader may prevent it."""
    if is_sqlite(engine):
        with read_transaction(engine) as conn:
            conn.exec_driver_sql("COMMIT")  # SQLAlchemy has begun one, and a checkpoint needs to be outside
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            conn.exec_driver_sql("BEGIN")
