"""`bifrost-etl erase`: a person asks to be forgotten."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.asking import ask_consent
from etl.cli.completion import complete_source
from etl.cli.output import WARN, print_line, say_json
from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.errors import ConfigError, EtlError
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.db.engine import Engine
    from etl.load.erase_selection import ErasureSelection
    from etl.load.erase_tables import Erased

_GivenValues = list[str] | None
_HINTS = {
    "--job": "no stored id looks like it",
    "--prompt-match": "no stored text says so; one that was erased before is not found again",
    "--source": "nothing is stored of it",
}


def command(
    ctx: typer.Context,
    job: Annotated[_GivenValues, typer.Option(metavar="ID", help="A job, its id as listed.")] = None,
    prompt_match: Annotated[
        _GivenValues,
        typer.Option(metavar="TEXT", help="Jobs whose prompt contains this text, in upper or lower case."),
    ] = None,
    virtual_key: Annotated[
        _GivenValues, typer.Option(metavar="KEY", help="Jobs of this virtual key.")
    ] = None,
    user: Annotated[_GivenValues, typer.Option(metavar="USER", help="Jobs of this user.")] = None,
    team: Annotated[_GivenValues, typer.Option(metavar="TEAM", help="Jobs of this team.")] = None,
    customer: Annotated[_GivenValues, typer.Option(metavar="CUSTOMER", help="Jobs of this customer.")] = None,
    source: Annotated[
        _GivenValues,
        typer.Option(metavar="NAME", help="Jobs of this source.", autocompletion=complete_source),
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Kept in the log of erasures.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Remove people's prompts and raw payloads; keep the jobs, their history and what they cost.

    A job must fulfil every option given, and one value of each. Texts go from the jobs, all their versions,
    the page log, rejected items and requests; no total changes. The erasure is logged (table `erasures`) and
    lasts: while the gateway still shows the prompt, syncs drop it. The feed tells destinations of it.

    --json prints {"dry_run", "jobs", "erased": {table: rows}}. Exit codes: 0 done, or counted; 1 no job
    matches, or none has one of the ids or owners given (nothing is erased then), or it failed.
    """
    loaded = ctx.ensure_object(CommandSettings).load(config)
    from etl.analytics.connections import open_filled_database
    from etl.load.erase import count_texts, erase_jobs, find_missing

    with open_filled_database(loaded) as engine:
        owners = {"virtual_key": virtual_key, "user": user, "team": team, "customer": customer}
        selection = _make_selection(engine, job, prompt_match, owners, source)
        found, missing = count_texts(engine, selection), find_missing(engine, selection)
        if missing or not found.jobs:
            raise _no_match(engine, selection, missing)
        if not dry_run:
            if not yes:
                _ask_first(found)
            found = erase_jobs(engine, selection, at=datetime.now(UTC), reason=reason)
        _show_erased(found, dry_run=dry_run, json=json, sqlite=engine.dialect.name == "sqlite")
        names = [destination.name for destination in loaded.feed.destinations]
        if names and not (dry_run or json):
            print_line(
                f"What was delivered to {', '.join(names)} still holds these texts: the next `feed` removes"
                " them there, and docs/erase.md says what else may hold them.",
                WARN,
            )


def _make_selection(
    engine: Engine,
    jobs: _GivenValues,
    words: _GivenValues,
    owners: dict[str, _GivenValues],
    sources: _GivenValues,
) -> ErasureSelection:
    from etl.analytics.history import find_source_ids
    from etl.load.erase_selection import ErasureSelection

    if not any((jobs, words, sources, *owners.values())):
        raise ConfigError("nothing was chosen to erase", hint="for example --job ID or --prompt-match TEXT")
    if any(not text.strip() for text in (*(words or ()), *(jobs or ()))):
        raise ConfigError("an empty text would match every job", hint="to erase a whole source, use --source")
    given = {kind: tuple(values or ()) for kind, values in owners.items()}
    chosen = tuple(find_source_ids(engine, sources or ()))
    return ErasureSelection(tuple(jobs or ()), tuple(words or ()), given, chosen)


def _no_match(engine: Engine, selection: ErasureSelection, missing: list[str]) -> EtlError:
    """Says which options matched nothing: ids with their value, never a prompt or a person."""
    from etl.analytics.history import similar_ids

    kinds = selection.kinds.split()
    jobs = [f"--job {job_id}" for job_id in selection.jobs]
    named = missing or [*jobs, *(kind for kind in kinds if kind != "--job")]
    ids = [option.partition("--job ")[2] for option in missing]
    meant = sorted({near for job_id in ids if job_id for near in similar_ids(engine, job_id)})
    if meant:
        hint = f"an id counts whole, as listed; did you mean {', '.join(meant)}?"
    elif len(kinds) > 1 and not missing:
        hint = "a job must fulfil every option given"
    else:
        owners = "owners are known where the gateway's log is read: docs/gateway-log.md"
        hint = _HINTS.get(named[0].split()[0], owners)
    return EtlError(f"no job matches {', '.join(named)}; nothing was erased", hint=hint)


def _ask_first(found: Erased) -> None:
    if not sys.stdin.isatty():
        raise ConfigError("an erasure cannot be undone", hint="count with --dry-run, then add --yes")
    if not ask_consent(f"Erase the texts of {count_noun(found.jobs, 'job')}? It cannot be undone."):
        print_line("nothing was erased")
        raise typer.Exit(1)


def _show_erased(found: Erased, *, dry_run: bool, json: bool, sqlite: bool) -> None:
    from dataclasses import asdict

    rows = asdict(found)
    jobs = rows.pop("jobs")
    if json:
        say_json({"dry_run": dry_run, "jobs": jobs, "erased": rows})
        return
    print_line(f"{count_noun(jobs, 'job')} chosen")
    said = "would be erased" if dry_run else "erased"
    for table, count in rows.items():
        if count:
            print_line(f"{table}: texts of {count_noun(count, 'row')} {said}")
    if sqlite and not dry_run:
        print_line(
            "Pages that SQLite had freed before may still hold old texts: run `VACUUM` on the file when "
            "nothing else uses it, and remember its backups.",
            WARN,
        )
