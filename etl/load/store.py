"""Everything one run of one source writes, a transaction per batch.

Rows, versions, page log, rejects, run counts and the state that they justify commit together, under the
lease.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from etl.db.engine import read_transaction, storage_errors, write_transaction
from etl.errors import DatabaseBusy, DatabaseUnavailable, DuplicateRow, StorageError
from etl.load import gaps, job_details, job_requests, job_rows, lookup, runs, sync_log, twins
from etl.load.batch import KEEP, CommitBatch, CommittedRun
from etl.load.gaps import OpenGap
from etl.load.lease import Lease
from etl.load.lookup import Found, Known
from etl.load.placing import Lane, place_lane
from etl.load.positions import UNPLACED
from etl.load.runs import RunEnd
from etl.load.state import (
    CREDIBLE,
    UNTROUBLED,
    LookBack,
    SyncState,
    advance_frontier,
    last_commit,
    read_state,
    write_state,
)
from etl.load.unlisting import conclude_scan, forget_suspects, mark_reread, suspect_jobs, unlist_jobs
from etl.load.upsert import JobWriter, Seen
from etl.records import PageRows, RunKind

_T = TypeVar("_T")

#: Waits between tries of one transaction, in seconds; a restarting database is back within their sum.
RETRY_WAITS = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)

#: What jobs are found by.
_LOOKED_UP = ("source_id", "job_id", "list_position", "settled", "unlisted_at", "suspect_run_id")


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
        self._untouched = False  # nothing is stored but what this run has seen once: ids are not looked up

    def open(self) -> SyncState:
        """Look at the lease and read where the source stands; one never read whole gets its first load.

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
        return self.committed.state

    def read(self, query: Callable[[sa.Connection], _T]) -> _T:
        """Run a read-only query, again if the connection was cut."""

        def once() -> _T:
            with read_transaction(self.engine) as conn:
                return query(conn)

        return self._retry_patiently(once)

    def ready(self, page: PageRows) -> dict[str, Any]:
        """What `PageRows.ready` may hold, from any thread. A reconcile knows nearly all jobs, and SQLite's
        rows take Python's lock whoever makes them: there they would only fill memory."""
        dialect = self.engine.dialect.name
        if self.kind == "reconcile" or dialect == "sqlite":
            return {}
        return job_rows.ready_rows(dialect, self.source_id, page)

    def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """What is stored of these jobs."""
        found = self.read(lambda conn: lookup.known_jobs(conn, self.source_id, ids))
        self._untouched = self._untouched and not found
        return found

    def first_run_of(self, job_id: str | None) -> int | None:
        """The run that stored this job first; None when it is not stored."""
        found = self.known([job_id]) if job_id is not None else {}
        return found[job_id].first_run_id if job_id in found else None

    def commit(self, batch: CommitBatch) -> None:
        """Make the batch durable, or raise and leave everything as it was (LeaseLost, StorageError)."""
        mark = secrets.token_hex(16)
        tried: CommittedRun | None = None

        def once() -> CommittedRun:
            nonlocal tried
            with storage_errors(), write_transaction(self.engine) as conn:
                # A cut connection may have lost only the answer, not the commit.
                if tried is not None and self._is_stored(conn, mark):
                    return tried
                tried = self.committed.copy()
                self._apply_batch(conn, batch, tried, mark)
                return tried

        fresh = self.kind == "first" and self.committed.run_id is None
        try:
            self.committed = self._retry_patiently(once)
        except DuplicateRow:  # a job came again: all is rolled back, and from now on ids are looked up
            if not self._untouched:
                raise
            self._untouched = False
            self.committed = self._retry_patiently(once)
        self.lease.committed(released=batch.end is not None)
        if fresh:
            self._gather_statistics()

    def _gather_statistics(self) -> None:
        """PostgreSQL reads the whole of a new table for a few rows, until it has looked at it once.

        Measured: 1.5 million rows read in a first load of 20,000 jobs, 20,000 with this.
        """
        if self.engine.dialect.name == "postgresql":
            with suppress(StorageError), storage_errors(), write_transaction(self.engine) as conn:
                conn.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) video_jobs ({', '.join(_LOOKED_UP)})")

    def _is_stored(self, conn: sa.Connection, mark: str) -> bool:
        """A commit that is still at work behind a cut connection holds the lease row: it is waited for."""
        self.lease.lock(conn)
        return last_commit(conn, self.source_id) == mark

    def abandon(self, how: RunEnd) -> None:
        """After a last commit that was refused: say how the run ended, as far as it came; free the source.

        Also of a run that never committed. Raises StorageError, and LeaseHeld when another process writes.
        """
        with write_transaction(self.engine) as conn:
            run_id, token = self.committed.run_id, self.lease.token
            if not self.lease.held:
                if run_id is not None:
                    return  # its lease is gone, and the next run closes it
                token = self.lease.write(conn, last=True)
                run_id = runs.begin_run(
                    conn, self.source_id, self.kind, self.started_at, self.lease.holder, token
                )
            assert run_id is not None
            runs.close_run(conn, run_id, token, how, self.clock())
            self.lease.release(conn)
        self.committed.run_id = run_id

    def forget_suspects(self) -> None:
        """The scan proved nothing: take back what it suspected. A crash before leaves mere suspicion."""
        run_id = self.committed.run_id
        if run_id is not None and self.lease.held:
            with write_transaction(self.engine) as conn:
                self.lease.write(conn)
                forget_suspects(conn, self.source_id, run_id)

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
            now.run_id = runs.begin_run(
                conn, self.source_id, self.kind, self.started_at, self.lease.holder, token
            )
        first = self.kind == "first"
        how = {"history_progress": self.history_progress, "alone": self._untouched, "first": first}
        writer = JobWriter(conn, self.source_id, now.run_id, **how)
        self._write_pages(conn, batch, now, writer)
        self._write_single_jobs(conn, batch, now, writer)
        if batch.log is not None:
            job_requests.write_requests(conn, self.source_id, now.run_id, batch.log, self.clock())
            suspect_jobs(conn, self.source_id, now.run_id, batch.log.suspects)
        if batch.details is not None:
            job_details.write_details(conn, self.source_id, now.run_id, batch.details, self.clock())
        if batch.scan is not None:
            conclude_scan(conn, self.source_id, now.run_id, batch.scan, now.counts, self.clock())
        if batch.complete and self.kind != "incremental":
            twins.look_again(conn, self.source_id)
        self._write_state(conn, batch, now, mark)
        self._write_run(conn, batch, now)

    def _write_pages(
        self, conn: sa.Connection, batch: CommitBatch, now: CommittedRun, writer: JobWriter
    ) -> None:
        assert now.run_id is not None
        pages = [page for _, page in batch.pages]
        now.counts.pages += len(pages) + len(batch.distrusted)
        now.counts.requests = max(now.counts.requests, batch.requests)
        now.counts.retries = max(now.counts.retries, batch.retries)
        sync_log.log_pages(conn, self.source_id, now.run_id, pages, batch.distrusted)
        sync_log.log_drift(conn, self.source_id, pages)
        rejects = [(r, p.page.request.after, p.page.received_at) for p in pages for r in p.rejects]
        sync_log.log_rejects(conn, self.source_id, now.run_id, [*rejects, *batch.rejects])
        now.counts.jobs_rejected += len(rejects)
        now.counts.jobs_seen += sum(len(page.page.items) for page in pages)
        for name, lane_pages in _by_lane(batch.pages).items():
            now.lanes[name].follow(lane_pages)
            self._write_lane(conn, now, writer, now.lanes[name], lane_pages)

    def _write_lane(
        self, conn: sa.Connection, now: CommittedRun, writer: JobWriter, lane: Lane, pages: list[PageRows]
    ) -> None:
        assert now.run_id is not None
        found = self._known_of(conn, lane, pages)
        placed = place_lane(conn, self.source_id, lane, pages, found)
        now.counts.jobs_unchanged += placed.unchanged + sum(page.duplicates for page in pages)
        writer.write(placed.seen, now.counts)
        suspect_jobs(conn, self.source_id, now.run_id, placed.missing)

    def _known_of(self, conn: sa.Connection, lane: Lane, pages: list[PageRows]) -> Found:
        """What is stored of the pages' jobs; a lane begins where its first cursor stands."""
        after = pages[0].page.request.after
        cursor = [] if lane.started or after is None else [after]
        ids = [] if self._untouched else list({row.job_id for page in pages for row in page.jobs})
        if self.kind != "reconcile":
            found = lookup.known_jobs(conn, self.source_id, ids + cursor)
            lane.begin(after, found)
            return Found(found)
        lane.begin(after, lookup.known_jobs(conn, self.source_id, cursor))
        if lane.edge is None:
            return Found(lookup.known_jobs(conn, self.source_id, ids))
        return lookup.known_on_the_way(conn, self.source_id, lane.edge, lane.order, ids)

    def _write_single_jobs(
        self, conn: sa.Connection, batch: CommitBatch, now: CommittedRun, writer: JobWriter
    ) -> None:
        assert now.run_id is not None
        found = [] if batch.log is None else batch.log.found
        singles = [*batch.by_id, *found]
        rows = {row.job_id: (row, p.page.received_at) for p in singles for row in p.jobs}
        known = lookup.known_jobs(conn, self.source_id, list(rows))
        new = {row.job_id for p in found for row in p.jobs}.difference(known)
        rejects = [(r, None, p.page.received_at) for p in singles for r in p.rejects]
        sync_log.log_rejects(conn, self.source_id, now.run_id, rejects)
        now.counts.jobs_rejected += len(rejects)
        now.counts.jobs_seen += len(known) + len(new) + len(rejects)
        seen = [
            Seen(row, known[i].list_position, at, known[i], True)
            for i, (row, at) in rows.items()
            if i in known
        ]
        seen += [Seen(row, UNPLACED, at, None) for i, (row, at) in rows.items() if i in new]
        writer.write(seen, now.counts)
        mark_reread(conn, self.source_id, batch.reread, self.clock())
        now.counts.jobs_unlisted += unlist_jobs(
            conn, self.source_id, now.run_id, [(job_id, "not_found") for job_id in batch.gone], self.clock()
        )

    def _write_state(self, conn: sa.Connection, batch: CommitBatch, now: CommittedRun, mark: str) -> None:
        """The frontier moves, and the source is complete, only where nothing unread lies below what is
        stored: what a walk has left out is in the checkpoint, or is a recorded gap."""
        state, more = now.state, {}
        before = state.checkpoint
        if batch.checkpoint is not KEEP:
            state.checkpoint = batch.checkpoint
        floating = [lane for lane in now.lanes.values() if lane.floats]
        if batch.complete and not floating:
            state.complete_run_id, state.complete_at = now.run_id, self.clock()
            if self.kind == "reconcile":
                state.reconciled_at = state.complete_at
            state.checkpoint = None
        state.checkpoint = gaps.with_holes(state.checkpoint, floating)
        self._write_gaps(conn, batch, now, before)
        if state.checkpoint is None:
            back = LookBack(self.started_at, max(1, self.page_size // 2))
            more = advance_frontier(conn, self.source_id, state, self.clock(), self.patience, back)
        if batch.end is not None:
            state.trouble = batch.trouble
            more |= UNTROUBLED if batch.end.status == "ok" else {}
        if batch.log is not None:
            more |= job_requests.state_columns(batch.log)
        latest = self.clock() + CREDIBLE  # a job of later says nothing of freshness
        shown = [page for _, page in batch.pages] + ([] if batch.log is None else batch.log.found)
        times = (row.created_at for page in shown for row in page.jobs)
        newest = [moment for moment in times if moment is not None and moment <= latest]
        write_state(conn, self.source_id, state, mark=mark, newest=max(newest, default=None), **more)

    def _write_gaps(
        self, conn: sa.Connection, batch: CommitBatch, now: CommittedRun, before: dict[str, Any] | None
    ) -> None:
        state = now.state
        assert now.run_id is not None
        book = gaps.GapBook(conn, self.source_id, now.run_id, self.clock(), now.gaps, now.met)
        lanes = [now.lanes[name] for name in dict.fromkeys(name for name, _ in batch.pages)]
        book.close_read(lanes)
        book.note(batch.gaps, batch.probed)
        if state.checkpoint is None:
            book.joined(everything=batch.complete and self.kind == "reconcile")
        elif state.complete_run_id is not None and state.checkpoint != before:
            book.hold(state.checkpoint.get("below", []), state.complete_run_id)
        now.gaps = book.present()

    def _write_run(self, conn: sa.Connection, batch: CommitBatch, now: CommittedRun) -> None:
        assert now.run_id is not None
        if batch.end is None:
            runs.update_run(conn, now.run_id, self.kind, now.counts)
        else:
            runs.end_run(conn, now.run_id, self.kind, now.counts, batch.end, self.clock())


def _by_lane(pages: Sequence[tuple[str, PageRows]]) -> dict[str, list[PageRows]]:
    lanes: dict[str, list[PageRows]] = {}
    for name, page in pages:
        lanes.setdefault(name, []).append(page)
    return lanes
