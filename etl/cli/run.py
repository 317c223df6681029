"""`bifrost-etl run`: the service."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from etl.cli.errors import FAILED
from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.cli.signals import hear_signals, held_hangups
from etl.errors import ConfigError, EtlError

if TYPE_CHECKING:
    from etl.config import Config
    from etl.scheduler import Service, Work
    from etl.scheduler.notify import Memory
    from etl.web.feed_metrics import Delivered
    from etl.web.metrics import Metrics
    from etl.web.state import ServiceState

_STOPS = (signal.SIGTERM, signal.SIGINT)
#: Seconds of the shutdown time that remain for closing the database, the page and the notifier.
_CLOSING = 2.0


def command(
    ctx: typer.Context,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="One round: sync every source, reconcile those that are due, deliver, and exit."
        ),
    ] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Run as a service: every source on its schedule, health and metrics over HTTP, until told to stop.

    SIGTERM or Ctrl-C finishes the current batches, gives leases back and exits 0 within
    service.shutdown_timeout, or 1 when leases could not be given back in that time: they expire by
    themselves. A second one leaves at once. SIGHUP reads the configuration again; when it is
    wrong, the old one stays in force.

    Destinations of the feed with a schedule are delivered to, each by a process of its own.

    --once is for cron, Kubernetes and Airflow; its output, --json and exit codes are those of `sync`. A
    disabled source counts as failed there. After the sources it delivers to every destination that has a
    schedule, whatever it says; these count like sources, and stand in --json under "destinations" as `feed`
    prints them.
    """
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    _require_settings(loaded, once=once)
    if json and not once:
        raise ConfigError("--json goes with --once", hint="the service writes logs: service.log_format: json")
    if once:
        settings.start_logging(loaded)
        raise typer.Exit(_run_once(loaded, settings, as_json=json))
    settings.start_logging(loaded, loaded.service.log_level)
    run_service(loaded, settings)


def _require_settings(config: Config, *, once: bool = False) -> None:
    """Raises ConfigError unless there are sources, and every secret that this process will need."""
    from etl.config import require_secrets

    config.choose()
    scheduled = [destination for destination in config.feed.destinations if destination.scheduled]
    require_secrets(config.origin, *scheduled, *(() if once else (config.service, config.notify)))


def _run_once(config: Config, settings: CommandSettings, *, as_json: bool) -> int:
    from etl.app import App
    from etl.cli import feed, results
    from etl.cli.progress import show_progress
    from etl.cli.signals import stop_on_signals
    from etl.scheduler import deliver_once, run_once

    with App(config) as app, stop_on_signals() as stop:
        with show_progress(settings.redact) as progress:
            ended = run_once(app, progress=progress, stop=stop)
        delivered = deliver_once(app, watch=feed.print_batch, stop=stop)
        return results.show_results(ended, settings.redact, as_json=as_json, delivered=delivered)


def run_service(
    config: Config, settings: CommandSettings, opened: Callable[[str], None] = lambda address: None
) -> NoReturn:
    """Serve until a signal, which ends the process. `opened` gets the address of its pages."""
    from etl.log import get_logger
    from etl.scheduler import BREAKER_AFTER, Service
    from etl.web.app import build_app
    from etl.web.cache import Cache, Shared
    from etl.web.dashboard.routes import dashboard_routes
    from etl.web.feed_metrics import Delivered
    from etl.web.metrics import Metrics
    from etl.web.server import WebServer

    metrics, log = Metrics(), get_logger("service")
    service = Service(_make_work(config, metrics), metrics)
    _prepare_tables(service.work)
    state = _service_state(service, metrics)
    metrics.watch(state.read, BREAKER_AFTER)
    waiting, asked = Cache[list[Delivered]](), Shared[list[Delivered]]()
    metrics.feed.watch(lambda: asked.get(lambda: waiting.get(lambda: _read_deliveries(service))))
    with (
        WebServer(build_app(state, dashboard_routes()), config.service.host, config.service.port) as web,
        _signal_queue(lambda: service.work.app.config.service.shutdown_timeout) as inbox,
    ):
        service.start()
        log.info(
            "service_started",
            url=web.url,
            sources=_source_names(config),
            config=config.origin,
            pid=os.getpid(),
        )
        opened(f"{web.url}/")
        while (number := inbox.get()) not in _STOPS:
            _reload_config(service, settings, metrics)
        timeout = service.work.app.config.service.shutdown_timeout
        log.info("stopping", signal=signal.Signals(number).name, at_most_seconds=timeout)
        orderly = service.stop(max(1.0, timeout - _CLOSING))
    log.info("service_stopped", orderly=orderly)
    # Python would wait for its threads, and one of them may wait for a gateway or a database that hangs.
    os._exit(0 if service.released else FAILED)


