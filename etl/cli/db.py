"""`bifrost-etl db …`: the database's tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.asking import ask_consent
from etl.cli.settings import CommandSettings, ConfigFile
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.config import Config
    from etl.db.engine import Engine

#: Differences that are told one by one.
_SHOWN = 10

command = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@command.callback()
def group() -> None:
    """Create, upgrade and inspect the database's tables."""


@command.command()
def upgrade(ctx: typer.Context, config: ConfigFile = None) -> None:
    """Bring the tables to what this program needs. Safe to run twice, and from two places at once."""
    from etl.analytics.connections import connect_database
    from etl.load import totals
    from etl.schema import migrate

    with connect_database(_load_config(ctx, config)) as engine:
        before = migrate.current_revision(engine)
        after = migrate.upgrade_schema(engine, totals.recount_totals)
    print(f"already at {after}" if before == after else f"upgraded from {before or 'nothing'} to {after}")


@command.command()
def downgrade(
    ctx: typer.Context,
    revision: Annotated[str, typer.Argument(help="Revision to go back to; `base` removes every table.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    config: ConfigFile = None,
) -> None:
    """Go back to an earlier revision. What later revisions added is dropped, with its data."""
    from etl.analytics.connections import connect_database
    from etl.errors import ConfigError
    from etl.schema import migrate

    with connect_database(_load_config(ctx, config)) as engine:
        if not yes and not _ask_confirmation(f"Drop what came after {revision}, with its data?"):
            raise ConfigError("not confirmed; nothing was changed", hint="answer y, or give --yes")
        migrate.downgrade_schema(engine, revision)
        print(f"now at {migrate.current_revision(engine) or 'nothing'}")


@command.command()
def current(ctx: typer.Context, config: ConfigFile = None) -> None:
    """Print the database's revision and this program's."""
    from etl.analytics.connections import connect_database
    from etl.schema import migrate

    with connect_database(_load_config(ctx, config)) as engine:
        found = migrate.current_revision(engine) or "empty"
        print(f"database: {found}; this program: {migrate.head_revision()}")


@command.command()
def check(ctx: typer.Context, config: ConfigFile = None) -> None:
    """Exit 0 when tables, columns, keys, indexes and views are as this program needs them, 1 when not.

    Also 1 when the totals that commits keep are not what the jobs say: every job is read once for that.
    """
    from etl.analytics.connections import connect_database
    from etl.check import require_declared
    from etl.schema import migrate, partitions

    with connect_database(_load_config(ctx, config)) as engine:
        migrate.check_schema(engine)
        require_declared(engine)
        _check_totals(engine)
        print(f"ok: revision {migrate.head_revision()}, as this program needs")
        if (shape := partitions.describe_months(engine)) is not None:
            print(f"history stands in months: {shape}")


def _check_totals(engine: Engine) -> None:
    from etl.analytics.cross_check import total_differences
    from etl.errors import StorageError

    found = total_differences(engine)
    for sentence in found[:_SHOWN]:
        print(sentence)
    if found:
        raise StorageError(
            f"the totals differ from the jobs in {count_noun(len(found), 'place')}",
            hint="were jobs changed by hand? run: bifrost-etl db recount",
        )


@command.command()
def recount(ctx: typer.Context, config: ConfigFile = None) -> None:
    """Count all jobs again. Only needed after jobs were changed by hand; until then views are slow.

    Syncs of a source wait while its jobs are counted, some seconds for a million.
    """
    from etl.analytics.connections import connect_database
    from etl.load import totals

    with connect_database(_load_config(ctx, config)) as engine:
        print(f"{count_noun(totals.recount_all(engine), 'job')} counted")


@command.command()
def partition(
    ctx: typer.Context,
    undo: Annotated[bool, typer.Option("--undo", help="Go back to one table.")] = False,
    config: ConfigFile = None,
) -> None:
    """Keep history in a partition per month (PostgreSQL only), so that `prune` can drop whole months.

    One transaction that copies the history: it needs its size once more on disk, and syncs wait meanwhile.
    Coming months are made by every sync.
    """
    from etl.analytics.connections import connect_database
    from etl.schema import partitions, repartition
    from etl.worker import utc_now

    with connect_database(_load_config(ctx, config)) as engine:
        moved = (
            repartition.unpartition_history(engine)
            if undo
            else repartition.partition_history(engine, utc_now())
        )
        where = partitions.describe_months(engine) or "one table"
        print(f"{count_noun(moved, 'version')} moved; history stands in {where}")


def _ask_confirmation(question: str) -> bool:
    """Only a person at a terminal can say yes."""
    return sys.stdin.isatty() and ask_consent(question)


def _load_config(ctx: typer.Context, config: ConfigFile) -> Config:
    return ctx.ensure_object(CommandSettings).load(config)
