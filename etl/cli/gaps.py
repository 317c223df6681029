"""`bifrost-etl gaps`: what is listed and not stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.completion import Sources
from etl.cli.errors import PARTLY
from etl.cli.output import DIM, WARN, print_line, say_json
from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.cli.status_table import gap_text
from etl.errors import ConfigError
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.analytics.status import SourceStatus
    from etl.config import Config


def command(
    ctx: typer.Context,
    sources: Sources = None,
    accept: Annotated[
        list[int] | None,
        typer.Option(metavar="NUMBER", help="Accept that this gap is lost: it no longer counts."),
    ] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """What is listed and not stored: where, why, since when.

    A gap closes by itself when what it stands for has been read. `unreadable`: the gateway fails on every
    page that holds it; each sync asks once more. `interrupted`: the next sync goes on there. `window`: the
    list no longer reached back to what was known, or only ever shows its newest page, so what is older may be
    lost for good: accept it, and `sync`, `status` and readiness are fine again; reports go on telling of it.
    So it is with what a retired source has never read.

    --json prints {"sources": [{source, open_gaps, gaps: as in `status`}]}. Exit codes: 0 nothing is missing,
    or it is accepted; 3 a part of a list is not read.
    """
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    if accept:
        _accept_gaps(loaded, accept)
    found = [status for status in _read_statuses(loaded) if not sources or status.source in sources]
    if json:
        say_json({"sources": [_gaps_document(status) for status in found]})
    else:
        _show_gaps(found)
    raise typer.Exit(PARTLY if any(status.open_gaps for status in found) else 0)


def _accept_gaps(config: Config, ids: list[int]) -> None:
    from etl.analytics.connections import open_database
    from etl.load import gaps

    with open_database(config) as engine:
        known = 0 if engine is None else gaps.accept_gaps(engine, ids, datetime.now(UTC))
    if known < len(set(ids)):
        raise ConfigError(
            "some of these numbers name no open gap that can be accepted",
            hint="`bifrost-etl gaps` lists them; an interrupted one is read by the next sync, but of a source"
            " that is retired",
        )


def _read_statuses(config: Config) -> list[SourceStatus]:
    from etl.analytics.connections import open_database
    from etl.analytics.status import read_status

    with open_database(config, read_only=True) as engine:
        return [] if engine is None else read_status(engine, datetime.now(UTC))


def _gaps_document(status: SourceStatus) -> dict[str, object]:
    from dataclasses import asdict

    gaps = [asdict(gap) for gap in status.gaps]
    return {"source": status.source, "open_gaps": len(status.open_gaps), "gaps": gaps}


def _show_gaps(found: list[SourceStatus]) -> None:
    for status in found:
        if not status.gaps:
            print_line(f"{status.source}: nothing is missing")
        for gap in status.gaps:
            state = "" if gap.accepted_at is None else ", accepted"
            print_line(
                f"{status.source}: {gap.kind}{state}, number {gap.id}: {gap_text(gap)}",
                DIM if state else WARN,
            )
            print_line(f"  {_describe_ends(gap.last_known_job_id, gap.oldest_listed_job_id)}", DIM)
    if not found:
        print_line("no source was ever synced")
    elif count := sum(len(status.open_gaps) for status in found):
        print_line(f"{count_noun(count, 'coverage gap')} open", WARN)


def _describe_ends(known: str | None, listed: str | None) -> str:
    """Between which jobs it lies; where it has no job at an end, it reaches to the list's own."""
    if known is None:
        return "the whole list" if listed is None else f"before {listed}, down to the oldest job"
    return f"behind {known}, " + ("up to the newest job" if listed is None else f"before {listed}")
