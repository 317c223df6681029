"""`bifrost-etl check`: is everything there that a sync needs?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from etl.cli.completion import Sources
from etl.cli.errors import FAILED, USAGE
from etl.cli.output import BAD, DIM, GOOD, print_line, say_json
from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.errors import ConfigError

if TYPE_CHECKING:
    from etl.analytics.status import SourceStatus
    from etl.check import Finding
    from etl.config import Config, Source

_MARKS = {True: ("✓", GOOD), False: ("✗", BAD), None: ("–", DIM)}
_RESULTS = {True: "ok", False: "failed", None: "unknown"}


def command(
    ctx: typer.Context, sources: Sources = None, config: ConfigFile = None, json: Json = False
) -> None:
    """Test configuration, database and gateway, and say what to do about each failure.

    Sends about ten small requests to each source. What it writes into the database, to see whether a sync
    could, it takes back. Unless sources are named, it looks at what `run` needs, too: notifications,
    destinations of the feed and their packages, cron lines and zones. ✓ is fine, ✗ is not, – could not be
    checked. Exits 0 without ✗, 2 when the configuration is wrong, 1 otherwise.

    --json prints {"ok", "findings": [{source: null or its name, what, result (ok, failed, unknown), detail,
    hint}]}.
    """
    settings = ctx.ensure_object(CommandSettings)
    found = []
    for finding in _find_problems(settings, config, sources or ()):
        found.append(finding)
        if not json:
            _show_finding(settings, finding, found)
    bad = [finding for finding in found if finding.good is False]
    if json:
        say_json({"ok": not bad, "findings": [_finding_document(settings, finding) for finding in found]})
    raise typer.Exit(_exit_code(bad))


def _exit_code(bad: Sequence[Finding]) -> int:
    if not bad:
        return 0
    return USAGE if any(finding.what == "configuration" for finding in bad) else FAILED


def _find_problems(settings: CommandSettings, config: ConfigFile, names: Sequence[str]) -> Iterator[Finding]:
    from etl.check import Finding, check_database

    try:
        loaded = settings.load(config)
    except ConfigError as exc:
        yield Finding("configuration", False, str(exc), exc.hint)
        return
    settings.start_logging(loaded)
    try:
        chosen = loaded.choose(names)
        yield Finding("configuration", True, f"read from {loaded.origin}")
    except ConfigError as exc:
        chosen = ()
        yield Finding("configuration", False, str(exc), exc.hint)
    yield from check_database(loaded.database.reveal())
    if not names:
        from etl.cli.check_service import check_service

        yield from check_service(loaded)
    yield from _check_sources(loaded, chosen)


def _check_sources(config: Config, chosen: Sequence[Source]) -> Iterator[Finding]:
    from etl.app import App
    from etl.check import Finding, Probe, check_statuses, check_upstream
    from etl.errors import EtlError

    if not chosen:
        return
    try:
        app = App(config)
    except EtlError:  # the database's finding has said it
        yield Finding("gateway", None, "not checked: first make the database's address right")
        return
    with app:
        probed: list[Probe] = []
        statuses = _read_stored(config)
        for source in chosen:
            status = statuses.get(source.name)
            if status is not None:
                yield from check_upstream(status)
                if status.retired_at is not None:
                    continue  # an archive is not asked
                yield from check_statuses(status, source.rereads_per_run)
            with app.worker.gateway(source) as gateway:
                probed.append(Probe(source, gateway))
                yield from probed[-1].findings()
                yield from probed[-1].twins(probed[:-1])


def _read_stored(config: Config) -> dict[str, SourceStatus]:
    """What the mirror knows of its sources; nothing where it cannot be read, which another finding says."""
    from etl.analytics.connections import open_database
    from etl.analytics.status import read_status
    from etl.errors import EtlError

    try:
        with open_database(config, read_only=True) as engine:
            found = [] if engine is None else read_status(engine, datetime.now(UTC))
    except EtlError:
        return {}
    return {status.source: status for status in found}


def _show_finding(settings: CommandSettings, finding: Finding, found: Sequence[Finding]) -> None:
    before = found[-2].source if len(found) > 1 else None
    if finding.source != before:
        print_line(f"{finding.source}:")
    indent = "  " if finding.source else ""
    mark, style = _MARKS[finding.good]
    first, *more = settings.redact(finding.detail).splitlines() or [""]
    print_line(f"{indent}{mark} {finding.what}: {first}", style)
    for line in [*more, *([f"→ {settings.redact(finding.hint)}"] if finding.hint else [])]:
        print_line(f"{indent}  {line}")
    sys.stdout.flush()


def _finding_document(settings: CommandSettings, finding: Finding) -> dict[str, Any]:
    return {
        "source": finding.source,
        "what": finding.what,
        "result": _RESULTS[finding.good],
        "detail": settings.redact(finding.detail),
        "hint": finding.hint and settings.redact(finding.hint),
    }
