"""One run of one source: what the walks share. Believed pages are gathered into batches and committed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from etl.config import Source
from etl.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    EtlError,
    GatewayError,
    LeaseHeld,
    LeaseLost,
    OrderIgnored,
)
from etl.extract import GatewayClient
from etl.load import KEEP, CommitBatch, Gap, Lane, LogBatch, RunEnd, Store, SyncState, unlisting
from etl.log import EchoMask
from etl.observer import Observer
from etl.pipeline import read_ahead
from etl.pipeline.page_checks import Guard, keeps_order
from etl.pipeline.page_fetcher import PageFetcher
from etl.pipeline.sights import Sights
from etl.pipeline.trouble import Budget, note_trouble
from etl.records import Order, PageRequest, PageRows
from etl.transform import Options

T = TypeVar("T")
#: Pages per transaction at most, and seconds: large enough that commits cost little (each one about as much
#: as 500 rows), small enough that a kill loses little and progress shows.
PAGES_PER_BATCH = 50
SECONDS_PER_BATCH = 1.0
#: Long prompts make pages of megabytes: neither memory nor a server's redo log holds fifty of those.
BYTES_PER_BATCH = 8 << 20


class Stopped(Exception):
    """The run was asked to stop; what was read is stored."""


class Run:
    """Shared by the walks of one run. `stop` asks for an early, clean end."""

    def __init__(
        self, source: Source, gateway: GatewayClient, store: Store, progress: Observer, stop: threading.Event
    ) -> None:
        self.source, self.gateway, self.store, self.progress = source, gateway, store, progress
        self.batch = CommitBatch()
        self.pending: dict[str, str] = {}  # lane by id, of jobs not yet committed
        self.accept_suspicious = False
        self.met_known = True  # False: a walk to the list's end met nothing that was known
        self.met_refusal = False  # a cursor was refused: its job is gone, or another account answered
        self.by_id_lies = False  # a job that the list shows was not found by id
        self.looked = False  # whether several accounts take turns was asked
        self.heard: bool | None = None  # whether the answers then showed jobs; None where there were none
        self.nameless = False  # the list's cursors are no ids: the next run cannot go on from one
        self.narrowing = Budget()
        self.shown: set[str] = set()  # jobs this run has seen on pages; kept for incremental runs only
        self.sights: Sights | None = None  # jobs that pages have shown; kept for reconciles only
        self.wanted: set[str] = set()  # jobs that are yet to be read one by one
        self.open_shown: set[str] = set()  # of these, the jobs that were shown open
        self._readings = Counter[str]()
        self._stop = stop
        self._flushed = time.monotonic()
        mask = EchoMask([*source.credentials(), *gateway.source.credentials()])
        self.options = Options(prompts=source.prompts, raw_payloads=source.raw_payloads, mask=mask)
        self._guards: dict[str, Guard] = {}
        self._lock = threading.Lock()
        self.pages = PageFetcher(source, gateway, store, self.options, self.distrust)
        self.accounts = self.pages.accounts

    @property
    def state(self) -> SyncState:
        return self.store.committed.state

    @property
    def begun_anew(self) -> bool:
        """A killed run has left cursors that only it could name."""
        return bool((self.state.checkpoint or {}).get("nameless"))

    @property
    def lists_newest_first(self) -> bool:
        """The gateway ignores order=asc, as configured or as found out."""
        configured = self.gateway.source.lists_newest_first
        return self.state.list_order == "desc" if configured is None else configured

    @property
    def lists_oldest_first(self) -> bool:
        """The gateway ignores order=desc, as was found out: its newest jobs stand at the end of the list."""
        return self.source.order == "auto" and self.state.list_order == "asc"

    def now(self) -> datetime:
        return self.store.clock()

    def strange_runs(self) -> list[int]:
        """Earlier runs whose pages were another account's, perhaps, and that were not put right since."""
        store, complete = self.store, self.state.complete_run_id
        return store.read(lambda conn: unlisting.refused_runs(conn, store.source_id, complete))

    def request(self, order: Order, after: str | None = None) -> PageRequest:
        return PageRequest(after, order, self.source.page_size)

    def distrust(self, rows: PageRows) -> None:
        """Log a page without believing it."""
        with self._lock:  # readers run in threads
            self.batch.distrusted.append(rows)

    def distrust_lane(self, lane: str) -> None:
        """Take back pages of a lane that are not yet committed: what it read since shows that they lied."""
        with self._lock:
            self.batch.distrusted += [rows for name, rows in self.batch.pages if name == lane]
            self.batch.pages = [(name, rows) for name, rows in self.batch.pages if name != lane]

    def lane(
        self, name: str, order: Order, *, bounded: bool = False, watch: bool = True, start: int | None = None
    ) -> None:
        """Open a lane; `start` is the position it begins at, unless its first cursor tells."""
        self.store.committed.lanes[name] = Lane(order, bounded, watch, start, started=start is not None)
        self._guards[name] = Guard(order)

    def reopen(self, name: str) -> None:
        """The lane anew, to go on elsewhere: its first cursor says where it stands."""
        lane = self.store.committed.lanes[name]
        self.lane(name, lane.order, bounded=lane.bounded, watch=lane.watch)

    def join(self, *lanes: str) -> None:
        """These walks from the newest job have come down to what is known, or what is left is a recorded gap:
        until then the store lets neither the frontier nor `complete` pass what they have read."""
        for name in lanes:
            if name in self.store.committed.lanes:
                self.store.committed.lanes[name].joined = True

    def give_up_walks(self) -> None:
        """What they have read is stored; what they wanted to read cannot be asked for."""
        self.join(*self.store.committed.lanes)
        self.batch.checkpoint = None
        self.flush()

    def open_gap(self, gap: Gap) -> None:
        """Record with the next commit that a stretch of the list cannot be read."""
        self.batch.gaps.append(gap)

    def check(self, lane: str, rows: PageRows) -> None:
        """Raise PagingError when the page cannot be right."""
        try:
            self._guards[lane].check(rows)
        except OrderIgnored:
            if not self.turns_round(rows):
                raise
            self._guards[lane].check(rows, by_time=False)

    def turns_round(self, rows: PageRows) -> bool:
        """The list keeps order, whatever the page's times of creation say."""
        way = self.state.list_order if self.source.order == "auto" else None
        return keeps_order(rows, self.peek, one_way=rows.page.request.order == way)

    def take(self, lane: str, rows: PageRows) -> None:
        """Believe a page and take it into the batch. Raises PagingError when it cannot be right."""
        self.check(lane, rows)
        self.add(lane, rows)

    def add(self, lane: str, rows: PageRows) -> None:
        """Take a page into the batch that was believed before."""
        self.batch.pages.append((lane, rows))
        self.pending.update((row.job_id, lane) for row in rows.jobs)
        first = (
            rows.page.apart and rows.page.request.after is None
        )  # whether its id leads on is yet to be seen
        self.nameless = first or self.gateway.cursors.apart
        if self.store.kind == "first":
            self.remember_accounts()
        if self.store.kind == "incremental":
            self.shown.update(row.job_id for row in rows.jobs)
            self.open_shown.update(row.job_id for row in rows.jobs if not row.settled)

    def commit_if_due(self, checkpoint: Any = KEEP) -> None:
        """After a page was taken: commit a full batch, obey a stop. `checkpoint` says where a killed run goes
        on; a scan has none, it starts anew."""
        if checkpoint is not KEEP:
            self.batch.checkpoint = checkpoint
            if isinstance(checkpoint, dict) and (self.nameless or self.begun_anew):
                self.batch.checkpoint = {**checkpoint, "nameless": True}
        late = time.monotonic() - self._flushed >= SECONDS_PER_BATCH
        if late or self._is_full() or self._stop.is_set():
            self.flush()
        self.obey()

    def _is_full(self) -> bool:
        pages = [*(rows for _, rows in self.batch.pages), *self.batch.glanced]
        return len(pages) >= PAGES_PER_BATCH or sum(rows.page.size for rows in pages) >= BYTES_PER_BATCH

    def follow(self, request: PageRequest | None, hold: read_ahead.Test | None = None) -> Iterator[PageRows]:
        """The pages from `request` on, read ahead until `hold` is true for one."""
        return read_ahead.follow(self.pages.fetch, request, self.obey, hold)

    def readers(self, **limit: int) -> read_ahead.Readers:
        """Several lanes at once."""
        return read_ahead.Readers(self.pages.fetch, self.obey, **limit)

    def first(self, request: PageRequest) -> PageRows:
        """One page alone; an error of the gateway says which request it answers."""
        try:
            return self.fetch(request)
        except GatewayError as error:
            error.request = request
            raise

    def fetch(self, request: PageRequest, *, attempts: int | None = None) -> PageRows:
        """As `pages.fetch`, but it gives way to a stop while the gateway stalls; so do the next ones."""
        return self.wait_for(lambda: self.pages.fetch(request, attempts=attempts))

    def peek(self, request: PageRequest, *, attempts: int | None = 1) -> PageRows:
        return self.wait_for(lambda: self.pages.peek(request, attempts=attempts))

    def read_job(self, job_id: str) -> PageRows:
        return self.wait_for(lambda: self.pages.read_job(job_id))

    def wait_for(self, call: Callable[[], T]) -> T:
        """What a question to the gateway returns, unless somebody asks the run to stop meanwhile."""
        return read_ahead.alone(call, self.obey)

    def obey(self) -> None:
        """Raise Stopped when somebody asked the run to stop."""
        if self._stop.is_set():
            raise Stopped

    def log(self) -> LogBatch:
        """What of the gateway's log the next commit writes."""
        self.batch.log = self.batch.log or LogBatch(discovers=self.source.discover != "list")
        return self.batch.log

    def complete(self) -> None:
        """Everything that the source lists is stored with the next commit."""
        self.batch.complete = True
        self.remember_accounts()
        gateway = self.gateway
        self.learn(cursors_apart=gateway.cursors.apart, inclusive=gateway.inclusive.known)
        self.learn(profile=gateway.kind.found, more_unsaid=self.pages.more.is_constant)
        self.learn(no_passthrough=self.pages.passthrough.missing_since)

    def remember_accounts(self) -> None:
        """Whose jobs are stored is known to later runs. Until a walk was believed, it is not."""
        own, others = self.accounts.own, sorted(self.accounts.foreign)
        self.learn(accounts=tuple(own), other_accounts=tuple(others))

    def learn(self, **found: Any) -> None:
        """Kept with the next commit."""
        self.state.learned = self.state.learned.but(**found)

    def tell_reading(self, what: str, count: int = 1) -> None:
        """So many more of these were read, which no page of the list shows."""
        with self._lock:
            self._readings[what] += count
            total = self._readings[what]
        self.progress.reading(self.source.name, what, total)

    def flush(self) -> None:
        """Commit what was gathered."""
        with self._lock:
            batch, self.batch = self.batch, CommitBatch()
        batch.requests, batch.retries = self.gateway.requests, self.gateway.retries
        begun = time.monotonic()
        self.store.commit(batch)
        if self.sights is not None:
            for rows in [*(rows for _, rows in batch.pages), *batch.glanced]:
                self.sights.add([row.job_id for row in rows.jobs])
        self.pending.clear()
        self._flushed = time.monotonic()
        self.progress.advanced(self.source.name, self.store.committed.counts, self._flushed - begun)

    def note_refused(self, cursor: str | None) -> None:
        """A reconcile's cursor is dead: its job is gone, though a page has shown it before."""
        if self.sights is not None and cursor is not None:
            self.flush()  # what was shown so far counts as before
            self.sights.refuse(cursor)

    def end(self, error: Exception | None, redact: Callable[[str], str]) -> None:
        """The last commit: what is gathered, the run's end, and the lease's release, together."""
        if error is not None and is_unexpected(error):  # whatever broke may have left half a batch
            with self._lock:
                self.batch = CommitBatch()
        if (
            self.gateway.cursors.apart
        ):  # a failed run has learned it, too: the next one cannot begin otherwise
            self.learn(cursors_apart=True)
        self.batch.end = how_it_ended(error, redact)
        self.batch.trouble = note_trouble(self.state.trouble, error, self.now())
        try:
            self.flush()
        except (LeaseHeld, LeaseLost, DatabaseBusy, DatabaseUnavailable):
            raise  # it is not ours to write, or cannot be written
        except Exception as refused:
            self._end_without_batch(how_it_ended(error or refused, redact))
            raise

    def end_beside_another(self, error: Exception, redact: Callable[[str], str]) -> None:
        """Another process wrote since this run began: all that is stored is that it ran, and how it ended."""
        store = self.store
        store.committed.counts.requests = self.gateway.requests
        store.committed.counts.retries = self.gateway.retries
        with suppress(EtlError):  # it writes still
            store.read(store.lease.look)
            store.abandon(how_it_ended(error, redact))

    def _end_without_batch(self, how: RunEnd) -> None:
        """A small write may pass where a batch does not."""
        end = CommitBatch(requests=self.gateway.requests, retries=self.gateway.retries, end=how)
        try:
            self.store.commit(end)
        except Exception:  # noqa: BLE001 (what refused the batch is raised, not what followed from it)
            with suppress(EtlError):
                self.store.abandon(how)


def is_unexpected(error: Exception) -> bool:
    """Nobody raised it on purpose: a fault of this program or of a library, and a person must hear of it."""
    return not isinstance(error, EtlError | Stopped)


def how_it_ended(error: Exception | None, redact: Callable[[str], str]) -> RunEnd:
    if error is None:
        return RunEnd("ok")
    if isinstance(error, Stopped):
        return RunEnd("interrupted", "Stopped", "asked to stop")
    hint = f" ({error.hint})" if isinstance(error, EtlError) and error.hint else ""
    return RunEnd("failed", type(error).__name__, redact(f"{error}{hint}"))
