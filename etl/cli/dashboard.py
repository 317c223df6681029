"""`bifrost-etl dashboard`: the pages alone, without the service."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.output import DIM, print_line
from etl.cli.settings import CommandSettings, ConfigFile
from etl.cli.signals import hear_signals

#: Seconds after the first signal in which the process ends, whatever a page waits for.
_GRACE = 8.0

if TYPE_CHECKING:
    from etl.analytics.status import SourceStatus
    from etl.app import App
    from etl.config import Config, ServiceConfig
    from etl.web.state import ServiceState


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
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    settings.start_logging(loaded)

    from etl.app import App
    from etl.web.app import build_app
    from etl.web.dashboard.routes import dashboard_routes
    from etl.web.server import WebServer

    service, stopped = loaded.service, threading.Event()
    with (
        App(loaded) as app,
        hear_signals((signal.SIGTERM, signal.SIGINT), lambda number: _stop_on_signal(stopped, number)),
    ):
        site = build_app(_dashboard_state(app, service), dashboard_routes())
        with WebServer(site, service.host, service.port if port is None else port) as web:
            print_line(f"{web.url}/")
            print_line("Ctrl-C stops it", DIM)
            if open_browser:
                import webbrowser

                webbrowser.open(f"{web.url}/")
            stopped.wait()


def _stop_on_signal(stopped: threading.Event, number: int) -> None:
    """Python would wait for threads whose question is never answered; a second signal ends it at once."""
    if stopped.is_set():
        os._exit(128 + number)
    stopped.set()
    timer = threading.Timer(_GRACE, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _dashboard_state(app: App, service: ServiceConfig) -> ServiceState:
    from etl.web.metrics import Metrics
    from etl.web.state import ServiceState

    limits = app.config.freshness_limits(datetime.now(UTC))
    return ServiceState(
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
