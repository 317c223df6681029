"""What runs on a Dask worker: one run of one source, with the same code as everywhere else.

Everything that goes in or out is pickled by Dask and may be shown by its pages and logs: an order's repr
names the source and nothing more, errors come back as ours, with secrets masked.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from etl import log
from etl.config import Config, Source, load_config
from etl.db.engine import Engine, make_engine
from etl.errors import ConfigError, EtlError
from etl.records import Counts, RunKind, RunResult, never_began
from etl.worker import Worker, utc_now

_guard = threading.RLock()
_stops: dict[str, threading.Event] = {}
_secrets: set[str] = set()


@dataclass(frozen=True, slots=True)
class RunOrder:
    """One run to do. `config` holds this source only, or is None: then the worker reads `config_file`.

    `job` is the same for every attempt, should workers die; `topic` is where progress is told.
    """

    job: str
    source: str
    kind: RunKind
    topic: str
    accept_suspicious: bool = False
    log_level: str = "warning"
    config: Config | None = field(default=None, repr=False)
    config_file: str | None = None
    digest: str = field(default="", repr=False)


def configuration_digest(config: Config, source: Source) -> str:
    """Equal when two configurations mean the same gateway, key and database."""
    return hashlib.sha256(f"{source.fingerprint()} {config.database.absolute_url()}".encode()).hexdigest()


def run_source(order: RunOrder) -> RunResult:
    """Carry the order out. Whatever goes wrong is in the result."""
    begun = utc_now()
    stop = _stop_of(order.job)
    redact: Callable[[str], str] = log.Redactor()
    try:
        if stop.is_set():
            return never_began(order.source, order.kind, "interrupted", begun, utc_now())
        config, source = _order_settings(order)
        _log_to_stderr(config, order.log_level)
        redact = log.Redactor(config.secrets())
        engine = _engine_for(config.database.absolute_url(), config.lease.seconds)
        result = Worker(config, engine).run(
            source,
            order.kind,
            progress=_Telling(order, redact),
            stop=stop,
            accept_suspicious=order.accept_suspicious,
            job=order.job,
        )
        return replace(result, error=result.error and _portable_error(result.error, redact))
    except Exception as error:  # noqa: BLE001 (a worker's last seam: the caller gets a result for every order)
        failure = _portable_error(error, redact)
        return never_began(order.source, order.kind, "failed", begun, utc_now(), failure)
    finally:
        with _guard:
            _stops.pop(order.job, None)


def ask_to_stop(jobs: list[str]) -> None:
    """Sent to every worker: who has an order ends it after its batch, who gets it later does not begin."""
    with _guard:
        if len(_stops) > 10_000:  # of orders that other workers had
            _stops.clear()
        for job in jobs:
            _stop_of(job).set()


def _stop_of(job: str) -> threading.Event:
    with _guard:
        return _stops.setdefault(job, threading.Event())


def _order_settings(order: RunOrder) -> tuple[Config, Source]:
    """The configuration to work by, for this one source."""
    if order.config is not None:
        return order.config, order.config.sources[0]
    assert order.config_file is not None
    path = Path(order.config_file)
    for _ in range(2):  # a secret's file may have changed since it was read
        config = _load_cached(path, _file_stamp(path))
        found = next((source for source in config.sources if source.name == order.source), None)
        if found is not None and configuration_digest(config, found) == order.digest:
            alone = msgspec.structs.replace(config, sources=(found,), executor="threads")
            return alone, found
        _load_cached.cache_clear()
    raise ConfigError(
        f"a worker's {order.config_file} has other settings for source {order.source!r} than the caller",
        hint="give callers and workers the same gateway, keys and database, word for word",
    )


@functools.lru_cache(maxsize=2)
def _load_cached(path: Path, _stamp: tuple[int, int]) -> Config:
    return load_config(path, os.environ)


def _file_stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0  # load_config says what is wrong
    return status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=4)
def _engine_once(url: str, lease_seconds: float) -> Engine:
    from distributed import get_worker

    return make_engine(url, pool_size=get_worker().state.nthreads + 3, idle_transaction_timeout=lease_seconds)


def _engine_for(url: str, lease_seconds: float) -> Engine:
    with _guard:  # connections outlive an order: the next one finds them open
        return _engine_once(url, lease_seconds)


def _log_to_stderr(config: Config, level: str) -> None:
    """Logs go to the worker's stderr, without the secrets of any source that it has worked on."""
    with _guard:
        fresh = set(config.secrets()) - _secrets
        if fresh or not _secrets:
            _secrets.update(fresh)
            log.set_up_logging(level, config.service.log_format, log.Redactor(_secrets))


def _portable_error(error: Exception, redact: Callable[[str], str]) -> EtlError:
    """The error as it may travel: ours, every text masked."""
    if not isinstance(error, EtlError):
        return EtlError(redact(f"unexpected {type(error).__name__} on a worker: {error}"))
    error.args = tuple(redact(part) if isinstance(part, str) else part for part in error.args)
    if error.__cause__ is not None:
        error.__cause__ = EtlError(redact(str(error.__cause__) or type(error.__cause__).__name__))
    return error


class _Telling:
    """An observer: what it is told goes to the caller through Dask's event topics."""

    def __init__(self, order: RunOrder, redact: Callable[[str], str]) -> None:
        from distributed import get_worker

        self._order, self._redact, self._worker = order, redact, get_worker()

    def started(self, source: str, kind: RunKind) -> None:
        self._tell("started", kind=kind)

    def requested(self, source: str, seconds: float) -> None:
        """Too many to tell."""

    def waiting(self, source: str, error: Exception, seconds: float) -> None:
        self._tell("waiting", error=type(error).__name__, why=self._redact(str(error)), seconds=seconds)

    def advanced(self, source: str, counts: Counts, seconds: float) -> None:
        self._tell("advanced", counts=asdict(counts), seconds=seconds)

    def reading(self, source: str, what: str, count: int) -> None:
        self._tell("reading", rows=what, count=count)

    def finished(self, result: RunResult) -> None:
        """The result itself says so."""

    def _tell(self, what: str, **facts: Any) -> None:
        self._worker.log_event(self._order.topic, {"job": self._order.job, "what": what, **facts})
