"""`bifrost-etl prune`: remove what is older than the configured retention."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.errors import ConfigError

if TYPE_CHECKING:
    from etl.config import Retention

_Age = Annotated[str | None, typer.Option(metavar="AGE", help="Overrides the configured age, e.g. 90d.")]


def command(
    ctx: typer.Context,
    page_log: _Age = None,
    runs: _Age = None,
    rejects: _Age = None,
    versions: _Age = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be removed.")] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Remove page logs, runs, rejects and superseded versions older than `retention:` says.

    Never removed: what a configured feed destination does not have yet, the newest version of a job, and
    the current state. Works in small transactions, beside running syncs; can be stopped at any moment.

    --json prints {"dry_run", "removed": {table: rows}}.
    """
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    given = {"page_log": page_log, "runs": runs, "rejects": rejects, "versions": versions}
    retention = _merge_retention(loaded.retention, given)
    settings.start_logging(loaded)

    from etl.analytics.connections import open_filled_database
    from etl.cli.output import print_line, say_json
    from etl.cli.signals import stop_on_signals
    from etl.feed.prune import prune_tables

    with open_filled_database(loaded) as engine, stop_on_signals() as stop:
        removed = prune_tables(
            engine,
            retention,
            loaded.feed.destinations,
            now=datetime.now(UTC),
            dry_run=dry_run,
            stop=stop,
            watch=_print_removed,
        )
    if json:
        say_json({"dry_run": dry_run, "removed": removed})
        return
    for table, rows in removed.items():
        print_line(
            f"{table}: {rows:,} {'row' if rows == 1 else 'rows'} {'can be ' if dry_run else ''}removed"
        )


def _print_removed(table: str, rows: int) -> None:
    if rows % 100_000 == 0:
        print(f"{table}: {rows:,} rows removed", file=sys.stderr, flush=True)


def _merge_retention(configured: Retention, given: dict[str, str | None]) -> Retention:
    import msgspec

    from etl.config.values import positive_duration

    ages: dict[str, float] = {}
    for name, text in given.items():
        if text is None:
            continue
        try:
            ages[name] = positive_duration(text)
        except ValueError:
            option = f"--{name.replace('_', '-')}"
            said = f"{option}: {text!r} is not a length of time"
            raise ConfigError(said, hint="for example 90d or 12h") from None
    merged = msgspec.structs.replace(configured, **ages)
    if all(age is None for age in msgspec.structs.astuple(merged)):
        raise ConfigError(
            "no retention is configured: nothing would be removed",
            hint="set ages under retention:, or give for example --page-log 90d",
        )
    return merged
