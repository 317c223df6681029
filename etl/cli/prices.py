"""`bifrost-etl prices …`: what a second of video costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.output import BAD, DIM, GOOD, print_line, print_table
from etl.cli.settings import CommandSettings, ConfigFile
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.analytics.price_proposals import ProposedPrice
    from etl.config import Config
    from etl.db.engine import Engine

command = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@command.callback()
def group() -> None:
    """The price book: published prices, the configuration's, and imported ones.

    A job is priced by what was in force when it was created. Imported prices win over configured ones, and
    those over published ones.
    """


@command.command("list")
def list_prices(ctx: typer.Context, config: ConfigFile = None) -> None:
    """Print the price book, the price that wins first."""
    loaded = ctx.ensure_object(CommandSettings).load(config)

    from etl.analytics.connections import open_filled_database
    from etl.analytics.prices import read_prices

    with open_filled_database(loaded) as engine:
        book = read_prices(engine)
        warn_of_prices(engine, loaded)
    rows = [
        [
            p.origin,
            p.provider,
            p.model,
            p.resolution,
            f"{p.price:f}",
            p.currency,
            p.unit,
            f"{p.valid_from:%Y-%m-%d}",
        ]
        for p in book
    ]
    headings = ["origin", "provider", "model", "resolution", "price", "currency", "per", "valid from"]
    print_table(headings, rows, right=(4,))


@command.command("import")
def import_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv, .yaml or .json file.")],
    config: ConfigFile = None,
) -> None:
    """Add a file's prices to the book. Running it twice changes nothing more.

    The keys, or CSV headings, are the configuration's: model, price and valid_from (a date) are required;
    provider, resolution (720p, 1024p, 1080p, 4k), currency and unit are optional. Nothing is imported from a
    file with an error.
    """
    loaded = ctx.ensure_object(CommandSettings).load(config)

    from etl.analytics.connections import open_filled_database
    from etl.analytics.price_import import read_file
    from etl.analytics.prices import import_prices

    found = read_file(file)
    with open_filled_database(loaded) as engine:
        new, known = import_prices(engine, found)
    print_line(f"imported {count_noun(new, 'price')}; {known:,} were there already", GOOD if new else None)


@command.command()
def apply(ctx: typer.Context, config: ConfigFile = None) -> None:
    """Put the configured and the published prices in force.

    `sync` and `run` do so by themselves, as long as any price is configured. Imported prices stay.
    """
    loaded = ctx.ensure_object(CommandSettings).load(config)

    from etl.analytics.connections import open_filled_database
    from etl.analytics.prices import ensure_prices

    with open_filled_database(loaded) as engine:
        changed = ensure_prices(engine, loaded.prices)
    print_line(f"{count_noun(len(loaded.prices), 'configured price')} in force", GOOD if changed else None)


@command.command()
def check(ctx: typer.Context, config: ConfigFile = None) -> None:
    """List completed jobs without a price, by model and size.

    Also what the gateway's log says such jobs cost. Exits 1 when there are any."""
    loaded = ctx.ensure_object(CommandSettings).load(config)
    rows = _read_unpriced(loaded)
    if not rows:
        print_line("every completed job has a price", GOOD)
        return
    print_table(["provider", "model", "resolution", "jobs", "seconds", "first", "last"], rows, right=(3, 4))
    print_line(
        "give them prices: in the configuration (prices:), or with bifrost-etl prices import FILE", DIM
    )
    if proposed := _propose(loaded):
        print_line("the gateway's log suggests (bifrost-etl prices propose --apply writes what is sure):")
        _print_proposed(proposed)
    print_line(f"{count_noun(len(rows), 'combination')} without a price", BAD)
    raise typer.Exit(1)


@command.command()
def propose(
    ctx: typer.Context,
    write: Annotated[bool, typer.Option("--apply", help="Add those that are sure to the book.")] = False,
    config: ConfigFile = None,
) -> None:
    """Propose missing prices from the gateway's log.

    The price is the median per second, or per clip where the clips agree better; LOW and HIGH are the
    cheapest and the dearest. It is sure when three jobs or more lie within a tenth of it. Written ones count
    as imported, from the day of the oldest such job on.
    """
    loaded = ctx.ensure_object(CommandSettings).load(config)
    proposed = _propose(loaded)
    if not proposed:
        print_line("no completed job without a price has a cost in the gateway's log")
        return
    _print_proposed(proposed)
    if not write:
        return

    from etl.analytics.connections import open_filled_database
    from etl.analytics.prices import import_prices

    with open_filled_database(loaded) as engine:
        new, _ = import_prices(engine, [one.as_price() for one in proposed if one.is_sure])
    print_line(f"added {count_noun(new, 'price')} to the book", GOOD if new else None)


def _propose(config: Config) -> list[ProposedPrice]:
    from etl.analytics.connections import open_filled_database
    from etl.analytics.price_proposals import propose_prices

    with open_filled_database(config) as engine:
        return propose_prices(engine)


def _print_proposed(proposed: list[ProposedPrice]) -> None:
    rows = [
        [
            one.provider or "*",
            one.model or "-",
            one.resolution or "*",
            f"{one.price:f}",
            one.unit,
            f"{one.jobs:,}",
            f"{one.low:f}",
            f"{one.high:f}",
            "yes" if one.is_sure else "no",
        ]
        for one in proposed
    ]
    headings = ["provider", "model", "resolution", "USD", "per", "jobs", "low", "high", "sure"]
    print_table(headings, rows, right=(3, 5, 6, 7))


def warn_of_prices(engine: Engine, config: Config) -> None:
    """On standard error, when the database prices jobs by other prices than this configuration would."""
    from etl.analytics.prices import foreign_prices

    if different := foreign_prices(engine, config.prices):
        print_line(
            f"costs follow the database's price book, which differs from this configuration in "
            f"{count_noun(different, 'price')}: to change it, run: bifrost-etl prices apply",
            DIM,
            stream=sys.stderr,
        )


def _read_unpriced(config: Config) -> list[list[str]]:
    from etl.analytics.connections import open_filled_database
    from etl.analytics.prices import unpriced_jobs
    from etl.analytics.rendering import show_value

    with open_filled_database(config) as engine:
        found = unpriced_jobs(engine)
        warn_of_prices(engine, config)
    return [[show_value(value, kind) for value, kind in row] for row in found]
