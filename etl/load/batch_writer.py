"""One batch in one transaction: pages and their jobs, jobs read one by one, gaps, state, the run's row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from etl.load import gaps, job_details, job_requests, lookup, runs, shared_jobs, sync_log, twins
from etl.load.batch import KEEP, CommitBatch, CommittedRun
from etl.load.lookup import Found
from etl.load.placing import Lane, place_lane
from etl.load.positions import UNPLACED
from etl.load.state import (
    CREDIBLE,
    UNTROUBLED,
    LookBack,
    advance_frontier,
    write_state,
)
from etl.load.unlisting import conclude_scan, mark_reread, suspect_jobs, unlist_jobs
from etl.load.upsert import JobWriter, Seen
from etl.records import PageRows, RunKind


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What holds for one batch of a run. `patience` is in seconds. `untouched`: nothing is stored but what
    this run has seen once, so ids are not looked up. `orphans`: history may have jobs that are not stored."""

    source_id: int
    run_id: int
    kind: RunKind
    started_at: datetime
    clock: Callable[[], datetime]
    patience: float
    page_size: int
    history_progress: bool
    untouched: bool
    orphans: bool


class BatchWriter:
    """Writes one batch and counts in `now` what became of it."""

    def __init__(self, conn: sa.Connection, run: RunFacts, batch: CommitBatch, now: CommittedRun) -> None:
        self._conn, self._run, self._batch, self._now = conn, run, batch, now
        self._jobs = JobWriter(
            conn,
            run.source_id,
            run.run_id,
            history_progress=run.history_progress,
            alone=run.untouched,
            first=run.kind == "first",
            orphans=run.orphans,
        )

    def write(self, mark: str) -> None:
        """`mark` names this batch, so that a commit whose answer was lost is known again."""
        conn, run, batch, now = self._conn, self._run, self._batch, self._now
        self._write_pages()
        self._write_glanced_jobs()
        self._write_single_jobs()
        if batch.log is not None:
            job_requests.write_requests(conn, run.source_id, run.run_id, batch.log, run.clock())
            suspect_jobs(conn, run.source_id, run.run_id, batch.log.suspects)
        if batch.details is not None:
            job_details.write_details(conn, run.source_id, run.run_id, batch.details, run.clock())
        if batch.scan is not None:
            conclude_scan(conn, run.source_id, run.run_id, batch.scan, now.counts, run.clock())
        if batch.complete and run.kind != "incremental" and twins.look_again(conn, run.source_id):
            self._jobs.shared += shared_jobs.find_left_open(conn, run.source_id)
            shared_jobs.unlist_left_behind(conn, run.source_id, run.run_id, run.started_at)
        shared_jobs.tell_counting_sources(conn, run.run_id, self._jobs.shared)
        self._write_state(mark)
        self._write_run()

    def _write_pages(self) -> None:
        conn, run, batch, now = self._conn, self._run, self._batch, self._now
        pages = [*(page for _, page in batch.pages), *batch.glanced]
        now.counts.pages += len(pages) + len(batch.distrusted)
        now.counts.requests = max(now.counts.requests, batch.requests)
        now.counts.retries = max(now.counts.retries, batch.retries)
        sync_log.log_pages(conn, run.source_id, run.run_id, pages, batch.distrusted)
        sync_log.log_drift(conn, run.source_id, pages)
        rejects = [(r, p.page.request.after, p.page.received_at) for p in pages for r in p.rejects]
        sync_log.log_rejects(conn, run.source_id, run.run_id, [*rejects, *batch.rejects])
        now.counts.jobs_rejected += len(rejects)
        now.counts.jobs_seen += sum(len(page.page.items) for page in pages)
        for name, lane_pages in _by_lane(batch.pages).items():
            now.lanes[name].follow(lane_pages)
            self._write_lane(now.lanes[name], lane_pages)

    def _write_lane(self, lane: Lane, pages: list[PageRows]) -> None:
        conn, run, counts = self._conn, self._run, self._now.counts
        found = self._known_of(lane, pages)
        placed = place_lane(conn, run.source_id, lane, pages, found)
        counts.jobs_unchanged += placed.unchanged + sum(page.duplicates for page in pages)
        self._jobs.write(placed.seen, counts)
        suspect_jobs(conn, run.source_id, run.run_id, placed.missing)

    def _known_of(self, lane: Lane, pages: list[PageRows]) -> Found:
        """What is stored of the pages' jobs; a lane begins where its first cursor stands."""
        conn, run = self._conn, self._run
        after = pages[0].page.request.after
        cursor = [] if lane.started or after is None else [after]
        ids = [] if run.untouched else list({row.job_id for page in pages for row in page.jobs})
        if run.kind != "reconcile":
            found = lookup.known_jobs(conn, run.source_id, ids + cursor)
            lane.begin(after, found)
            return Found(found)
        lane.begin(after, lookup.known_jobs(conn, run.source_id, cursor))
        if lane.edge is None:
            return Found(lookup.known_jobs(conn, run.source_id, ids))
        return lookup.known_on_the_way(conn, run.source_id, lane.edge, lane.order, ids)

    def _write_glanced_jobs(self) -> None:
        """A job keeps its place; one that nobody knew gets it from the next walk that comes by."""
        conn, run, counts = self._conn, self._run, self._now.counts
        shown = {
            row.job_id: (row, page.page.received_at) for page in self._batch.glanced for row in page.jobs
        }
        again = sum(len(page.jobs) + page.duplicates for page in self._batch.glanced) - len(shown)
        counts.jobs_unchanged += again
        known = lookup.known_jobs(conn, run.source_id, list(shown))
        places = {job_id: known[job_id].list_position if job_id in known else UNPLACED for job_id in shown}
        seen = [Seen(row, places[i], at, known.get(i)) for i, (row, at) in shown.items()]
        self._jobs.write(seen, counts)

    def _write_single_jobs(self) -> None:
        conn, run, batch, counts = self._conn, self._run, self._batch, self._now.counts
        found = [] if batch.log is None else batch.log.found
        singles = [*batch.by_id, *found]
        rows = {row.job_id: (row, p.page.received_at) for p in singles for row in p.jobs}
        known = lookup.known_jobs(conn, run.source_id, list(rows))
        new = {row.job_id for p in found for row in p.jobs}.difference(known)
        rejects = [(r, None, p.page.received_at) for p in singles for r in p.rejects]
        sync_log.log_rejects(conn, run.source_id, run.run_id, rejects)
        counts.jobs_rejected += len(rejects)
        counts.jobs_seen += len(known) + len(new) + len(rejects)
        seen = [
            Seen(row, known[i].list_position, at, known[i], True)
            for i, (row, at) in rows.items()
            if i in known
        ]
        seen += [Seen(row, UNPLACED, at, None) for i, (row, at) in rows.items() if i in new]
        self._jobs.write(seen, counts)
        mark_reread(conn, run.source_id, batch.reread, run.clock())
        counts.jobs_unlisted += unlist_jobs(
            conn, run.source_id, run.run_id, [(job_id, "not_found") for job_id in batch.gone], run.clock()
        )
        missing = [(job_id, "missing") for job_id in batch.missing]
        counts.jobs_unlisted += unlist_jobs(conn, run.source_id, run.run_id, missing, run.clock())

    def _write_state(self, mark: str) -> None:
        """The frontier moves, and the source is complete, only where nothing unread lies below what is
        stored: what a walk has left out is in the checkpoint, or is a recorded gap."""
        conn, run, batch, now = self._conn, self._run, self._batch, self._now
        state, more = now.state, {}
        before = state.checkpoint
        if batch.checkpoint is not KEEP:
            state.checkpoint = batch.checkpoint
        floating = [lane for lane in now.lanes.values() if lane.floats]
        if batch.complete and not floating:
            state.complete_run_id, state.complete_at = run.run_id, run.clock()
            if run.kind == "reconcile":
                state.reconciled_at = state.complete_at
            state.checkpoint = None
        state.checkpoint = gaps.with_holes(state.checkpoint, floating)
        self._write_gaps(before)
        if state.checkpoint is None:
            back = LookBack(run.started_at, max(1, run.page_size // 2))
            more = advance_frontier(conn, run.source_id, state, run.clock(), run.patience, back)
        if batch.end is not None:
            state.trouble = batch.trouble
            more |= UNTROUBLED if batch.end.status == "ok" else {}
        if batch.log is not None:
            more |= job_requests.state_columns(batch.log)
        latest = run.clock() + CREDIBLE  # a job of later says nothing of freshness
        shown = [page for _, page in batch.pages] + ([] if batch.log is None else batch.log.found)
        times = (row.created_at for page in shown for row in page.jobs)
        newest = [moment for moment in times if moment is not None and moment <= latest]
        write_state(conn, run.source_id, state, mark=mark, newest=max(newest, default=None), **more)

    def _write_gaps(self, before: dict[str, Any] | None) -> None:
        run, batch, now, state = self._run, self._batch, self._now, self._now.state
        book = gaps.GapBook(self._conn, run.source_id, run.run_id, run.clock(), now.gaps, now.met)
        lanes = [now.lanes[name] for name in dict.fromkeys(name for name, _ in batch.pages)]
        book.close_read(lanes)
        book.note(batch.gaps, batch.probed)
        if state.checkpoint is None:
            book.joined(everything=batch.complete and batch.scan is not None)
        elif state.complete_run_id is not None and state.checkpoint != before:
            book.hold(state.checkpoint.get("below", []), state.complete_run_id)
        now.gaps = book.present()

    def _write_run(self) -> None:
        conn, run, counts, end = self._conn, self._run, self._now.counts, self._batch.end
        if end is None:
            runs.update_run(conn, run.run_id, counts)
        else:
            runs.end_run(conn, run.run_id, counts, end, run.clock())


def _by_lane(pages: Sequence[tuple[str, PageRows]]) -> dict[str, list[PageRows]]:
    lanes: dict[str, list[PageRows]] = {}
    for name, page in pages:
        lanes.setdefault(name, []).append(page)
    return lanes
