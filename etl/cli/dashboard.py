"""`bifrost-etl dashboard`: the pages alone, without the service."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.output import DIM, say
from etl.cli.settings import ConfigFile, Settings
from etl.cli.signals import heard

#: Seconds after the first signal in which the process ends, whatever a page waits for.
_GRACE = 8.0

if TYPE_CHECKING:
    from datetime import datetime

    from etl.analytics.status import SourceStatus
    from etl.app import App
    from etl.config import Config, Service
    from etl.web.state import State


def command(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Port to listen on; 0 for any free one.",
            show_default="service.port",
        ),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open a browser.")] = False,
    config: ConfigFile = None,
) -> None:
    """The dashboard in a browser, until Ctrl-C. It only reads the database, and never creates one.

    Where it listens, and the token it asks for, are service.host, allow_remote and token. `run` serves the
    same pages.
    """
    settings = ctx.ensure_object(Settings)
    loaded = settings.load(config)
    settings.start_logging(loaded)

    from etl.app import App
    from etl.web.app import build
    from etl.web.dashboard.routes import routes
    from etl.web.server import WebServer

    service, stopped = loaded.service, threading.Event()
    with App(loaded) as app, heard((signal.SIGTERM, signal.SIGINT), lambda number: _stop(stopped, number)):
        site = build(_state(app, service), routes())
        with WebServer(site, service.host, service.port if port is None else port) as web:
            say(f"{web.url}/")
            say("Ctrl-C ends it", DIM)
            if open_browser:
                import webbrowser

                webbrowser.open(f"{web.url}/")
            stopped.wait()


def _stop(stopped: threading.Event, number: int) -> None:
    """Python would wait for threads whose question is never answered; a second signal ends it at once."""
    if stopped.is_set():
        os._exit(128 + number)
    stopped.set()
    timer = threading.Timer(_GRACE, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _state(app: App, service: Service) -> State:
    from etl.web.metrics import Metrics
    from etl.web.state import State

    limits = _limits(app.config)
    return State(
        app=lambda: app,
        service=service,
        metrics=Metrics(),
        alive=lambda: True,
        limits=lambda: limits,
        next_try=lambda status: next_try_of(app.config, status),
    )


def next_try_of(config: Config, status: SourceStatus) -> datetime | None:
    """When a service tries a failing source again; None when it will not, as far as we know."""
    from etl.scheduler.timing import try_of

    if status.last_run is None or status.disabled_at is not None:
        return None
    return try_of(config.sources, status.source, status.failures, status.last_run.started_at)


def _limits(config: Config) -> dict[str, float]:
    """As for the service: a source that is asked once an hour cannot be fresher than that."""
    from etl.scheduler import slowest
    from etl.worker import now

    least, moment = config.service.ready_max_age, now()
    return {s.name: max(least, 2 * slowest(s.schedule, moment)) for s in config.sources if s.enabled}
