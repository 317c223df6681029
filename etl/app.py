"""The composition root: configuration in, a working pipeline out. Everything is wired here, once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import TracebackType

from etl.app_watch import Observer, Unwatched, WatchedGateway, WatchedStore, is_refusal
from etl.config import Config, Source
from etl.db.engine import make_engine, storage_errors, writing
from etl.db.schema import ensure
from etl.errors import EtlError, GatewayError, LeaseHeld, LeaseLost, StorageError
from etl.extract import Gateway
from etl.load import Lease, Store, register, registered, worker_name
from etl.load.health import note_failure, note_success
from etl.log import ContentRedactor, Redactor, get
from etl.pipeline import Stopped, sync_source
from etl.records import Counts, Progress, RunKind, RunResult


def now() -> datetime:
    """Our clock, UTC."""
    return datetime.now(UTC)


class Silent:
    """A progress that nobody watches."""

    def started(self, source: str, kind: RunKind) -> None: ...
    def advanced(self, source: str, counts: Counts) -> None: ...
    def waiting(self, source: str, why: str, seconds: float) -> None: ...
    def finished(self, result: RunResult) -> None: ...


class App:
    """One configuration at work. A context manager: leaving it closes connections."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] | None = None,
        rng: random.Random | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.observer = observer or Unwatched()
        self.config, self._clock, self._sleep = config, clock, sleep
        self._rng = rng or random.Random()  # noqa: S311 (jitter, not secrets)
        self.redact = Redactor(config.secrets())
        self.engine = make_engine(
            config.database.reveal(),
            pool_size=2 * max(1, len(config.sources)) + 3,
            idle_transaction_timeout=config.lease.seconds,
        )

    def __enter__(self) -> App:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.engine.dispose()

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

        return WatchedGateway(
            source,
            observer=self.observer,
            clock=self._clock,
            monotonic=time.monotonic,
            sleep=self._nap(stop),
            rng=self._rng,
            on_retry=on_retry,
            redact=ContentRedactor(source.secrets()),
        )

    def _price(self) -> None:
        """Prices of the configuration are in force from the first sync on; the published ones are there."""
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
        ensure(self.engine)
        self._price()
        progress, stop = progress or Silent(), stop or threading.Event()

        def one(source: Source) -> RunResult:
            return self.run_source(
                source, kind, progress=progress, stop=stop, accept_suspicious=accept_suspicious
            )

        if len(chosen) == 1:
            return [one(chosen[0])]
        with ThreadPoolExecutor(max_workers=min(8, len(chosen) or 1)) as pool:
            return list(pool.map(one, chosen))

    def run_source(
        self,
        source: Source,
        kind: RunKind,
        *,
        progress: Progress,
        stop: threading.Event,
        accept_suspicious: bool = False,
    ) -> RunResult:
        """One run of one source, start to end; how it ended is noted in the database."""
        started = self._clock()
        try:
            store = self._store(source, kind, stop)
        except EtlError as error:
            return RunResult(source.name, kind, "failed", None, started, self._clock(), Counts(), error)
        with self.gateway(source, progress=progress, stop=stop, store=store) as gateway:
            result = sync_source(
                source,
                gateway,
                store,
                progress=progress,
                stop=stop,
                redact=self.redact,
                accept_suspicious=accept_suspicious,
            )
        self._note(source, result)
        return result

    def _note(self, source: Source, result: RunResult) -> None:
        """Failures in a row, and settings that the gateway refuses, are known to every service."""
        error = result.error
        try:
            if result.status == "ok":
                note_success(self.engine, source.name)
            elif result.status == "failed" and not isinstance(error, LeaseHeld | LeaseLost):
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
        with storage_errors(), self.engine.connect() as conn:
            source_id = registered(conn, *facts)
        if source_id is None:
            with writing(self.engine) as conn:
                source_id = register(conn, *facts, self._clock())
        return source_id

    def _store(self, source: Source, kind: RunKind, stop: threading.Event) -> Store:
        source_id = self._register(source)
        return WatchedStore(
            self.engine,
            source_id,
            Lease(source_id, worker_name(), self.config.lease.seconds),
            source=source.name,
            observer=self.observer,
            kind=kind,
            clock=self._clock,
            sleep=self._nap(stop),
            patience=source.open_job_patience,
            history_progress=source.history_progress,
        )
