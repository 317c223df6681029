"""`bifrost-etl history JOB_ID`: one job's life, change by change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etl.cli.completion import complete_job, complete_source
from etl.cli.output import BAD, DIM, GOOD, WARN, moment_text, print_line, say_json
from etl.cli.settings import CommandSettings, ConfigFile, Json

if TYPE_CHECKING:
    from etl.analytics.history import Change, JobHistory

_STYLES = {"insert": GOOD, "update": None, "unlist": BAD, "relist": WARN, "erase": WARN}
_WIDEST = 100  # characters of a value before it is cut


def command(
    ctx: typer.Context,
    job_id: Annotated[
        str,
        typer.Argument(
            metavar="JOB_ID",
            help="The job's id as listed; without its provider, or its beginning, if only one job is meant.",
            show_default=False,
            autocompletion=complete_job,
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only this source; otherwise every source that has the job.",
            autocompletion=complete_source,
        ),
    ] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """One job's life, change by change, with the moment at which each change was seen (UTC).

    Progress alone makes no entry, unless the source is configured so.

    --json prints {"jobs": [{source, job_id, now: {every column}, first_seen_at, last_changed_at, unlisted_at,
    versions: [{version, op (insert, update, unlist, relist, erase), valid_from, run_id, status,
    unlisted_reason, changes: [{field, old, new}]}]}]}.
    """
    loaded = ctx.ensure_object(CommandSettings).load(config)

    from etl.analytics.connections import open_filled_database
    from etl.analytics.history import read_history

    with open_filled_database(loaded, read_only=True) as engine:
        jobs = read_history(engine, job_id, source)
    if json:
        say_json({"jobs": [asdict(job) for job in jobs]})
        return
    for job in jobs:
        show_history(job)


def show_history(job: JobHistory) -> None:
    """The timeline of one job."""
    print_line(f"{job.job_id} in {job.source}")
    for line in _job_facts(job):
        print_line(f"  {line}", DIM)
    for change in job.versions:
        print_line(f"{moment_text(change.valid_from)}  {_change_heading(change)}", _STYLES[change.op])
        for line in _describe_changes(change):
            print_line(f"{'':21}{line}")


def _job_facts(job: JobHistory) -> Iterator[str]:
    now = job.now
    made = [now["model"], now["size"], None if now["seconds"] is None else f"{now['seconds']:g}s"]
    yield ", ".join(str(part) for part in made if part is not None) or "nothing known but its id"
    if now["prompt"]:
        yield f"prompt: {_show_value(now['prompt'])}"
    progress = "" if now["progress"] is None else f", {now['progress']:g}%"
    gone = "" if job.unlisted_at is None else f", no longer listed since {moment_text(job.unlisted_at)}"
    yield f"now {now['status']}{progress}{gone}; created {moment_text(now['created_at'])}"
    if error := [str(now[name]) for name in ("error_code", "error_message") if now[name]]:
        yield f"error: {_show_value(': '.join(error))}"


def _change_heading(change: Change) -> str:
    why = f" ({change.unlisted_reason})" if change.op == "unlist" and change.unlisted_reason else ""
    what = {
        "insert": "first seen",
        "update": "changed",
        "unlist": "no longer listed",
        "relist": "listed again",
        "erase": "prompt erased",
    }
    return f"v{change.version} {what[change.op]}{why}" + (
        f", {change.status}" if change.op == "insert" else ""
    )


def _describe_changes(change: Change) -> Iterator[str]:
    changed = {field.field: field.new for field in change.changes}
    for field in change.changes:
        if field.field == "reported_status" and field.new == changed.get("status"):
            continue  # said already: it differs only where the gateway sends none
        if field.old is None and field.new is None:  # its texts were erased since
            if change.op != "erase":
                yield f"{field.field}: changed; its texts were erased later"
            continue
        yield f"{field.field}: {_show_value(field.old)} → {_show_value(field.new)}"


def _show_value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return moment_text(value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
