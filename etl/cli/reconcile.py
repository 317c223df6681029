"""`bifrost-etl reconcile`: compare everything listed with everything stored."""

from __future__ import annotations

from typing import Annotated

import typer

from etl.cli.completion import Sources
from etl.cli.settings import CommandSettings, ConfigFile, Json


def command(
    ctx: typer.Context,
    sources: Sources = None,
    accept_suspicious: Annotated[
        bool,
        typer.Option(
            "--accept-suspicious",
            help="Believe a scan that looks wrong, for example a list that shrank to almost nothing.",
        ),
    ] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Read the whole list again and compare it with the table.

    Finds changes of settled jobs and marks jobs that are no longer listed, with the evidence. A scan that
    looks wrong fails and marks nothing. Output, --json and exit codes are those of `sync`.
    """
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    loaded.choose(sources or ())
    settings.start_logging(loaded)

    from etl.app import App
    from etl.cli import results
    from etl.cli.progress import show_progress
    from etl.cli.signals import stop_on_signals

    with App(loaded) as app, stop_on_signals() as stop:
        with show_progress(settings.redact) as progress:
            ended = app.reconcile(
                sources or (), progress=progress, accept_suspicious=accept_suspicious, stop=stop
            )
        code = results.show_results(ended, settings.redact, as_json=json)
    raise typer.Exit(code)
