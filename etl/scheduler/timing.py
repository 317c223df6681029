"""When to do what: pure decisions about schedules, with time passed in. Lengths are seconds, instants UTC."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from etl.config import Reconcile, Schedule, Source
from etl.load.source_health import Health
from etl.records import utc

#: Failed runs in a row after which a source is asked less and less often.
BREAKER_AFTER = 3
#: The longest that a failing source is left alone.
LONGEST_REST = 3600.0
#: Stands for the interval of a source that runs by cron, where a length is needed.
CRON_INTERVAL = 300.0

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to run now, and why (not). `again`: look once more after so many seconds, if not None."""

    run: bool
    reason: str
    again: float | None = None


def trigger(schedule: Schedule, interval: float) -> Any:
    """APScheduler's trigger for syncs; `interval` is the pace in force."""
    if schedule.cron is not None:
        return cron(schedule.cron, schedule.timezone, schedule.jitter)
    return IntervalTrigger(seconds=interval, jitter=schedule.jitter or None, timezone="UTC")


def cron(line: str, zone: str, jitter: float = 0.0) -> Any:
    """A cron line as everybody reads it: Sunday is 0, and of two kinds of day either is enough.

    APScheduler counts weekdays from Monday and wants both.
    """
    minute, hour, day, month, weekday = line.split()
    common = {"minute": minute, "hour": hour, "month": month, "timezone": zone, "jitter": jitter or None}
    weekday = _weekdays(weekday)
    if day.startswith("*") or weekday.startswith("*"):
        return CronTrigger(day=day, day_of_week=weekday, **common)
    return OrTrigger([CronTrigger(day=day, **common), CronTrigger(day_of_week=weekday, **common)])


def _weekdays(field: str) -> str:
    if field == "*":
        return field
    days = {day % 7 for item in field.split(",") for day in _span(item)}
    return ",".join(_DAYS[day] for day in sorted(days))


def _span(item: str) -> Iterator[int]:
    """`mon-fri`, `1-5/2`, `*/2`, `5/2` or `0`, as numbers from Sunday = 0."""
    days, _, step = item.partition("/")
    first, _, last = ("0-6" if days == "*" else days).partition("-")
    end = last or ("6" if step else first)
    return iter(range(_number(first), _number(end) + 1, int(step or 1)))


def _number(day: str) -> int:
    return _DAYS.index(day) if day in _DAYS else int(day)


def next_fire(line: str, zone: str, after: datetime) -> datetime:
    """The first moment of a cron line later than `after`; without jitter."""
    moment: datetime | None = cron(line, zone).get_next_fire_time(None, after + timedelta(microseconds=1))
    # A date that never comes, such as 31 February, is never due.
    return utc(moment) if moment is not None else after + timedelta(days=36_500)


def usual(schedule: Schedule) -> float:
    """The interval to reckon with."""
    return schedule.every if schedule.every is not None else CRON_INTERVAL


def pace(current: float, schedule: Schedule, *, open_jobs: bool, changed: bool) -> float:
    """The next interval: towards min_interval while jobs are open, towards max_interval while nothing is."""
    every = usual(schedule)
    if open_jobs:
        return max(schedule.min_interval or every, min(current, every) / 2)
    if changed or current < every:
        return every
    return min(schedule.max_interval or every, current * 2)


def slowest(schedule: Schedule, now: datetime) -> float:
    """The longest time between two syncs that this schedule itself allows."""
    if schedule.cron is None:
        return max(usual(schedule), schedule.max_interval or 0.0) + schedule.jitter
    moments = [now]
    for _ in range(8):
        moments.append(next_fire(schedule.cron, schedule.timezone, moments[-1]))
    gaps = (b - a for a, b in itertools.pairwise(moments))
    return max(gap.total_seconds() for gap in gaps) + schedule.jitter


def rest(failures: int, interval: float) -> float:
    """How long a failing source is left alone after its last try: 1, 2, 4, 8 … intervals up to an hour."""
    if failures < BREAKER_AFTER:
        return 0.0
    doubled: float = interval * 2.0 ** min(failures - BREAKER_AFTER, 20)
    return min(doubled, max(LONGEST_REST, interval))


def verdict(health: Health | None, source: Source, now: datetime, process: str) -> Verdict:
    """Whether a tick of this source should sync. `process` is our own `host:pid`."""
    if health is None:
        return Verdict(True, "new")
    barred = _barred(health, source, now)
    if barred is not None:
        return barred
    if health.abandoned:
        return Verdict(True, "takeover")
    if health.last_started is not None and not _due(health, source.schedule, now, process):
        return Verdict(False, "recent")
    return Verdict(True, "due")


def _barred(health: Health, source: Source, now: datetime) -> Verdict | None:
    """What bars any run, sync or reconcile."""
    if health.disabled_at is not None and health.config_hash == source.fingerprint():
        return Verdict(False, "disabled")
    if health.holder is not None:
        return Verdict(False, "held", again=health.lease_left)
    interval = usual(source.schedule)
    since = _age(health.last_started, now)
    # Half an interval of grace: ticks come on a grid, with jitter, and none should be missed by a hair.
    if since is not None and since < rest(health.failures, interval) - interval / 2:
        return Verdict(False, "breaker")
    return None


def _due(health: Health, schedule: Schedule, now: datetime, process: str) -> bool:
    assert health.last_started is not None
    if schedule.cron is not None:
        return next_fire(schedule.cron, schedule.timezone, health.last_started) <= now
    ours = (health.last_worker or "").startswith(f"{process}:")
    interval = schedule.min_interval if health.open_jobs and schedule.min_interval else usual(schedule)
    return ours or (now - health.last_started).total_seconds() >= interval / 2


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else (now - moment).total_seconds()


def reconcile_verdict(
    health: Health | None, source: Source, now: datetime, tried: datetime | None
) -> Verdict:
    """Whether a reconcile is due; if not, `again` says when to look. `tried`: our own last attempt."""
    if health is None or health.complete_at is None:
        return Verdict(False, "loading", again=usual(source.schedule))
    due = reconcile_due(source.schedule.reconcile, health, tried)
    if due > now:
        return Verdict(False, "recent", again=(due - now).total_seconds())
    barred = _barred(health, source, now)
    if barred is not None:
        return Verdict(False, barred.reason, again=barred.again or usual(source.schedule))
    return Verdict(True, "due")


def reconcile_due(schedule: Reconcile, health: Health, tried: datetime | None) -> datetime:
    """When the next reconcile should begin. One that failed is tried again, but not at once."""
    since = health.reconciled_at or health.created_at
    if schedule.cron is not None:
        since = since if tried is None else max(since, tried)
        return next_fire(schedule.cron, schedule.timezone, since)
    assert schedule.every is not None
    due = since + timedelta(seconds=schedule.every)
    if tried is not None and tried > since:
        due = max(due, tried + timedelta(seconds=min(schedule.every, LONGEST_REST)))
    return due
