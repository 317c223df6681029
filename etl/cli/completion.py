"""What the shell offers after Tab: names from the configuration, reports, formats, ids of stored jobs.

Whatever goes wrong offers nothing: a line that is being typed is not the place for an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.settings import CommandSettings

if TYPE_CHECKING:
    from etl.config import Config

#: Ids offered at once.
_MOST = 50


def offer_words(*words: str) -> Callable[[str], list[str]]:
    """Completes one of these words."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(words, incomplete)

    return complete


def complete_source(ctx: typer.Context, incomplete: str) -> list[str]:
    found = _load_quietly(ctx)
    return [] if found is None else _beginning((s.name for s in found.sources), incomplete)


def complete_destination(ctx: typer.Context, incomplete: str) -> list[str]:
    found = _load_quietly(ctx)
    names = [] if found is None else [destination.name for destination in found.feed.destinations]
    return _beginning((*names, "status", "verify"), incomplete)


def complete_report(incomplete: str) -> list[str]:
    from etl.analytics.reports import REPORTS

    return _beginning([*REPORTS, "budgets"], incomplete)


def complete_table(incomplete: str) -> list[str]:
    from etl.feed.export import DAYS

    return _beginning(DAYS, incomplete)


def complete_job(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids without their provider, behind whose colon shells see a new word; `history` takes them so."""
    found: list[str] = []
    with suppress(Exception):  # no database, none of ours, out of reach
        from etl.analytics.connections import open_filled_database
        from etl.analytics.history import ids_beginning

        config = _load_quietly(ctx)
        if config is not None:
            with open_filled_database(config, read_only=True) as engine:
                found = ids_beginning(engine, incomplete, _MOST)
    return list(dict.fromkeys(job_id.rpartition(":")[0] or job_id for job_id in found))


def _load_quietly(ctx: typer.Context) -> Config | None:
    """The configuration that the words typed so far name."""
    given = (each.params.get("config") for each in (ctx, ctx.parent) if each is not None)
    named = next(filter(None, given), None)
    with suppress(Exception):
        return ctx.ensure_object(CommandSettings).load(None if named is None else Path(named))
    return None


def _beginning(words: Iterable[str], text: str) -> list[str]:
    return [word for word in words if word.startswith(text)]


Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE",
        help="Names of sources; all of them when none is given.",
        autocompletion=complete_source,
    ),
]
