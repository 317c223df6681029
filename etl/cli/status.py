"""`bifrost-etl status`: how fresh and how complete each source is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etl import times
from etl.cli.errors import FAILED, PARTLY, USAGE
from etl.cli.output import (
    BAD,
    DIM,
    GOOD,
    WARN,
    count_noun,
    moment_text,
    print_line,
    print_table,
    say_json,
    show_instant,
    show_number,
    show_span,
)
from etl.cli.settings import CommandSettings, ConfigFile, Json
from etl.errors import ConfigError

if TYPE_CHECKING:
    from etl.analytics.standing import Standing
    from etl.analytics.status import CoverageGap, SourceStatus
    from etl.config import Config, Schedule

_HEADINGS = (
    "SOURCE",
    "LAST RUN",
    "COMPLETE",
    "NEWEST JOB",
    "JOBS",
    "OPEN",
    "OLDEST OPEN",
    "REJECTS",
    "DRIFT",
    "GAPS",
)


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
    for longer than service.ready_max_age, or twice its own interval); incomplete (a part is not read);
    loading; disabled. Of more than 8 sources only those that are not ok are shown.

    COMPLETE is the age of the last sync that read everything it had to; NEWEST JOB the age of the newest job;
    GAPS counts the stretches of the list that were not read and that nobody has accepted; every one of them
    is listed. Reads the database only, never the gateway.

    --json prints {"now", "max_age_seconds", "sources": [{source, base_url, provider, configured, state,
    stale, complete_at, complete_age_seconds, reconciled_at, newest_job_at, lag_seconds, frontier_at, loading,
    failures, disabled_at, disabled_reason, held_by, retired_at, retired_reason, jobs, open_jobs,
    oldest_open_id, oldest_open_at, unlisted, twins: {SOURCE: jobs}, rejects, drift, last_run: null or
    {run_id, kind, status, started_at, finished_at, jobs_inserted, jobs_updated, error_class,
    error_message}, open_gaps, gaps: [{id, kind, detected_at, gap_from, gap_until, last_known_job_id,
    oldest_listed_job_id, reason, probed_at, accepted_at}]}]}.

    Exit codes: 0 fine, a source that fails and is still fresh included; 1 a source is stale (--max-age), is
    disabled, or its runs fail before its first load is complete; 2 there is no source; 3 a part of a list is
    not read.
    """
    limit = None if max_age is None else parse_age(max_age)
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)
    now = datetime.now(UTC)
    found = {status.source: status for status in _read_statuses(loaded, now)}
    wanted = [source.name for source in loaded.sources if source.enabled]
    stale = [name for name in wanted if limit is not None and _is_stale(found.get(name), now, limit)]
    judged = _judged(loaded, found, now)
    if json:
        say_json(_status_document(found, wanted, stale, now, limit, judged))
    else:
        _show_statuses(found, judged, stale, now, loaded, every=every)
    if not found and not wanted:
        raise typer.Exit(USAGE)
    blind = any(found[name].open_gaps for name in wanted if name in found)
    stuck = any(_is_stuck(found[name], judged[name]) for name in wanted if name in found)
    raise typer.Exit(FAILED if stale or stuck else PARTLY if blind else 0)


def _is_stuck(status: SourceStatus, standing: Standing) -> bool:
    """Nothing fresh can come of it: it is disabled, or it fails and was never complete."""
    return standing.state == "disabled" or (standing.state == "loading" and status.failures > 0)


def parse_age(text: str) -> timedelta:
    """A length of time, as everywhere (etl.times). Raises ConfigError."""
    try:
        return timedelta(seconds=times.parse_length(text))
    except times.NoTime as exc:
        raise ConfigError(f"--max-age: {exc}", hint=exc.hint) from None


def _read_statuses(config: Config, now: datetime) -> list[SourceStatus]:
    from etl.analytics.connections import open_database
    from etl.analytics.status import read_status

    with open_database(config, read_only=True) as engine:
        return [] if engine is None else read_status(engine, now)


def _judged(config: Config, found: dict[str, SourceStatus], now: datetime) -> dict[str, Standing]:
    """How each enabled source stands, by the limits that the service uses."""
    from etl.analytics.standing import judge_all

    least = config.service.ready_max_age
    limits = {s.name: max(least, 2 * _longest(s.schedule, now)) for s in config.sources if s.enabled}
    return judge_all(limits, found, now)


def _longest(schedule: Schedule, now: datetime) -> float:
    if schedule.every is not None:
        return max(schedule.every, schedule.max_interval or 0.0) + schedule.jitter
    from etl.scheduler.timing import (
        slowest_interval,  # the scheduler's libraries: only for who has a cron line
    )

    return slowest_interval(schedule, now)


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


