"""The composition root: configuration in, a working pipeline out. Everything is wired here, once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from etl.app_pool import side_by_side
from etl.config import Config, Source
from etl.db.engine import Engine, make_engine, reading, writing
from etl.errors import (
    EtlError,
    GatewayError,
    LeaseHeld,
    LeaseLost,
    StorageError,
)
from etl.extract import Gateway
from etl.load import Lease, Store, register, registered, worker_name
from etl.load.source_health import note_failure
from etl.log import Redactor, get
from etl.observer import Observer, Silent, Unwatched, WatchedGateway, WatchedStore, is_refusal
from etl.pipeline.sync import Stopped, sync_source
from etl.records import Counts, Progress, RunKind, RunResult
from etl.schema.migrate import ensure
from etl.schema.partitions import make_ahead
from etl.transform.privacy import scrub_message

if TYPE_CHECKING:
    from etl.cluster.client import Fleet


def now() -> datetime:
    """Our clock, UTC."""
    return datetime.now(UTC)


class App:
    """One configuration at work. A context manager: leaving it closes connections.

    `engine` is somebody else's, who closes it.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] | None = None,
        rng: random.Random | None = None,
        observer: Observer | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.observer = observer or Unwatched()
        self.config, self._clock, self._sleep = config, clock, sleep
        self._rng = rng or random.Random()  # noqa: S311 (jitter, not secrets)
        self.redact = Redactor(config.secrets())
        self._shared = engine is not None
        # A run has at most one transaction open, its heartbeat now and then another, the page three.
        self.engine = engine or make_engine(
            config.database.reveal(),
            pool_size=min(config.parallel, max(1, len(config.sources))) + 3,
            idle_transaction_timeout=config.lease.seconds,
        )
        self._fleet: Fleet | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> App:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._fleet is not None:
            self._fleet.close()
        if not self._shared:
            self.engine.dispose()

    def fleet(self) -> Fleet | None:
        """The cluster that runs sources, connected when first asked for; None: they run here.

        Raises EtlError when it cannot be reached.
        """
        if self.config.executor == "threads":
            return None
        from etl.cluster.client import Fleet

        with self._lock:
            self._fleet = self._fleet or Fleet(self.config)
            return self._fleet

    def sync(
        self,
        names: Sequence[str] = (),
        *,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> list[RunResult]:
        """Bring the named sources (all enabled ones, if none is named) up to date, side by side.

        Raises ConfigError for an unknown name and StorageError for an unusable database; a source's own
        failure is in its result.
        """
        return self._each(names, "incremental", progress, stop)

    def reconcile(
        self,
        names: Sequence[str] = (),
        *,
        progress: Progress | None = None,
        accept_suspicious: bool = False,
        stop: threading.Event | None = None,
    ) -> list[RunResult]:
        """Scan the named sources in full and mark what is no longer listed; as `sync` otherwise."""
        return self._each(names, "reconcile", progress, stop, accept_suspicious=accept_suspicious)

    def gateway(
        self,
        source: Source,
        *,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
        store: Store | None = None,
    ) -> Gateway:
        """A client for one source; waits end early when `stop` is set. `store` tells its logs the run."""

        def on_retry(error: GatewayError, wait: float) -> None:
            run = None if store is None else store.now.run_id
            get("extract").warning("retry", source=source.name, run=run, error=str(error), wait=wait)
            self.observer.retried(source.name, error)
            if progress is not None:
                progress.waiting(source.name, str(error), wait)

        def redact(text: str) -> str:
            return scrub_message(self.redact(text), source.prompts)

        return WatchedGateway(
            source,
            observer=self.observer,
            clock=self._clock,
            monotonic=time.monotonic,
            sleep=self._nap(stop),
            rng=self._rng,
            on_retry=on_retry,
            redact=redact,
        )

    def prepare(self) -> None:
        """Make or check the tables, and put the configuration's prices in force.

        Only who writes jobs calls this: what reads follows the database's book.
        """
        ensure(self.engine)
        if self.config.prices:
            from etl.analytics.prices import ensure_prices

            ensure_prices(self.engine, self.config.prices)

    def _each(
        self,
        names: Sequence[str],
        kind: RunKind,
        progress: Progress | None,
        stop: threading.Event | None,
        *,
        accept_suspicious: bool = False,
    ) -> list[RunResult]:
        chosen = self.config.choose(names)
        self.prepare()
        progress, stop = progress or Silent(), stop or threading.Event()

        self.fleet()  # one that is not there is said once, not for every source

        def one(source: Source) -> RunResult:
            if stop.is_set() and len(chosen) > 1:  # the rest of a long list need not begin
                return self._ended(source, kind, "interrupted")
            return self.run_source(
                source, kind, progress=progress, stop=stop, accept_suspicious=accept_suspicious
            )

        return side_by_side(one, chosen, self.config.parallel)

    def run_source(
        self,
        source: Source,
        kind: RunKind,
        *,
        progress: Progress,
        stop: threading.Event,
        accept_suspicious: bool = False,
    ) -> RunResult:
        """One run of one source, start to end, where `executor` says; its outcome is noted."""
        try:
            fleet = self.fleet()
            if fleet is not None:
                return fleet.run(
                    source, kind, progress=progress, stop=stop, accept_suspicious=accept_suspicious
                )
            return self.run_here(
                source, kind, progress=progress, stop=stop, accept_suspicious=accept_suspicious
            )
        except Exception as error:  # noqa: BLE001 (Dask raises what it likes; one source must not end others)
            return self._fallen(source, self._ended(source, kind, "failed", error))

    def run_here(
        self,
        source: Source,
        kind: RunKind,
        *,
        progress: Progress,
        stop: threading.Event,
        accept_suspicious: bool = False,
        job: str | None = None,
    ) -> RunResult:
        """The same in this process. `job` names what this is an attempt at: see `Lease`."""
        started = self._clock()
        try:
            make_ahead(self.engine, self._clock())
            store = self._store(source, kind, stop, job)
            result = self._run_stored(source, store, progress, stop, accept_suspicious=accept_suspicious)
        except Exception as error:  # noqa: BLE001 (a run's last seam: whatever comes is noted and told)
            return self._fallen(
                source, replace(self._ended(source, kind, "failed", error), started_at=started)
            )
        self._note(source, result)
        return result

    def _run_stored(
        self,
        source: Source,
        store: Store,
        progress: Progress,
        stop: threading.Event,
        *,
        accept_suspicious: bool,
    ) -> RunResult:
        with self.gateway(source, progress=progress, stop=stop, store=store) as gateway:
            return sync_source(
                source,
                gateway,
                store,
                progress=progress,
                stop=stop,
                redact=self.redact,
                accept_suspicious=accept_suspicious,
            )

    def _fallen(self, source: Source, result: RunResult) -> RunResult:
        """A run that left no record counts as a failure all the same. An unusable database cannot be told."""
        error = result.error
        if not isinstance(error, EtlError):
            get("app").error("run_broke", source=source.name, exc_info=error)
        if not isinstance(error, StorageError):
            self._note(source, result)
        return result

    def _ended(
        self,
        source: Source,
        kind: RunKind,
        status: Literal["failed", "interrupted"],
        error: Exception | None = None,
    ) -> RunResult:
        """The result of a run that never began."""
        moment = self._clock()
        return RunResult(source.name, kind, status, None, moment, moment, Counts(), error)

    def _note(self, source: Source, result: RunResult) -> None:
        """Failures in a row, and settings that the gateway refuses, are known to every service.

        The last commit of a run that succeeds forgets them."""
        error = result.error
        try:
            if result.status == "failed" and not isinstance(error, LeaseHeld | LeaseLost):
                disabled = self.redact(str(error)) if is_refusal(error) else None
                note_failure(
                    self.engine,
                    source.name,
                    now=self._clock(),
                    disabled=disabled,
                    fingerprint=source.fingerprint(),
                )
        except StorageError as broken:  # the run itself is recorded, or failed for the same reason
            get("app").warning("outcome_not_noted", source=source.name, error=self.redact(str(broken)))

    def _nap(self, stop: threading.Event | None) -> Callable[[float], None]:
        """A sleep that ends, with Stopped, as soon as somebody asks the run to stop."""
        if self._sleep is not None or stop is None:
            return self._sleep or time.sleep

        def nap(seconds: float) -> None:
            if stop.wait(seconds):
                raise Stopped

        return nap

    def _register(self, source: Source) -> int:
        """The source's id; only a new or moved source costs a transaction."""
        facts = (source.name, source.base_url, source.provider, source.key_name)
        with reading(self.engine) as conn:
            source_id = registered(conn, *facts)
        if source_id is None:
            with writing(self.engine) as conn:
                source_id = register(conn, *facts, self._clock())
        return source_id

    def _store(self, source: Source, kind: RunKind, stop: threading.Event, job: str | None) -> Store:
        source_id = self._register(source)
        return WatchedStore(
            self.engine,
            source_id,
            Lease(source_id, worker_name(), self.config.lease.seconds, job=job),
            source=source.name,
            observer=self.observer,
            kind=kind,
            clock=self._clock,
            sleep=self._nap(stop),
            patience=source.open_job_patience,
            history_progress=source.history_progress,
            page_size=source.page_size,
        )
