"""`executor: dask`: orders go to a cluster, results come back. Which worker dies or lives is Dask's business.

Nothing relies on it for safety: a source that is run twice, by a worker taken for dead, is kept apart by its
lease and fencing token.
"""

from __future__ import annotations

import logging
import secrets
import threading
from concurrent.futures import CancelledError, Future, wait
from typing import Any

import msgspec

from etl import errors
from etl.config import Config, Dask, DatabaseConfig, SecretUrl, Source
from etl.errors import ConfigError, EtlError
from etl.log import get_logger
from etl.observer import Observer
from etl.records import Counts, RunKind, RunResult
from etl.words import how_to_install

#: Seconds to reach the scheduler, and to see its first worker.
CONNECT = 15
#: Seconds between two looks at the request to stop.
LOOK = 0.25


class Fleet:
    """A connection to a cluster. `run` is called from many threads at once, and each waits for its result."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._topic = f"bifrost-etl-{secrets.token_hex(4)}"
        self._watching: dict[str, tuple[str, Observer, threading.Event]] = {}
        self._asking = threading.Lock()
        self._idle = threading.Condition()
        self._closing = False
        self._cluster, self._client = _connect_cluster(config.dask)
        self._executor = self._client.get_executor(pure=False)
        self._client.subscribe_topic(self._topic, self._relay_progress)

    def run(
        self,
        source: Source,
        kind: RunKind,
        *,
        progress: Observer,
        stop: threading.Event,
        accept_suspicious: bool = False,
    ) -> RunResult:
        """One run of one source on some worker. Raises EtlError when the cluster could not do it."""
        from etl.cluster.task import RunOrder, configuration_digest, run_source

        config, file = self._config, self._config.dask.config_file
        order = RunOrder(
            job=secrets.token_hex(8),
            source=source.name,
            kind=kind,
            topic=self._topic,
            accept_suspicious=accept_suspicious,
            log_level=_log_level(),
            config=None if file else _config_for_source(config, source),
            config_file=file,
            digest=configuration_digest(config, source),
        )
        with self._idle:
            self._watching[order.job] = source.name, progress, stop
        try:
            result = self._wait_for_result(self._executor.submit(run_source, order), source, stop)
        finally:
            with self._idle:
                del self._watching[order.job]
                self._idle.notify_all()
        progress.finished(result)
        return result

    def close(self) -> None:
        """Disconnect; workers of our own end. Runs that are on, after a reload, are waited for elsewhere."""
        with self._idle:
            if self._closing:
                return
            self._closing = True
            busy = bool(self._watching)
        if busy:
            threading.Thread(target=self._disconnect, name="fleet-closing", daemon=True).start()
        else:
            self._disconnect()

    def _disconnect(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: not self._watching)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def _wait_for_result(self, future: Future[RunResult], source: Source, stop: threading.Event) -> RunResult:
        while not wait([future], LOOK if not stop.is_set() else 4 * LOOK).done:
            if stop.is_set():  # again and again: a worker that comes later has to know as well
                self._ask_to_stop()
        try:
            return future.result()
        except (Exception, CancelledError) as error:
            raise _lost_source(source, error) from error

    def _ask_to_stop(self) -> None:
        """Tell every worker of all runs that are to stop, so that the end of one begins no other."""
        from etl.cluster.task import ask_to_stop

        if not self._asking.acquire(blocking=False):
            return  # another thread is at it
        try:
            with self._idle:
                jobs = [job for job, (_, _, stop) in self._watching.items() if stop.is_set()]
            self._client.run(ask_to_stop, jobs, on_error="ignore")
        finally:
            self._asking.release()

    def _relay_progress(self, event: tuple[float, dict[str, Any]]) -> None:
        """A worker's progress; what comes after the result is too late to matter."""
        _, facts = event
        with self._idle:
            found = self._watching.get(facts["job"])
        if found is None:
            return
        name, progress, _ = found
        if facts["what"] == "started":
            progress.started(name, facts["kind"])
        elif facts["what"] == "advanced":
            progress.advanced(name, Counts(**facts["counts"]), facts["seconds"])
        elif facts["what"] == "reading":
            progress.reading(name, facts["rows"], facts["count"])
        else:
            error = getattr(errors, facts["error"], EtlError)
            progress.waiting(name, error(facts["why"]), facts["seconds"])


def _config_for_source(config: Config, source: Source) -> Config:
    """What a worker needs for this source, and no other source's keys."""
    return Config(
        sources=(source,),
        database=DatabaseConfig(url=SecretUrl(config.database.absolute_url())),
        lease=config.lease,
        service=msgspec.structs.replace(config.service, token=None),
        origin=config.origin,
    )


def _connect_cluster(dask: Dask) -> tuple[Any, Any]:
    """(our own cluster or None, client)."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "executor: dask needs a package that is not installed", hint=how_to_install("dask")
        ) from None
    logging.getLogger("distributed").setLevel(max(logging.WARNING, logging.getLogger().level))
    cluster = None if dask.address else _start_cluster(dask)
    where = dask.address or "this machine"
    client = None
    try:
        client = Client(cluster or dask.address, timeout=CONNECT, set_as_default=False, name="bifrost-etl")
        client.wait_for_workers(1, timeout=CONNECT)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        for part in (client, cluster):
            if part is not None:
                part.close()
        raise EtlError(
            f"no Dask cluster with a worker answers at {where}",
            hint="dask scheduler and dask worker must run, with this package installed, in the same version",
        ) from error
    get_logger("fleet").info(
        "cluster", address=where, workers=len(client.scheduler_info(n_workers=-1)["workers"])
    )
    return cluster, client


def _start_cluster(dask: Dask) -> Any:
    """Workers on this machine, for us alone: whoever may talk to a Dask scheduler may run anything."""
    from distributed import LocalCluster, Security

    return LocalCluster(
        n_workers=dask.workers,
        threads_per_worker=dask.threads,
        host="127.0.0.1",
        protocol="tls",
        security=Security.temporary(),
        dashboard_address="127.0.0.1:0",
        preload=["etl.cluster.preload"],
        silence_logs=logging.ERROR,
    )


def _lost_source(source: Source, error: BaseException) -> EtlError:
    if type(error).__name__ == "KilledWorker":
        return EtlError(
            f"every worker that worked on source {source.name!r} died",
            hint="out of memory? What they had committed is kept, and the next run continues from there",
        )
    return EtlError(
        f"the Dask cluster did not finish source {source.name!r}: {type(error).__name__}",
        hint="are scheduler and workers alive? The next run continues from what was committed",
    )


def _log_level() -> str:
    """The level that logs have here."""
    name = logging.getLevelName(logging.getLogger().getEffectiveLevel()).lower()
    return name if name in ("debug", "info", "error") else "warning"