def _show_statuses(
    found: dict[str, SourceStatus],
    judged: dict[str, Standing],
    stale: Sequence[str],
    now: datetime,
    config: Config,
    *,
    every: bool,
) -> None:
    from etl.analytics.standing import FOLD, WELL, summary

    names = sorted({*found, *judged})
    if not names:
        print_line("no source is configured, and none was ever synced")
        print_line("  run: bifrost-etl init", DIM)
        return
    ill = [name for name in names if name in stale or (name in judged and judged[name].state not in WELL)]
    if judged:
        print_line(
            f"{count_noun(len(judged), 'source')}: {summary(one.state for one in judged.values())}",
            WARN if ill else GOOD,
        )
    shown = names if every or len(names) <= FOLD else ill
    if shown:
        print_table(
            _HEADINGS, [_status_row(name, found.get(name), now) for name in shown], right=(4, 5, 7, 8, 9)
        )
    for name in shown:
        _print_remarks(name, found.get(name), name in judged, name in stale)
        _say_standing(name, found.get(name), judged.get(name), config)
    if len(shown) < len(names):
        print_line(f"{len(names) - len(shown):,} more are not shown: --all", DIM)


def _say_standing(name: str, status: SourceStatus | None, standing: Standing | None, config: Config) -> None:
    """When a source that fails is tried again."""
    if standing is None or status is None or status.last_run is None:
        return
    if not standing.failures or status.disabled_at is not None:
        return
    from etl.cli.dashboard import next_try_of

    moment = next_try_of(config, status)
    fresh = "still fresh; " if standing.state == "failing" else ""
    print_line(f"{name}: {fresh}a running service tries again about {moment_text(moment)} UTC", WARN)


def _describe_completeness(status: SourceStatus, now: datetime) -> str:
    if status.loading:
        return "not yet"
    age = status.age(now)
    return "unknown: the clock was put back" if age is None else f"{show_span(age)} ago"


def _status_row(name: str, status: SourceStatus | None, now: datetime) -> list[str]:
    if status is None:
        return [name, "never", *["-"] * (len(_HEADINGS) - 2)]
    run = status.last_run
    last = (
        "never" if run is None else f"{run.status} {show_span(now - (run.finished_at or run.started_at))} ago"
    )
    oldest = None if status.oldest_open_at is None else now - status.oldest_open_at
    return [
        name,
        last,
        _describe_completeness(status, now),
        "-" if status.lag(now) is None else f"{show_span(status.lag(now))} ago",
        show_number(status.jobs),
        show_number(status.open_jobs),
        show_span(oldest),
        show_number(status.rejects),
        show_number(status.drift),
        show_number(len(status.open_gaps)),
    ]


def _print_remarks(name: str, status: SourceStatus | None, configured: bool, stale: bool) -> None:
    """What a table has no room for, and nobody may overlook."""
    from etl.analytics.retirement import retirement_evidence

    if stale:
        print_line(f"{name}: stale", BAD)
    if status is None:
        return
    if status.retired_at is not None:
        print_line(
            f"{name}: retired since {moment_text(status.retired_at)} UTC: {status.retired_reason}", DIM
        )
    elif evidence := retirement_evidence(status):
        print_line(f"{name}: its upstream seems to be gone: {evidence}", WARN)
        print_line(f"  if it is gone for good: bifrost-etl source retire {name}", WARN)
    if not configured:
        print_line(f"{name}: not synced by this configuration", DIM)
    if status.disabled_at is not None:
        print_line(
            f"{name}: disabled since {moment_text(status.disabled_at)} UTC: {status.disabled_reason}", BAD
        )
    run = status.last_run
    if run is not None and run.status == "failed":
        times = "" if status.failures < 2 else f" ({status.failures} in a row)"
        print_line(f"{name}: last run failed{times}: {run.error_class}: {run.error_message}", BAD)
    if status.unlisted:
        print_line(
            f"{name}: {count_noun(status.unlisted, 'job')} found to be no longer listed; kept here", DIM
        )
    for other, jobs in status.twins.items():
        seen = f"{count_noun(jobs, 'job')} also seen through {other}, each counted once"
        print_line(f"{name}: {seen}: one key will do", WARN)
    for gap in status.open_gaps:
        print_line(f"{name}: not read: {gap_text(gap)}", WARN)


def gap_text(gap: CoverageGap) -> str:
    """Where it lies, since when it is known, and why."""
    start = "the oldest job" if gap.gap_from is None else f"{moment_text(gap.gap_from)} UTC"
    end = "the newest job" if gap.gap_until is None else f"{moment_text(gap.gap_until)} UTC"
    return f"jobs created from {start} to {end}, noticed {moment_text(gap.detected_at)} UTC: {gap.reason}"
