"""The composition root: configuration in, a working pipeline out. Everything is wired here, once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from etl.config import Config, Source
from etl.db.engine import make_engine
from etl.observer import Observer, Silent
from etl.records import RunKind, RunResult, never_began
from etl.schema.migrate import ensure_schema
from etl.worker import Worker, utc_now

if TYPE_CHECKING:
    from etl.cluster.client import Fleet

_T = TypeVar("_T")


class App:
    """One configuration at work. A context manager: leaving it closes connections."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.config, self._clock = config, clock
        # A run has at most one transaction open, its heartbeat now and then another, the page three.
        self.engine = make_engine(
            config.database.reveal(),
            pool_size=min(config.parallel, max(1, len(config.sources))) + 3,
            idle_transaction_timeout=config.lease.seconds,
        )
        self.worker = Worker(config, self.engine, clock=clock, sleep=sleep, rng=rng)
        self.redact = self.worker.redact
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
        progress: Observer | None = None,
        stop: threading.Event | None = None,
    ) -> list[RunResult]:
        """Bring the named sources (all enabled ones, if none is named) up to date, side by side.

        Raises ConfigError for an unknown name and StorageError for an unusable database; a source's own
        failure is in its result.
        """
        return self._run_each(names, "incremental", progress, stop)

    def reconcile(
        self,
        names: Sequence[str] = (),
        *,
        progress: Observer | None = None,
        accept_suspicious: bool = False,
        stop: threading.Event | None = None,
    ) -> list[RunResult]:
        """Scan the named sources in full and mark what is no longer listed; as `sync` otherwise."""
        return self._run_each(names, "reconcile", progress, stop, accept_suspicious=accept_suspicious)

    def prepare(self) -> None:
        """Make or check the tables, and put the configuration's prices in force.

        Only who writes jobs calls this: what reads follows the database's book.
        """
        ensure_schema(self.engine)
        if self.config.prices:
            from etl.analytics.prices import ensure_prices

            ensure_prices(self.engine, self.config.prices)

    def _run_each(
        self,
        names: Sequence[str],
        kind: RunKind,
        progress: Observer | None,
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
                return never_began(source.name, kind, "interrupted", self._clock(), self._clock())
            return self.run_source(
                source, kind, progress=progress, stop=stop, accept_suspicious=accept_suspicious
            )

        return side_by_side(one, chosen, self.config.parallel)

    def run_source(
        self,
        source: Source,
        kind: RunKind,
        *,
        progress: Observer,
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
            return self.worker.run(
                source, kind, progress=progress, stop=stop, accept_suspicious=accept_suspicious
            )
        except Exception as error:  # noqa: BLE001 (Dask raises what it likes; one source must not end others)
            moment = self._clock()
            return self.worker.fallen(source, never_began(source.name, kind, "failed", moment, moment, error))


def side_by_side(act: Callable[[Source], _T], chosen: Sequence[Source], parallel: int) -> list[_T]:
    """Results in the order of `chosen`; at most `parallel` at once, first come, first served."""
    if len(chosen) == 1:
        return [act(chosen[0])]
    with ThreadPoolExecutor(max_workers=min(parallel, len(chosen))) as pool:
        return list(pool.map(act, chosen))
