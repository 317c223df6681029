"""`bifrost-etl feed`: deliver what is new to warehouses and lakes, or say how far behind they are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etl.cli.completion import complete_destination
from etl.cli.errors import Redact, error_document, exit_code, print_error
from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.config import Config
    from etl.feed.compare import TableState
    from etl.feed.delivery import FeedResult
    from etl.feed.lag import DestinationStatus

#: First words that deliver nothing and show how destinations stand; and whether in depth.
_SHOWING = {"status": False, "verify": True}
_NO_ROWS = {
    "ok": "nothing new",
    "failed": "nothing delivered",
    "interrupted": "nothing delivered yet",
    "skipped": "another process is delivering there",
}
Destinations = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[status|verify] DESTINATION",
        help="Names of destinations; all of them when none is given.",
        autocompletion=complete_destination,
    ),
]


def command(
    ctx: typer.Context, destinations: Destinations = None, config: ConfigFile = None, json: Json = False
) -> None:
    """Deliver every change to the configured destinations, exactly once in effect.

    It can be stopped or killed at any moment; the next delivery goes on where the destination says it is.
    `feed status [DESTINATION...]` delivers nothing and shows how far behind each destination is, and whether
    its tables hold what was delivered: rows, and a sum for every day (UTC). `feed verify` compares every
    column of every row, which takes about as long as a delivery of everything.

    --json prints {"destinations": [{destination, status (ok, failed, interrupted, skipped), rows: {table:
    rows}, error: null or {class, message, hint}}]}; for `feed status`, {"destinations": [{destination,
    sources: [{source, delivered_to, pending, oldest_pending, lag_seconds}], tables: [{table, rows, expected,
    missing, doubled, changed, pruned, days, waits, masked}], error}]}.

    Exit codes: 0 done (also when another process is delivering), 1 failed or not equal, 2 wrong usage or
    configuration, 3 some destinations failed and others did not, 130 interrupted.
    """
    settings = ctx.ensure_object(CommandSettings)
    names = list(destinations or ())
    asked = names[0] if names and names[0] in _SHOWING else None
    loaded = settings.load(config)

    from etl.config import require_secrets
    from etl.feed.delivery import choose_destinations

    chosen = choose_destinations(loaded, names[1:] if asked else names)
    if not asked:
        require_secrets(loaded.origin, *chosen)
    settings.start_logging(loaded)
    if asked:
        raise typer.Exit(
            _show_destinations(loaded, names[1:], settings.redact, deep=_SHOWING[asked], as_json=json)
        )
    raise typer.Exit(_deliver_changes(loaded, names, settings.redact, as_json=json))


def _deliver_changes(config: Config, names: Sequence[str], redact: Redact, *, as_json: bool) -> int:
    from etl.analytics.connections import open_filled_database
    from etl.cli.signals import stop_on_signals
    from etl.feed.delivery import deliver_to_all

    with open_filled_database(config) as engine, stop_on_signals() as stop:
        results = deliver_to_all(engine, config, names, watch=print_batch, stop=stop)
    if as_json:
        from etl.cli.output import say_json

        say_json({"destinations": [delivery_document(result, redact) for result in results]})
    else:
        for result in results:
            show_one(result, redact)
    return exit_code(results)


def print_batch(destination: str, table: str, rows: int) -> None:
    """A line per batch: batches are large, so lines are few."""
    print(f"{destination}: {describe_rows(table, rows)}", file=sys.stderr, flush=True)


def describe_rows(table: str, rows: int) -> str:
    """A small table that is delivered whole may have no rows."""
    return f"{count_noun(rows, 'row')} into {table}" if rows else f"{table} is empty"


def delivery_document(result: FeedResult, redact: Redact) -> dict[str, Any]:
    return {
        "destination": result.destination,
        "status": result.status,
        "rows": result.rows,
        "error": error_document(result.error, redact),
    }


def show_one(result: FeedResult, redact: Redact) -> None:
    from etl.cli.output import BAD, GOOD, print_line

    rows = ", ".join(describe_rows(table, count) for table, count in result.rows.items())
    rows = rows or _NO_ROWS[result.status]
    print_line(f"{result.destination}: {result.status}, {rows}", BAD if result.error else GOOD)
    if result.error is not None:
        print_error(result.destination, result.error, redact)


def _show_destinations(
    config: Config, names: Sequence[str], redact: Redact, *, deep: bool, as_json: bool
) -> int:
    from etl.analytics.connections import open_filled_database
    from etl.feed.delivery import choose_destinations
    from etl.feed.lag import destination_statuses

    with open_filled_database(config) as engine:
        found = destination_statuses(engine, choose_destinations(config, names), deep=deep)
    if as_json:
        from etl.cli.output import say_json

        say_json({"destinations": [_destination_document(standing, redact) for standing in found]})
    else:
        _show_lags(found, redact)
        _show_tables(found)
    return int(any(standing.is_wrong for standing in found))


def _destination_document(standing: DestinationStatus, redact: Redact) -> dict[str, Any]:
    lags = [
        {
            "source": lag.source,
            "delivered_to": lag.delivered_to,
            "pending": lag.pending,
            "oldest_pending": lag.oldest_pending,
            "lag_seconds": _age_seconds(lag.oldest_pending),
        }
        for lag in standing.lags
    ]
    error = error_document(standing.error, redact)
    tables = [asdict(table) for table in standing.tables]
    return {"destination": standing.destination, "sources": lags, "tables": tables, "error": error}


def _age_seconds(oldest: datetime | None) -> float | None:
    return None if oldest is None else round(max(0.0, (datetime.now(UTC) - oldest).total_seconds()), 1)


def _show_tables(found: Sequence[DestinationStatus]) -> None:
    from etl.cli.output import print_table, show_number

    rows = [
        [
            standing.destination,
            state.table,
            show_number(state.rows),
            show_number(state.expected),
            _describe_comparison(state),
        ]
        for standing in found
        for state in standing.tables
    ]
    if rows:
        print_table(("DESTINATION", "TABLE", "ROWS", "EXPECTED", "COMPARED"), rows, right=(2, 3))


def _describe_comparison(state: TableState) -> str:
    counts = ("missing", state.missing), ("doubled", state.doubled), ("changed", state.changed)
    said = [f"{count:,} {name}" for name, count in counts if count]
    if said and state.days:
        more = f" and {len(state.days) - 3} more days" if len(state.days) > 3 else ""
        said[-1] += f" on {', '.join(state.days[:3])}{more}"
    if state.masked:
        said.append(
            f"{state.masked:,} of them only in what `mask` leaves out, as if delivered under another one"
        )
    if state.pruned:
        said.append(f"{state.pruned:,} only there: pruned here, or told anew since")
    if state.waits:
        said.append("changes wait")
    return "; ".join(said) or "equal"


def _show_lags(found: Sequence[DestinationStatus], redact: Redact) -> None:
    from datetime import timedelta

    from etl.cli.output import print_table, show_number, show_span

    rows = []
    for standing in found:
        if standing.error is not None:
            print_error(standing.destination, standing.error, redact)
        for lag in standing.lags:
            age = _age_seconds(lag.oldest_pending)
            behind = "up to date" if age is None else show_span(timedelta(seconds=age))
            rows.append([standing.destination, lag.source, show_number(lag.pending), behind])
    print_table(("DESTINATION", "SOURCE", "PENDING", "BEHIND"), rows, right=(2,))
