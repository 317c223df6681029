"""`bifrost-etl report`: answers at the terminal, or as a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.completion import complete_report, complete_source, offer_words
from etl.cli.output import print_line
from etl.cli.settings import CommandSettings, ConfigFile
from etl.errors import ConfigError
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.analytics.filters import Filter
    from etl.analytics.queries import Table, UnseenPeriod
    from etl.analytics.rendering import Document
    from etl.config import Config
    from etl.db.engine import Engine

_FORMATS = ("table", "csv", "json", "markdown", "html", "parquet")
_ROWS, _ROWS_IN_SUMMARY = 50, 10  # of each table, when people read it
_SLOW = (
    "this takes long: it looks at each job in the range. A shorter range (--since 7d) takes less; "
    "docs/performance.md says how long which question takes over a million jobs"
)
#: What a report without --by is by already, in the words of --by.
_CUT_BY = {
    "hourly": ("hour",),
    "daily": ("day",),
    "weekly": ("week",),
    "monthly": ("month",),
    "usage": ("day", "model"),
    "models": ("model",),
}
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="table, csv, json, markdown, html or parquet.",
        autocompletion=offer_words(*_FORMATS),
    ),
]
Output = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write to this file instead.", show_default=False)
]


def command(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Which report; without one, a summary.",
            autocompletion=complete_report,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only jobs created since then, or all.", show_default="30d"),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only jobs created before then.")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this source.", autocompletion=complete_source),
    ] = None,
    model: Annotated[list[str] | None, typer.Option(metavar="MODEL", help="Only this model.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="ROWS",
            help="At most this many rows in each table; 0 for all.",
            show_default="50 for people, 10 in the summary",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="With totals, cost, failures, latency, spend: team, customer, virtual-key, user, "
            "business-unit, model, provider, source, status, size, hour, day, week or month; several with "
            "commas, as in team,model.",
            show_default="team, of spend",
        ),
    ] = None,
    format: FormatOption = "table",
    output: Output = None,
    names: Annotated[bool, typer.Option("--list", help="List the reports.")] = False,
    config: ConfigFile = None,
) -> None:
    """What was made, what failed, how long it took, what it cost.

    TIME is 7d or 24h (back from now), today, yesterday, a date (--until includes that day), or a date and
    time, in the reporting time zone. --source and --model may be given more than once.

    --format json prints {"title", "since", "until", "timezone", "made_at", "notes": […], "tables": {NAME:
    {"columns": [{name, kind, comment, currency}], "rows": [{…}], "totals": [{…}], "cut"}}}.
    """
    if names:
        _list_reports()
        return
    from etl.cli.tables import check_output, write_document

    check_output(format, output)
    loaded = ctx.ensure_object(CommandSettings).load(config)
    people = format in ("table", "markdown", "html")

    from etl.analytics.connections import open_filled_database
    from etl.analytics.queries import check_models, check_sources
    from etl.cli.prices import warn_of_prices
    from etl.cli.waiting import hint_when_slow

    chosen = _make_filter(loaded, since, until, source, model, _row_limit(name, people, limit))
    chosen = _added_up_by(chosen, name, by)
    with open_filled_database(loaded) as engine, hint_when_slow(_SLOW):
        check_sources(engine, chosen.sources)
        check_models(engine, chosen.models)
        tables = [_make_table(engine, each, chosen, loaded) for each in _chosen_reports(name)]
        document = _make_document(engine, name, chosen, tables)
        if not any(source.reads_log for source in loaded.sources):
            document = _with_owner_note(document, name or "", chosen.by)
        warn_of_prices(engine, loaded)
    write_document(document, format, output)


def report_names() -> list[str]:
    from etl.analytics.reports import REPORTS

    return [*REPORTS, "budgets"]


def _list_reports() -> None:
    from etl.analytics.reports import REPORTS

    for report in REPORTS.values():
        print_line(f"{report.name:16}{report.title}")
    print_line(f"{'budgets':16}Budgets and what they come to")


def _row_limit(name: str | None, people: bool, limit: int | None) -> int | None:
    if limit is None and people:
        return _ROWS_IN_SUMMARY if name in (None, "summary") else _ROWS
    return limit or None


def _chosen_reports(name: str | None) -> tuple[str, ...]:
    from etl.analytics.reports import SUMMARY
    from etl.config.nearest import unknown_name

    if name not in (None, "summary", *report_names()):
        raise unknown_name("report", str(name), report_names())
    return SUMMARY if name in (None, "summary") else (str(name),)


def _make_filter(
    config: Config,
    since: str | None,
    until: str | None,
    sources: list[str] | None,
    models: list[str] | None,
    limit: int | None,
) -> Filter:
    from etl.analytics.filters import Filter
    from etl.analytics.ranges import parse_moment

    now, zone = datetime.now(UTC), config.reporting.timezone
    start = None if (since or "").lower() == "all" else parse_moment(since or "30d", now, zone)
    end = None if until is None else parse_moment(until, now, zone, end=True)
    if start is not None and end is not None and end <= start:
        raise ConfigError("the range is empty: --until is not after --since")
    return Filter(
        now, start, end, tuple(sources or ()), tuple(models or ()), zone, config.reporting.currency, limit
    )


def _added_up_by(chosen: Filter, name: str | None, by: str | None) -> Filter:
    from dataclasses import replace

    from etl.analytics.grouped import GROUPED
    from etl.analytics.spend import split_dimensions

    if by is None:
        return chosen
    wanted = split_dimensions(by)
    if name not in GROUPED:
        both = dict.fromkeys((*_CUT_BY.get(name or "", ()), *wanted))
        hint = f"bifrost-etl report totals --by {','.join(both)}"
        raise ConfigError(f"--by goes with the reports {', '.join(GROUPED)}", hint=hint)
    return replace(chosen, by=",".join(wanted))


def _make_table(engine: Engine, name: str, chosen: Filter, config: Config) -> Table:
    from etl.analytics.budgets import budget_table, read_budgets
    from etl.analytics.queries import run_report
    from etl.cli.outlook import filter_of_now

    if name == "budgets":
        return budget_table(read_budgets(engine, config.budgets, filter_of_now(config, chosen.now)))
    return run_report(engine, name, chosen)


def _make_document(engine: Engine, name: str | None, chosen: Filter, tables: list[Table]) -> Document:
    from etl.analytics.queries import find_unseen_periods
    from etl.analytics.rendering import Document
    from etl.analytics.status import seen_twice

    notes = [_describe_gap(gap, chosen.zone) for gap in find_unseen_periods(engine, chosen)]
    notes += [
        f"{count_noun(jobs, 'job is', 'jobs are')} seen through {other} and {source}: "
        f"each is counted once, as {other}'s"
        for source, other, jobs in seen_twice(engine)
    ]
    notes += [
        f"{t.title}: the first {count_noun(len(t.rows), 'row')}; --limit 0 shows all" for t in tables if t.cut
    ]
    notes += _budget_notes(tables[0], chosen.zone) if name == "budgets" else []
    uncosted = next((t for t in tables if any(c.name == "uncosted_jobs" for c in t.columns)), None)
    missing = 0 if uncosted is None else _sum_column(uncosted, "uncosted_jobs")
    if missing:
        jobs = count_noun(missing, "completed job is", "completed jobs are")
        notes.append(f"{jobs} not in the cost: see `bifrost-etl prices check`")
    notes += _untimed_notes(engine, tables, chosen)
    title = "Summary" if len(tables) != 1 else tables[0].title
    return Document(title, tuple(tables), chosen.zone, chosen.since, chosen.until, chosen.now, tuple(notes))


def _with_owner_note(document: Document, name: str, by: str) -> Document:
    """No source reads the log: whoever asks for owners hears why there is none."""
    from dataclasses import replace

    from etl.analytics.spend import NO_LOG_READ, names_nobody

    table = document.tables[0]
    if not names_nobody(name, by, table.columns, table.rows):
        return document
    return replace(document, notes=(*document.notes, NO_LOG_READ))


def _untimed_notes(engine: Engine, tables: list[Table], chosen: Filter) -> list[str]:
    from etl.analytics.durations import count_untimed

    latency = next((table for table in tables if table.name == "latency" and not table.cut), None)
    left_out = 0 if latency is None else count_untimed(engine, latency, chosen)
    if left_out <= 0:
        return []
    jobs = count_noun(left_out, "completed job has", "completed jobs have")
    their = "its" if left_out == 1 else "their"
    return [f"{jobs} no time of completion, or one before {their} creation: not in the latency"]


def _budget_notes(table: Table, zone: str) -> list[str]:
    from etl.analytics.forecast import METHOD

    if not table.rows:
        return ["No budget is configured: `bifrost-etl init --full` writes an example of budgets"]
    return [f"Days are {zone}; {METHOD}"]


def _sum_column(table: Table, column: str) -> int:
    position = next(i for i, c in enumerate(table.columns) if c.name == column)
    return sum(row[position] or 0 for row in table.rows)


def _describe_gap(gap: UnseenPeriod, zone: str) -> str:
    from etl.analytics.rendering import show_value

    first, last = show_value(gap.since, "instant", zone), show_value(gap.until, "instant", zone)
    return f"Coverage gap in {gap.source}: jobs created from {first} to {last} may be missing ({gap.reason})"
