"""`bifrost-etl export`: a copy of the mirror as files."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl import times
from etl.cli.completion import complete_table, offer_words
from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.errors import ConfigError

if TYPE_CHECKING:
    from etl.feed.export_formats import Format

_WHEN = "7d, today, a day (2026-11-23) or an instant (2026-11-23T08:00), UTC."


def command(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to create; it must be new or empty.")],
    kind: Annotated[
        str,
        typer.Option(
            "--format", help="parquet, csv or jsonl.", autocompletion=offer_words("parquet", "csv", "jsonl")
        ),
    ] = "parquet",
    table: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this table; can be repeated.", autocompletion=complete_table),
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help=f"Only from here on. {_WHEN}")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help=f"Only before this; a day is included. {_WHEN}")
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="CSV: leave texts that a spreadsheet takes for formulas as they are."),
    ] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Write the mirror as files: DIR/TABLE/day=YYYY-MM-DD/part-0001.parquet, and DIR/manifest.json.

    The folder appears when all of it is written. Days are UTC: of creation for video_jobs, of the change for
    video_job_versions; `sources` and `prices` are always whole. In CSV a text that a spreadsheet would run as
    a formula gets a ' in front, unless --raw.

    --json prints the manifest: {version, format, exported_at, since, until, files: [{path, table, day, rows,
    bytes, sha256, first_change, last_change}]}.
    """
    settings = ctx.ensure_object(CommandSettings)
    chosen, first, last = (
        _parse_format(kind),
        _parse_moment(since, "--since"),
        _parse_moment(until, "--until", end=True),
    )
    loaded = settings.load(config)
    settings.start_logging(loaded)

    from etl.analytics.connections import open_filled_database
    from etl.cli.output import count_noun, print_line
    from etl.feed.export import DAYS, Selection, export_tables

    selection = Selection(tuple(table or DAYS), first, last)
    with open_filled_database(loaded) as engine:
        manifest = export_tables(engine, folder, chosen, selection, raw=raw, watch=_ExportProgress())
    if json:
        print((folder / "manifest.json").read_text(), end="")
        return
    rows, size = sum(f.rows for f in manifest.files), sum(f.bytes for f in manifest.files)
    print_line(
        f"{folder}: {count_noun(rows, 'row')} in {count_noun(len(manifest.files), 'file')}, {size:,} bytes"
    )


class _ExportProgress:
    """A line for every 100,000 rows of a table."""

    def __call__(self, table: str, rows: int) -> None:
        if rows % 100_000 == 0:
            print(f"{table}: {rows:,} rows", file=sys.stderr, flush=True)


def _parse_format(kind: str) -> Format:
    formats: dict[str, Format] = {"parquet": "parquet", "csv": "csv", "jsonl": "jsonl"}
    if kind not in formats:
        raise ConfigError(f"no format {kind!r}", hint=f"one of: {', '.join(formats)}")
    return formats[kind]


def _parse_moment(text: str | None, option: str, *, end: bool = False) -> datetime | None:
    if text is None:
        return None
    try:
        return times.parse_moment(text, datetime.now(UTC), "UTC", end=end)
    except times.NoTime as exc:
        raise ConfigError(f"{option}: {exc}", hint=exc.hint) from None
