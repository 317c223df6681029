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
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.config import Config
    from etl.feed.export_formats import Format

_WHEN = "7d, today, a day (2026-11-23) or an instant (2026-11-23T08:00), UTC."


def command(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to create; it must be new or empty.")],
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help="parquet, csv, jsonl or focus (costs).",
            autocompletion=offer_words("parquet", "csv", "jsonl", "focus"),
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
    focus_version: Annotated[
        str,
        typer.Option(
            "--focus-version",
            metavar="VERSION",
            help="With focus: 1.2 or 1.3.",
            autocompletion=offer_words("1.2", "1.3"),
        ),
    ] = "1.2",
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Write the mirror as files: DIR/TABLE/day=YYYY-MM-DD/part-0001.parquet, and DIR/manifest.json.

    The folder appears when all of it is written. Days are UTC: of creation for video_jobs, of the change for
    video_job_versions; `sources` and `prices` are always whole. In CSV a text that a spreadsheet would run as
    a formula gets a ' in front, unless --raw.

    --format focus writes what jobs cost in the form of FOCUS (FinOps Open Cost and Usage Specification):
    DIR/focus-1.2.csv and a manifest with the sums. Its totals are those of `report spend` for the same
    instants; x_CostSource says which costs are settled and which estimated; jobs without any cost are not in
    it.

    --json prints the manifest: {version, format, exported_at, since, until, files: [{path, table, day, rows,
    bytes, sha256, first_change, last_change}]}; for focus {version, format, focus_version, exported_at,
    since, until, file, rows, billed: {CURRENCY: AMOUNT}, uncosted_jobs}.
    """
    settings = ctx.ensure_object(CommandSettings)
    if kind == "focus":
        if table:
            raise ConfigError(
                "--table does not go with --format focus", hint="FOCUS is one table: leave it out"
            )
        span = _parse_moment(since, "--since"), _parse_moment(until, "--until", end=True)
        _export_focus(settings.load(config), folder, span, focus_version, raw=raw)
        _say_focus(folder, as_json=json)
        return
    chosen, first, last = (
        _parse_format(kind),
        _parse_moment(since, "--since"),
        _parse_moment(until, "--until", end=True),
    )
    loaded = settings.load(config)
    settings.start_logging(loaded)

    from etl.analytics.connections import open_filled_database
    from etl.cli.output import print_line
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


def _export_focus(
    config: Config,
    folder: Path,
    span: tuple[datetime | None, datetime | None],
    version: str,
    *,
    raw: bool,
) -> None:
    from etl.analytics.connections import open_filled_database
    from etl.analytics.filters import Filter
    from etl.analytics.focus import VERSIONS
    from etl.analytics.focus_file import export_focus

    if version not in VERSIONS:
        raise ConfigError(f"--focus-version {version}: not known", hint=f"one of: {', '.join(VERSIONS)}")
    with open_filled_database(config) as engine:
        export_focus(engine, folder, Filter(datetime.now(UTC), *span), version, raw=raw)


def _say_focus(folder: Path, *, as_json: bool) -> None:
    """What was written, by its manifest."""
    from json import loads

    from etl.cli.output import WARN, print_line

    text = (folder / "manifest.json").read_text(encoding="utf-8")
    if as_json:
        print(text, end="")
        return
    found = loads(text)
    sums = ", ".join(f"{float(amount):,.2f} {currency}" for currency, amount in found["billed"].items())
    print_line(f"{folder / found['file']}: {count_noun(found['rows'], 'job')}, {sums or 'no cost'}")
    if found["uncosted_jobs"]:
        jobs = count_noun(found["uncosted_jobs"], "completed job")
        print_line(f"{jobs} without any cost: not in the file", WARN)


class _ExportProgress:
    """A line for every 100,000 rows of a table."""

    def __call__(self, table: str, rows: int) -> None:
        if rows % 100_000 == 0:
            print(f"{table}: {rows:,} rows", file=sys.stderr, flush=True)


def _parse_format(kind: str) -> Format:
    formats: dict[str, Format] = {"parquet": "parquet", "csv": "csv", "jsonl": "jsonl"}
    if kind not in formats:
        raise ConfigError(f"there is no format {kind!r}", hint=f"one of: {', '.join(formats)}, focus")
    return formats[kind]


def _parse_moment(text: str | None, option: str, *, end: bool = False) -> datetime | None:
    if text is None:
        return None
    try:
        return times.parse_moment(text, datetime.now(UTC), "UTC", end=end)
    except times.NoTime as exc:
        raise ConfigError(f"{option}: {exc}", hint=exc.hint) from None
