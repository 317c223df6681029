"""When to do what: pure decisions about schedules, with time passed in. Lengths are seconds, instants UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.base import BaseTrigger

from etl.config import Reconcile, Schedule, Source, next_fire
from etl.load.source_health import Health
from etl.records import time_elapsed

#: Failed runs in a row after which a source is asked less and less often.
BREAKER_AFTER = 3
#: The longest that a failing source is left alone.
LONGEST_REST = 3600.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to run now, and why (not). `again`: look once more after so many seconds, if not None."""

    run: bool
    reason: str
    again: float | None = None


class Every(BaseTrigger):  # type: ignore[misc]
    """Fires every so many seconds. After a pause or a jump of the clock it fires once: APScheduler's own
    triggers count up every moment that has passed."""

    def __init__(self, seconds: float, jitter: float = 0.0) -> None:
        self._step, self._jitter = timedelta(seconds=seconds), jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        following = now + self._step if previous is None else previous + self._step
        on_grid = now < following <= now + self._step
        moment: datetime = self._apply_jitter(following if on_grid else now + self._step, self._jitter, now)
        return moment


class ByCron(BaseTrigger):  # type: ignore[misc]
    """Fires at the moments of a cron line that are yet to come."""

    def __init__(self, line: str, zone: str, jitter: float = 0.0) -> None:
        self._line, self._zone, self._jitter = line, zone, jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        moment: datetime = self._apply_jitter(next_fire(self._line, self._zone, now), self._jitter, now)
        return moment


def sync_trigger(schedule: Schedule, interval: float) -> Every | ByCron:
    """APScheduler's trigger for syncs; `interval` is the pace in force."""
    if schedule.cron is not None:
        return ByCron(schedule.cron, schedule.timezone, schedule.jitter)
    return Every(interval, schedule.jitter)


def next_interval(current: float, schedule: Schedule, *, open_jobs: bool, changed: bool) -> float:
    """The next interval: towards min_interval while jobs are open, towards max_interval while nothing is."""
    every = schedule.usual_interval
    if open_jobs:
        return max(schedule.min_interval or every, min(current, every) / 2)
    if changed or current < every:
        return every
    return min(schedule.max_interval or every, current * 2)


def rest_after_failures(failures: int, interval: float) -> float:
    """How long a failing source is left alone after its last try: 1, 2, 4, 8 … intervals up to an hour."""
    if failures < BREAKER_AFTER:
        return 0.0
    doubled: float = interval * 2.0 ** min(failures - BREAKER_AFTER, 20)
    return min(doubled, max(LONGEST_REST, interval))


def next_try(schedule: Schedule, failures: int, started: datetime, now: datetime) -> datetime:
    """About when a source that fails is tried again, from the start of its last run; without jitter."""
    interval = schedule.usual_interval
    rested = started + timedelta(seconds=rest_after_failures(failures, interval))
    if schedule.cron is not None:
        since = max(now, rested - timedelta(seconds=interval / 2))
        return next_fire(schedule.cron, schedule.timezone, since)
    return max(now, rested, started + timedelta(seconds=interval))


def try_of(sources: Sequence[Source], name: str, failures: int, started: datetime) -> datetime | None:
    """`next_try` of the source of this name; None for one that is not configured."""
    found = [source for source in sources if source.name == name and source.enabled]
    return next_try(found[0].schedule, failures, started, datetime.now(UTC)) if found else None


def decide_sync(health: Health | None, source: Source, now: datetime, process: str) -> Verdict:
    """Whether a tick of this source should sync. `process` is our own `host:pid`."""
    if health is None:
        return Verdict(True, "new")
    barred = _barred_run(health, source, now)
    if barred is not None:
        return barred
    if health.abandoned:
        return Verdict(True, "takeover")
    if _age_seconds(health.last_started, now) is not None and not _is_due(
        health, source.schedule, now, process
    ):
        return Verdict(False, "recent")
    return Verdict(True, "due")


def _barred_run(health: Health, source: Source, now: datetime) -> Verdict | None:
    """What bars any run, sync or reconcile."""
    since = _age_seconds(health.last_started, now)
    if health.retired_at is not None:
        return Verdict(False, "retired")
    if is_disabled(health, source, now):
        return Verdict(False, "disabled")
    if health.holder is not None:
        return Verdict(False, "held", again=health.lease_left)
    interval = source.schedule.usual_interval
    # Half an interval of grace: ticks come on a grid, with jitter, and none should be missed by a hair.
    if since is not None and since < rest_after_failures(health.failures, interval) - interval / 2:
        return Verdict(False, "breaker")
    return None


def is_disabled(health: Health, source: Source, now: datetime) -> bool:
    """The gateway refused these settings again and again. Once an hour it is asked all the same, in case it
    was put right."""
    if health.disabled_at is None or health.config_hash != source.fingerprint():
        return False
    since = _age_seconds(health.last_started, now)
    return since is not None and since < LONGEST_REST


def _is_due(health: Health, schedule: Schedule, now: datetime, process: str) -> bool:
    assert health.last_started is not None
    if schedule.cron is not None:
        return next_fire(schedule.cron, schedule.timezone, health.last_started) <= now
    ours = (health.last_worker or "").startswith(f"{process}:")
    interval = (
        schedule.min_interval if health.open_jobs and schedule.min_interval else schedule.usual_interval
    )
    return ours or (now - health.last_started).total_seconds() >= interval / 2


def _age_seconds(moment: datetime | None, now: datetime) -> float | None:
    passed = time_elapsed(moment, now)
    return None if passed is None else passed.total_seconds()


def reconcile_verdict(
    health: Health | None, source: Source, now: datetime, tried: datetime | None
) -> Verdict:
    """Whether a reconcile is due; if not, `again` says when to look. `tried`: our own last attempt."""
    if health is None or health.complete_at is None:
        return Verdict(False, "loading", again=source.schedule.usual_interval)
    due = reconcile_due(source.schedule.reconcile, health, tried, now)
    if due > now:
        return Verdict(False, "recent", again=(due - now).total_seconds())
    barred = _barred_run(health, source, now)
    if barred is not None:
        return Verdict(False, barred.reason, again=barred.again or source.schedule.usual_interval)
    return Verdict(True, "due")


def reconcile_due(schedule: Reconcile, health: Health, tried: datetime | None, now: datetime) -> datetime:
    """When the next reconcile should begin. One that failed is tried again, but not at once.

    An instant of the future, from before a clock was put back, counts as now: the wait begins anew.
    """
    since = min(health.reconciled_at or health.created_at, now)
    tried = None if _age_seconds(tried, now) is None else tried
    if schedule.cron is not None:
        since = since if tried is None else max(since, tried)
        return next_fire(schedule.cron, schedule.timezone, since)
    assert schedule.every is not None
    due = since + timedelta(seconds=schedule.every)
    if tried is not None and tried > since:
        due = max(due, tried + timedelta(seconds=min(schedule.every, LONGEST_REST)))
    return due
