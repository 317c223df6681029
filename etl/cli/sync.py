"""`bifrost-etl sync`: bring sources up to date, once."""

from __future__ import annotations

import typer

from etl.cli.completion import Sources
from etl.cli.settings import CommandSettings, ConfigFile, Json


def command(
    ctx: typer.Context, sources: Sources = None, config: ConfigFile = None, json: Json = False
) -> None:
    """Bring sources up to date, once: new jobs, and changes of unfinished ones.

    The first sync of a source loads its whole history; it can be stopped and goes on where it was. Ctrl-C
    finishes the current batch.

    --json prints {"sources": [{source, kind, status (ok, failed, interrupted, skipped), run_id, started_at,
    finished_at, pages, requests, retries, jobs_seen, jobs_inserted, jobs_updated, jobs_unchanged,
    jobs_rejected, jobs_unlisted, gaps, gaps_opened, gaps_closed, error: null or {class, message, hint}}]}.
    `gaps` counts the stretches of the list that are not read and not accepted: see `bifrost-etl gaps`.

    Exit codes: 0 done (also when another process is syncing), 1 failed, or nothing was read, 2 wrong usage or
    configuration, 3 some sources failed and others did not, or a part of a list could not be read, 130
    interrupted.
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
            ended = app.sync(sources or (), progress=progress, stop=stop)
        code = results.show_results(ended, settings.redact, as_json=json)
    raise typer.Exit(code)
