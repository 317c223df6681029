"""`bifrost-etl source …`: sources whose upstream is gone become archives, and come back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.completion import complete_source
from etl.cli.output import GOOD, WARN, moment_text, print_line
from etl.cli.settings import CommandSettings, ConfigFile
from etl.config.nearest import unknown_name

if TYPE_CHECKING:
    from etl.analytics.status import SourceStatus
    from etl.db.engine import Engine

command = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

SourceName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The source.", show_default=False, autocompletion=complete_source),
]


@command.callback()
def group() -> None:
    """Retire a source whose upstream is gone, or ask it again."""


@command.command()
def retire(
    ctx: typer.Context,
    name: SourceName,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; without it, how its last run failed.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Make a source an archive: never asked again, no alarms.

    Nothing is marked as no longer listed. Reports, feed and dashboard go on with what is stored.
    What was never read stays a gap, and `status` exits 3, until `gaps --accept NUMBER` says that you know.
    One that is retired already keeps its day; its reason is replaced only by --reason.
    """
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    from etl.analytics.connections import open_filled_database
    from etl.load.source_health import retire_source

    now = datetime.now(UTC)
    with open_filled_database(loaded) as engine:
        found = _read_status(engine, name, now)
        since = found.retired_at or now
        if found.retired_at is not None and not reason:
            print_line(f"{name}: already retired since {moment_text(since)} UTC: {found.retired_reason}")
            return
        evidence = settings.redact(reason or _last_failure(found))
        retire_source(engine, name, now=since, reason=evidence)
    print_line(f"{name} has been retired since {moment_text(since)} UTC: {evidence}", GOOD)
    if found.open_gaps:
        numbers = " ".join(f"--accept {gap.id}" for gap in found.open_gaps)
        print_line(f"  never read, and status says so until you accept it: bifrost-etl gaps {numbers}", WARN)


@command.command()
def revive(ctx: typer.Context, name: SourceName, config: ConfigFile = None) -> None:
    """Ask a retired source again, from its next sync on."""
    loaded = ctx.ensure_object(CommandSettings).load(config)
    from etl.analytics.connections import open_filled_database
    from etl.load.source_health import revive_source

    with open_filled_database(loaded) as engine:
        if _read_status(engine, name, datetime.now(UTC)).retired_at is None:
            print_line(f"{name} is not retired")
            return
        revive_source(engine, name)
    print_line(f"{name} is no longer retired; its next sync asks the gateway again", GOOD)


def _read_status(engine: Engine, name: str, now: datetime) -> SourceStatus:
    from etl.analytics.status import read_status

    found = {status.source: status for status in read_status(engine, now)}
    if name not in found:
        raise unknown_name("source", name, found)
    return found[name]


def _last_failure(status: SourceStatus) -> str:
    """How the last run failed, as it was recorded."""
    run = status.last_run
    if run is None or run.status != "failed":
        return "by command"
    return f"by command; run {run.run_id} had failed: {run.error_class}: {run.error_message}"
