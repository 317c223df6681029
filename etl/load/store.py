"""Everything one run of one source writes, a transaction per batch.

Rows, versions, page log, rejects, run counts and the state that they justify commit together, under the
lease.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from etl.db.engine import read_transaction, storage_errors, write_transaction
from etl.errors import DatabaseBusy, DatabaseUnavailable, DuplicateRow, StorageError
from etl.load import gaps, job_rows, lookup, runs
from etl.load.batch import CommitBatch, CommittedRun
from etl.load.batch_writer import BatchWriter, RunFacts
from etl.load.gaps import OpenGap
from etl.load.lease import Lease
from etl.load.lookup import Known
from etl.load.runs import RunEnd
from etl.load.state import (
    SyncState,
    last_commit,
    read_state,
)
from etl.load.unlisting import forget_suspects, suspect_jobs
from etl.records import PageRows, RunKind

_T = TypeVar("_T")

#: Waits between tries of one transaction, in seconds; a restarting database is back within their sum.
RETRY_WAITS = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)

#: What jobs are found by.
_LOOKED_UP = ("source_id", "job_id", "list_position", "settled", "unlisted_at", "suspect_run_id")


@dataclass(frozen=True, slots=True)
class _Tried:
    """A commit under its mark: what the run knows if it was done, and whether it gave the lease back."""

    mark: str
    run: CommittedRun
    ends: bool


class Store:
    """One run's door to the database. `patience` is in seconds."""

    def __init__(
        self,
        engine: sa.Engine,
        source_id: int,
        lease: Lease,
        *,
        kind: RunKind,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        patience: float,
        history_progress: bool = False,
        page_size: int = 100,
    ) -> None:
        self.page_size = page_size
        self.engine, self.source_id, self.lease, self.kind = engine, source_id, lease, kind
        self.patience, self.history_progress = patience, history_progress
        self.clock, self._sleep = clock, sleep
        self.started_at = clock()
        self.committed = CommittedRun()
        self.gaps_before: frozenset[int] = frozenset()
        self.resumed = False  # an earlier run was cut off on its way
        self._unheard: _Tried | None = None  # the last commit, until its answer has come
        self._untouched = False  # nothing is stored but what this run has seen once: ids are not looked up
        self._orphans = False  # history may have jobs that are not stored

    def open(self) -> SyncState:
        """Look at the lease and read where the source stands. Here the kind of the run is decided: a source
        never read whole gets its first load.

        Raises LeaseHeld.
        """

        def look(conn: sa.Connection) -> tuple[SyncState, list[OpenGap]]:
            self.lease.look(conn)
            state = read_state(conn, self.source_id)
            if state.complete_run_id is None:
                self.kind = "first"
                self._untouched = lookup.highest_position(conn, self.source_id) is None
            return state, gaps.read_open(conn, self.source_id)

        self.committed.state, self.committed.gaps = self.read(look)
        self.gaps_before = self.committed.lasting_gaps
        self.resumed = self.committed.state.checkpoint is not None
        return self.committed.state

    def leaves_more(self, asked: RunKind) -> bool:
        """Whether this run, when it has ended well, leaves a run of another kind to do: the first load of a
        list that proved longer than its newest page, or the reconcile that an unfinished first load stood
        in the way of."""
        if self.committed.state.complete_run_id is None:
            return self.kind != "first"
        return self.kind == "first" and self.resumed and asked == "reconcile"

    def read(self, query: Callable[[sa.Connection], _T]) -> _T:
        """Run a read-only query, again if the connection was cut."""

        def once() -> _T:
            with read_transaction(self.engine) as conn:
                return query(conn)

        return self._retry_patiently(once)

    def ready(self, page: PageRows) -> dict[str, Any]:
        """What `PageRows.ready` may hold, from any thread. Whoever reads a stored list again knows nearly all
        jobs, and SQLite's rows take Python's lock whoever makes them: there they would only fill memory."""
        dialect = self.engine.dialect.name
        if self.kind != "first" or dialect == "sqlite":
            return {}
        return job_rows.ready_rows(dialect, self.source_id, page)

    def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """What is stored of these jobs."""
        found = self.read(lambda conn: lookup.known_jobs(conn, self.source_id, ids))
        self._untouched = self._untouched and not found
        return found

    def was_known(self, ids: Sequence[str]) -> bool:
        """Whether an earlier run has seen one of these jobs."""
        run_id = self.committed.run_id or 0
        return self.read(lambda conn: lookup.seen_before(conn, self.source_id, ids, run_id))

    def listed_beside(self, place: int, *, above: bool, skip: int = 0) -> tuple[str, int] | None:
        """Id and position of the nearest listed job above this place, or below it, after `skip` others."""
        return self.read(
            lambda conn: lookup.find_neighbour(
                conn, self.source_id, place, above=above, listed=True, skip=skip
            )
        )

    def first_run_of(self, job_id: str | None) -> int | None:
        """The run that stored this job first; None when it is not stored."""
        found = self.known([job_id]) if job_id is not None else {}
        return found[job_id].first_run_id if job_id in found else None

    def commit(self, batch: CommitBatch) -> None:
        """Make the batch durable, or raise and leave everything as it was (LeaseLost, StorageError)."""
        mark = secrets.token_hex(16)

        def once() -> CommittedRun:
            with storage_errors(), write_transaction(self.engine) as conn:
                if self._hear_of_lost(conn) == mark:
                    return self.committed
                self._unheard = tried = _Tried(mark, self.committed.copy(), batch.end is not None)
                self._apply_batch(conn, batch, tried.run, mark)
                return tried.run

        fresh = self.kind == "first" and self.committed.run_id is None
        while True:
            try:
                self.committed = self._retry_patiently(once)
                break
            except DuplicateRow:  # all is rolled back
                if not self._trust_less():
                    raise
        self._unheard = None
        self.lease.committed(released=batch.end is not None)
        if fresh:
            self._gather_statistics()

    def _trust_less(self) -> bool:
        """A row is there already. A job came again: from now on ids are looked up. Or somebody took jobs away
        by hand: history still has them, and goes on. False: neither explains it."""
        if self._untouched:
            self._untouched = False
        elif not self._orphans:
            self._orphans = True
        else:
            return False
        return True

    def _gather_statistics(self) -> None:
        """PostgreSQL reads the whole of a new table for a few rows, until it has looked at it once.

        Measured: 1.5 million rows read in a first load of 20,000 jobs, 20,000 with this.
        """
        if self.engine.dialect.name == "postgresql":
            with suppress(StorageError), storage_errors(), write_transaction(self.engine) as conn:
                conn.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) video_jobs ({', '.join(_LOOKED_UP)})")

    def _hear_of_lost(self, conn: sa.Connection) -> str | None:
        """The mark of the last commit, if only its answer was lost: then the run has come that far. One that
        is still at work behind a cut connection holds the lease row: it is waited for."""
        tried = self._unheard
        if tried is None:
            return None
        self.lease.lock(conn)
        if last_commit(conn, self.source_id) != tried.mark:
            return None
        self.committed = tried.run
        self.lease.committed(released=tried.ends)
        return tried.mark

    def abandon(self, how: RunEnd) -> None:
        """After a last commit that was refused: say how the run ended, as far as it came; free the source.

        Also of a run that never committed. Raises StorageError, and LeaseHeld when another process writes.
        """
        with write_transaction(self.engine) as conn:
            self._hear_of_lost(conn)
            run_id, token, asked = self.committed.run_id, self.lease.token, 0
            if not self.lease.held:
                if run_id is not None:
                    return  # its lease is gone, and the next run closes it
                token = self.lease.write(conn, last=True)
                run_id, asked = self._begin_run(conn, token), self.committed.counts.requests
            assert run_id is not None
            runs.close_run(conn, run_id, token, how, asked, self.clock())
            self.lease.release(conn)
        self.committed.run_id = run_id

    def forget_suspects(self) -> None:
        """The scan proved nothing: take back what it suspected. A crash before leaves mere suspicion."""
        if (run_id := self.committed.run_id) is not None:
            self._write_leased(lambda conn: forget_suspects(conn, self.source_id, run_id))

    def suspect(self, ids: Sequence[str], *, again: bool = True) -> None:
        """Remember that this run did not see these jobs; `again=False` takes it back."""
        run_id = self.committed.run_id
        if ids and run_id is not None:
            self._write_leased(
                lambda conn: suspect_jobs(conn, self.source_id, run_id if again else None, ids)
            )

    def _write_leased(self, write: Callable[[sa.Connection], None]) -> None:
        def once() -> None:
            with storage_errors(), write_transaction(self.engine) as conn:
                self.lease.write(conn)
                write(conn)

        if self.lease.held:
            self._retry_patiently(once)

    def renew(self) -> None:
        """Renew a lease that is held, between commits. Raises LeaseLost."""

        def once() -> None:
            with storage_errors(), write_transaction(self.engine) as conn:
                self.lease.renew(conn)

        if self.lease.held:
            self._retry_patiently(once)
            self.lease.renewed()

    def _retry_patiently(self, once: Callable[[], _T]) -> _T:
        for wait in RETRY_WAITS:
            try:
                return once()
            except (DatabaseBusy, DatabaseUnavailable):
                self._sleep(wait)
        return once()

    def _apply_batch(self, conn: sa.Connection, batch: CommitBatch, now: CommittedRun, mark: str) -> None:
        token = self.lease.write(conn, last=batch.end is not None)
        if now.run_id is None:
            now.run_id = self._begin_run(conn, token)
        facts = RunFacts(
            self.source_id,
            now.run_id,
            self.kind,
            self.started_at,
            self.clock,
            self.patience,
            self.page_size,
            self.history_progress,
            self._untouched,
            self._orphans,
        )
        BatchWriter(conn, facts, batch, now).write(mark)

    def _begin_run(self, conn: sa.Connection, token: int) -> int:
        return runs.begin_run(conn, self.source_id, self.kind, self.started_at, self.lease.holder, token)
