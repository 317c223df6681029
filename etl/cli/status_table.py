"""How fresh and how complete each source is, for a person: a table, and below it what nobody may overlook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from etl.cli.output import (
    BAD,
    DIM,
    GOOD,
    WARN,
    moment_text,
    print_line,
    print_table,
    show_number,
    show_span,
)
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.analytics.standing import Standing
    from etl.analytics.status import CoverageGap, SourceStatus
    from etl.config import Config

_HEADINGS = (
    *("SOURCE", "LAST RUN", "COMPLETE", "NEWEST JOB", "JOBS", "OPEN", "OLDEST OPEN"),
    *("REJECTS", "DRIFT", "GAPS"),
)


def show_statuses(
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
        _say_accounts(name, found.get(name), config)
    if len(shown) < len(names):
        print_line(f"{len(names) - len(shown):,} more are not shown: --all", DIM)


def _say_standing(name: str, status: SourceStatus | None, standing: Standing | None, config: Config) -> None:
    """What to do where nothing was tried yet; when a source that fails is tried again."""
    if standing is not None and standing.state == "unsynced":
        print_line(f"{name}: never synced; run: bifrost-etl sync {name}", WARN)
    if standing is None or status is None or status.last_run is None:
        return
    if not standing.failures or status.disabled_at is not None:
        return
    from etl.cli.dashboard import next_try_of

    moment = next_try_of(config, status)
    fresh = "still fresh; " if standing.state == "failing" else ""
    print_line(f"{name}: {fresh}a running service tries again about {moment_text(moment)} UTC", WARN)


def _say_accounts(name: str, status: SourceStatus | None, config: Config) -> None:
    """That nobody could notice a second account, where somebody has switched that off."""
    source = next((source for source in config.sources if source.name == name), None)
    if status is None or source is None or not status.accounts_unknown or not status.jobs:
        return
    if source.enabled and not (source.probe_accounts or source.key_name or source.key_id):
        print_line(
            f"{name}: the gateway does not say which key answers, and `probe_accounts` is off: if keys of"
            " several accounts take turns, jobs may be missing unseen; pin it (`key_name`), or switch it on",
            WARN,
        )


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
    if run is not None and run.status == "failed" and status.retired_at is None:  # its evidence says it
        times = "" if status.failures < 2 else f" ({status.failures} in a row)"
        print_line(f"{name}: last run failed{times}: {run.error_class}: {run.error_message}", BAD)
    if status.unlisted:
        print_line(
            f"{name}: {count_noun(status.unlisted, 'job')} found to be no longer listed; kept here", DIM
        )
    for other, jobs in status.twins.items():
        seen = f"{count_noun(jobs, 'job')} also seen through {other}, each counted once"
        print_line(f"{name}: {seen}: one source is enough", WARN)
    for gap in status.open_gaps:
        print_line(f"{name}: not read: {gap_text(gap)}", WARN)


def gap_text(gap: CoverageGap) -> str:
    """Where it lies, since when it is known, and why."""
    start = "the oldest job" if gap.gap_from is None else f"{moment_text(gap.gap_from)} UTC"
    end = "the newest job" if gap.gap_until is None else f"{moment_text(gap.gap_until)} UTC"
    return f"jobs created from {start} to {end}, noticed {moment_text(gap.detected_at)} UTC: {gap.reason}"
