"""One source here, in this process: client, lease, store and pipeline put together for one run."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from etl.config import Config, Source
from etl.db.engine import Engine, read_transaction, write_transaction
from etl.errors import EtlError, GatewayError, LeaseHeld, LeaseLost, SourceRetired, StorageError, is_refusal
from etl.extract import GatewayClient
from etl.load import Lease, Store, find_source, register_source, worker_name
from etl.load.source_health import REFUSALS, count_refusals, note_failure
from etl.log import Redactor, get_logger
from etl.observer import Observer, Silent
from etl.pipeline.sync import Stopped, sync_source
from etl.records import RunKind, RunResult, never_began
from etl.schema.partitions import make_ahead
from etl.transform.privacy import scrub_message


def utc_now() -> datetime:
    """Our clock, UTC."""
    return datetime.now(UTC)


class Worker:
    """Runs sources of one configuration on one engine, which somebody else opens and closes."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.config, self.engine, self._clock, self._sleep = config, engine, clock, sleep
        self._rng = rng or random.Random()  # noqa: S311 (jitter, not secrets)
        self.redact = Redactor(config.secrets())

    def gateway(
        self,
        source: Source,
        *,
        progress: Observer | None = None,
        stop: threading.Event | None = None,
        store: Store | None = None,
    ) -> GatewayClient:
        """A client for one source; waits end early when `stop` is set. `store` tells its logs the run."""

        told = progress or Silent()

        def on_retry(error: GatewayError, wait: float) -> None:
            run = None if store is None else store.committed.run_id
            get_logger("extract").warning(
                "retry", source=source.name, run=run, error=str(error), wait=round(wait, 2)
            )
            told.waiting(source.name, error, wait)

        def redact(text: str) -> str:
            return scrub_message(self.redact(text), source.prompts)

        source = source.renewed()  # a key's file may have been replaced since the last run

        return GatewayClient(
            source,
            clock=self._clock,
            monotonic=time.monotonic,
            sleep=self._make_nap(stop),
            rng=self._rng,
            on_retry=on_retry,
            on_answer=partial(told.requested, source.name),
            redact=redact,
        )

    def run(
        self,
        source: Source,
        kind: RunKind,
        *,
        progress: Observer,
        stop: threading.Event,
        accept_suspicious: bool = False,
        job: str | None = None,
    ) -> RunResult:
        """A run, start to end; its outcome is noted. `job` names what this is an attempt at: see `Lease`.

        Whatever goes wrong is in the result. Work of another kind that it leaves is a run of its own, whose
        result is given then.
        """
        while True:
            result, left = self._run_once(source, kind, progress, stop, accept_suspicious, job)
            if not left:
                return result

    def _run_once(
        self,
        source: Source,
        kind: RunKind,
        progress: Observer,
        stop: threading.Event,
        accept_suspicious: bool,
        job: str | None,
    ) -> tuple[RunResult, bool]:
        """One run, and whether it leaves another one to do."""
        started = self._clock()
        try:
            make_ahead(self.engine, self._clock())
            store = self._open_store(source, kind, stop, job)
            result = self._run_stored(source, store, progress, stop, accept_suspicious=accept_suspicious)
        except SourceRetired as error:
            return never_began(source.name, kind, "skipped", started, self._clock(), error), False
        except Exception as error:  # noqa: BLE001 (a run's last seam: whatever comes is noted and told)
            fallen = never_began(source.name, kind, "failed", started, self._clock(), error)
            return self.fallen(source, fallen), False
        if result.run_id is not None or not isinstance(
            result.error, GatewayError
        ):  # else another's run counts
            self._note_outcome(source, result)
        return result, result.status == "ok" and store.leaves_more(kind)

    def _run_stored(
        self,
        source: Source,
        store: Store,
        progress: Observer,
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

    def fallen(self, source: Source, result: RunResult) -> RunResult:
        """A run that left no record counts as a failure all the same. An unusable database cannot be told."""
        error = result.error
        if not isinstance(error, EtlError):
            get_logger("app").error("run_broke", source=source.name, exc_info=error)
        if not isinstance(error, StorageError):
            self._note_outcome(source, result)
        return result

    def _note_outcome(self, source: Source, result: RunResult) -> None:
        """Failures in a row, and settings that the gateway refuses, are known to every service.

        The last commit of a run that succeeds forgets them."""
        error = result.error
        try:
            if result.status == "failed" and not isinstance(error, LeaseHeld | LeaseLost):
                refused = is_refusal(error) and count_refusals(self.engine, source.name) >= REFUSALS
                disabled = self.redact(str(error)) if refused else None
                note_failure(
                    self.engine,
                    source.name,
                    now=self._clock(),
                    disabled=disabled,
                    fingerprint=source.fingerprint(),
                )
        except StorageError as broken:  # the run itself is recorded, or failed for the same reason
            get_logger("app").warning("outcome_not_noted", source=source.name, error=self.redact(str(broken)))

    def _make_nap(self, stop: threading.Event | None) -> Callable[[float], None]:
        """A sleep that ends, with Stopped, as soon as somebody asks the run to stop."""
        if self._sleep is not None or stop is None:
            return self._sleep or time.sleep

        def nap(seconds: float) -> None:
            if stop.wait(seconds):
                raise Stopped

        return nap

    def _register_source(self, source: Source) -> int:
        """The source's id; only a new or moved source costs a transaction."""
        facts = (source.name, source.base_url, source.provider, source.key_name)
        with read_transaction(self.engine) as conn:
            source_id = find_source(conn, *facts)
        if source_id is None:
            with write_transaction(self.engine) as conn:
                source_id = register_source(conn, *facts, self._clock())
        return source_id

    def _open_store(self, source: Source, kind: RunKind, stop: threading.Event, job: str | None) -> Store:
        source_id = self._register_source(source)
        return Store(
            self.engine,
            source_id,
            Lease(
                source_id,
                worker_name(self.config.lease.seconds),
                self.config.lease.seconds,
                job=job,
            ),
            kind=kind,
            clock=self._clock,
            sleep=self._make_nap(stop),
            patience=source.open_job_patience,
            history_progress=source.history_progress,
            page_size=source.page_size,
        )