def _make_work(config: Config, metrics: Metrics, memory: Memory | None = None) -> Work:
    from etl.app import App
    from etl.scheduler import Work
    from etl.scheduler.notify import Notifier

    app = App(config)
    return Work(app, Notifier(config.notify, app.redact, memory=memory))


def _prepare_tables(work: Work) -> None:
    """Tables are made or checked; a database that is merely away may come back while we run."""
    from etl.errors import DatabaseBusy, DatabaseUnavailable
    from etl.log import get_logger

    try:
        work.app.prepare()
    except (DatabaseBusy, DatabaseUnavailable) as error:
        get_logger("service").error("database_away", error=work.app.redact(str(error)), hint=error.hint)


def _service_state(service: Service, metrics: Metrics) -> ServiceState:
    from etl.cli.dashboard import next_try_of
    from etl.web.state import ServiceState
    from etl.worker import utc_now

    return ServiceState(
        app=lambda: service.work.app,
        service=service.work.app.config.service,
        metrics=metrics,
        alive=lambda: service.alive,
        limits=lambda: service.work.app.config.freshness_limits(utc_now()),
        next_try=lambda status: next_try_of(service.work.app.config, status),
    )


def _read_deliveries(service: Service) -> list[Delivered]:
    """How the feed stands. Raises StorageError."""
    from etl.feed.lag import measure_lags
    from etl.web.feed_metrics import Delivered

    engine = service.work.app.engine
    return [
        Delivered(
            s.destination, s.failures, s.last_ok, () if s.reached is None else measure_lags(engine, s.reached)
        )
        for s in service.feeds.standings()
    ]


def _reload_config(service: Service, settings: CommandSettings, metrics: Metrics) -> None:
    """Read the configuration again; anything wrong with it leaves the old one in force."""
    from etl.log import get_logger

    old = service.work.app.config
    secrets = settings.secrets
    try:
        fresh = settings.load()
        _require_settings(fresh)
        settings.secrets = tuple({*settings.secrets, *secrets})  # runs that go on still know the old ones
        work = _make_work(fresh, metrics, service.work.notifier.memory)
        if (fresh.database, fresh.prices) != (old.database, old.prices):
            work.app.prepare()
    except EtlError as error:
        settings.secrets = tuple({*settings.secrets, *secrets})
        text = settings.redact(str(error))
        get_logger("service").error("reload_refused", error=text, hint=error.hint, in_force=old.origin)
        return
    settings.start_logging(fresh, fresh.service.log_level)
    service.reload(work)
    get_logger("service").info("reloaded", sources=_source_names(fresh), config=fresh.origin)
    fixed = ("host", "port", "path", "token", "allow_remote")
    if any(getattr(fresh.service, key) != getattr(old.service, key) for key in fixed):
        get_logger("service").warning(
            "restart_needed", why="service.host, port, path and token are read at the start"
        )


def _source_names(config: Config) -> list[str]:
    return [source.name for source in config.sources if source.enabled]


@contextmanager
def _signal_queue(grace: Callable[[], float]) -> Iterator[queue.SimpleQueue[int]]:
    """SIGTERM, SIGINT and SIGHUP as they come. `grace()` seconds after the first request to stop the process
    ends, whatever its threads wait for; a second one ends it at once."""
    inbox: queue.SimpleQueue[int] = queue.SimpleQueue()
    stopping = False

    def receive(number: int) -> None:
        nonlocal stopping
        if number in _STOPS:
            if stopping:
                os.write(2, b"leaving at once\n")
                os._exit(128 + number)
            stopping = True
            _leave_after(grace())
        inbox.put(number)

    with hear_signals([*_STOPS, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])], receive):
        for number in held_hangups():
            inbox.put(number)
        yield inbox


def _leave_after(seconds: float) -> None:
    """The main thread may be reading a configuration from a database that hangs, or the interpreter may wait
    for threads at its end: nothing of that outlasts the shutdown time."""
    from etl.log import get_logger

    def leave() -> None:
        get_logger("service").warning("leaving", after_seconds=seconds, hint="leases expire by themselves")
        os._exit(FAILED)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
