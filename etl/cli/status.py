"""`bifrost-etl status`: how fresh and how complete each source is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etl import times
from etl.cli.errors import FAILED, PARTLY, USAGE, error_document, print_error
from etl.cli.outlook import filter_of_now, outlook_document, show_outlook
from etl.cli.output import say_json, show_instant
from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.cli.status_table import show_statuses
from etl.errors import ConfigError

if TYPE_CHECKING:
    from etl.analytics.alerts import SpendOutlook
    from etl.analytics.standing import Standing
    from etl.analytics.status import SourceStatus
    from etl.config import Config


def command(
    ctx: typer.Context,
    max_age: Annotated[
        str | None,
        typer.Option(
            metavar="AGE", help="Exit 1 when a source was last complete longer ago: 90s, 15m, 2h, 1d."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show healthy sources one by one, however many.")
    ] = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """How fresh and how complete each source is.

    The first line counts them: ok; failing (the last runs failed, and it is still fresh); stale (not complete
    for longer than --max-age or, without it, than service.ready_max_age or twice its own interval);
    incomplete (a part is not read); loading; never synced (in JSON "unsynced"); disabled. Of more than 8
    sources only those that are not ok are shown.

    COMPLETE is the age of the last sync that read everything it had to; NEWEST JOB the age of the newest job;
    GAPS counts the stretches of the list that were not read and that nobody has accepted; every one of them
    is listed. Reads the database only, never the gateway.

    Below stand the budgets, and what is over a threshold of `alerts`: spend, failure rate, time to finish.
    With --max-age, which probes use, they are left out.

    --json prints {"now", "max_age_seconds", "sources": [{source, base_url, provider, configured, state,
    stale, complete_at, complete_age_seconds, reconciled_at, newest_job_at, lag_seconds, frontier_at, loading,
    failures, disabled_at, disabled_reason, held_by, retired_at, retired_reason, jobs, open_jobs,
    oldest_open_id, oldest_open_at, unlisted, twins: {SOURCE: jobs}, rejects, drift, last_run: null or
    {run_id, kind, status, started_at, finished_at, jobs_inserted, jobs_updated, error_class,
    error_message}, open_gaps, gaps: [{id, kind, detected_at, gap_from, gap_until, last_known_job_id,
    oldest_listed_job_id, reason, probed_at, accepted_at}]}], "budgets": [the rows of `report budgets`],
    "alerts": [{threshold, subject, value, limit, text}], "outlook_error": null or {class, message, hint},
    why these two could not be read}; all three are null with --max-age.

    Exit codes: 0 fine, a source that fails and is still fresh included; 1 a source is stale (--max-age), was
    never synced, is disabled, or its runs fail before its first load is complete; 2 there is no source; 3 a
    part of a list is not read.
    """
    limit = None if max_age is None else parse_age(max_age)
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    now = datetime.now(UTC)
    statuses, outlook, failure = _read_statuses(loaded, now, probe=limit is not None)
    found = {status.source: status for status in statuses}
    wanted = [source.name for source in loaded.sources if source.enabled]
    stale = [name for name in wanted if limit is not None and _is_stale(found.get(name), now, limit)]
    judged = _judged(loaded, found, now, limit)
    if json:
        document = _status_document(found, wanted, stale, now, limit, judged)
        say_json(
            document | outlook_document(outlook) | {"outlook_error": error_document(failure, settings.redact)}
        )
    else:
        show_statuses(found, judged, stale, now, loaded, every=every)
        if outlook is not None:
            show_outlook(outlook, loaded.reporting.timezone)
        if failure is not None:
            print_error("budgets and alerts", failure, settings.redact)
    if not found and not wanted:
        raise typer.Exit(USAGE)
    blind = any(found[name].open_gaps for name in wanted if name in found)
    stuck = any(map(_is_stuck, judged.values()))
    raise typer.Exit(FAILED if stale or stuck else PARTLY if blind else 0)


def _is_stuck(standing: Standing) -> bool:
    """Nothing fresh can come of it: it is disabled, was never tried, or fails and was never complete."""
    return standing.state in ("disabled", "unsynced") or (
        standing.state == "loading" and standing.failures > 0
    )


def parse_age(text: str) -> timedelta:
    """A length of time, as everywhere (etl.times). Raises ConfigError."""
    try:
        return timedelta(seconds=times.parse_length(text))
    except times.NoTime as exc:
        raise ConfigError(f"--max-age: {exc}", hint=exc.hint) from None


def _read_statuses(
    config: Config, now: datetime, *, probe: bool
) -> tuple[list[SourceStatus], SpendOutlook | None, Exception | None]:
    """The sources; budgets and alerts; and why those two could not be read, which hides no source."""
    from etl.analytics.connections import open_database
    from etl.analytics.status import read_status

    with open_database(config, read_only=True) as engine:
        found = [] if engine is None else read_status(engine, now)
        if probe:  # asked every few seconds: all reports need not be loaded for it
            return found, None, None
        from etl.analytics.alerts import SpendOutlook, read_outlook

        if engine is None:
            return found, SpendOutlook((), ()), None
        try:
            return found, read_outlook(engine, config, filter_of_now(config, now)), None
        except Exception as error:  # noqa: BLE001 (whatever it is, the sources are known)
            return found, None, error


def _judged(
    config: Config, found: dict[str, SourceStatus], now: datetime, limit: timedelta | None
) -> dict[str, Standing]:
    """How each enabled source stands, by the limit given, else by those that the service uses."""
    from etl.analytics.standing import judge_all

    limits = config.freshness_limits(now)
    if limit is not None:
        limits = dict.fromkeys(limits, limit.total_seconds())
    return judge_all(limits, found, now)


def _is_stale(status: SourceStatus | None, now: datetime, limit: timedelta) -> bool:
    """A source that was never complete is staler than any limit; an archive does not age."""
    if status is not None and status.retired_at is not None:
        return False
    passed = None if status is None else status.age(now)
    return passed is None or passed > limit


def _status_document(
    found: dict[str, SourceStatus],
    wanted: Sequence[str],
    stale: Sequence[str],
    now: datetime,
    limit: timedelta | None,
    judged: dict[str, Standing],
) -> dict[str, Any]:
    names = sorted({*found, *wanted})
    return {
        "now": show_instant(now),
        "max_age_seconds": None if limit is None else limit.total_seconds(),
        "sources": [
            {
                "source": name,
                "configured": name in wanted,
                "state": judged[name].state if name in judged else None,
                "stale": name in stale if limit is not None else None,
                **_status_fields(found.get(name), now),
            }
            for name in names
        ],
    }


def _status_fields(status: SourceStatus | None, now: datetime) -> dict[str, Any]:
    """A source that was never synced has no keys but its name's."""
    if status is None:
        return {
            "loading": True,
            "complete_at": None,
            "complete_age_seconds": None,
            "last_run": None,
            "open_gaps": 0,
            "gaps": [],
        }
    from dataclasses import asdict

    fields = asdict(status)
    passed, lag = status.age(now), status.lag(now)
    return fields | {
        "open_gaps": len(status.open_gaps),
        "complete_age_seconds": None if passed is None else round(passed.total_seconds(), 3),
        "lag_seconds": None if lag is None else round(lag.total_seconds(), 3),
    }
