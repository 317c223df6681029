"""A clock that was put: nothing waits for it, nothing spins, and no instant of the future is fresh."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from etl.config import Reconcile, Schedule, Source, next_fire
from etl.load.source_health import Health
from etl.records import time_elapsed
from etl.scheduler.clock import JumpDetector, follow_clock
from etl.scheduler.timing import ByCron, Every, decide_sync, reconcile_verdict

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
AHEAD = NOW + DAY


def source(**schedule: object) -> Source:
    plan = Schedule(every=60.0, **schedule)  # type: ignore[arg-type]
    return Source(name="s", base_url="http://gateway", schedule=plan)


def health(**facts: object) -> Health:
    values: dict[str, object] = dict.fromkeys(Health.__slots__)
    values |= {
        "created_at": NOW - 9 * DAY,
        "failures": 0,
        "changed": False,
        "open_jobs": False,
        "lease_left": 0.0,
    }
    return Health(**{**values, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (None, None),
        (AHEAD, None),
        (NOW + timedelta(seconds=61), None),
        (NOW + timedelta(seconds=59), timedelta()),
        (NOW - DAY, DAY),
    ],
)
def test_what_lies_ahead_never_was(since: datetime | None, expected: timedelta | None) -> None:
    assert time_elapsed(since, NOW) == expected


@pytest.mark.parametrize(
    "facts",
    [
        {"last_started": AHEAD, "last_status": "ok", "last_worker": "us:1:x"},
        {"last_started": AHEAD, "last_status": "failed", "failures": 9},
        {"last_started": AHEAD, "failures": 9, "disabled_at": AHEAD, "config_hash": source().fingerprint()},
    ],
    ids=["ok", "breaker", "disabled"],
)
def test_a_run_of_the_future_bars_nothing(facts: dict[str, object]) -> None:
    assert decide_sync(health(**facts), source(), NOW, "us:1").run


def test_a_reconcile_of_the_future_is_waited_for_no_longer_than_usual() -> None:
    plan = source(reconcile=Reconcile(every=3600.0))
    found = reconcile_verdict(health(complete_at=NOW, reconciled_at=NOW + 9 * DAY), plan, NOW, AHEAD)
    assert found.again == 3600.0


@pytest.mark.parametrize("years", [-40, 40])
def test_a_trigger_neither_waits_nor_spins(years: int) -> None:
    """APScheduler asks for the next moment again and again while it lies in the past."""
    before = NOW - timedelta(days=365 * years)
    for trigger in (Every(1.0), ByCron("* * * * *", "Europe/Berlin")):
        following = trigger.get_next_fire_time(before, NOW)
        assert NOW < following <= NOW + timedelta(minutes=1)


def test_a_trigger_keeps_its_grid() -> None:
    assert Every(60.0).get_next_fire_time(NOW - timedelta(seconds=20), NOW) == NOW + timedelta(seconds=40)


def test_a_clock_tells_a_jump_once() -> None:
    wall, steady = [NOW], [1000.0]
    clock = JumpDetector(lambda: wall[0], lambda: steady[0])
    wall[0] += timedelta(seconds=5)
    steady[0] += 4.0
    assert clock.jumped() == timedelta(), "a second is slewing, not a jump"
    wall[0] -= DAY
    steady[0] += 1.0
    assert clock.jumped() == -DAY + timedelta(seconds=0)
    assert clock.jumped() == timedelta()


def test_jumps_are_told_until_the_end() -> None:
    wall, told, stop = [NOW], threading.Event(), threading.Event()
    seen: list[timedelta] = []

    def on_jump(jump: timedelta) -> None:
        seen.append(jump)
        told.set()

    clock = JumpDetector(lambda: wall[0], lambda: 0.0)
    wall[0] += DAY
    follow_clock(stop, on_jump, clock)
    assert told.wait(30)
    stop.set()
    assert seen == [DAY]


# Written by hand from the zones' rules: the local time of the fire, on the days when clocks change.
@pytest.mark.parametrize(
    ("zone", "line", "after", "expected"),
    [
        # Midnight after spring-forward, which APScheduler skipped.
        ("America/New_York", "0 0 * * *", "2026-03-08T06:00", "2026-03-09T04:00"),
        ("Europe/Berlin", "0 0 * * *", "2026-03-29T00:00", "2026-03-29T22:00"),
        ("Australia/Sydney", "0 0 * * *", "2026-10-03T15:00", "2026-10-04T13:00"),
        # 02:30 does not exist: right after the hour that is skipped.
        ("America/New_York", "30 2 * * *", "2026-03-08T06:00", "2026-03-08T07:00"),
        ("Europe/Berlin", "30 2 * * *", "2026-03-29T00:00", "2026-03-29T01:00"),
        # 02:30 comes twice: a fixed hour fires once, the first time; then on the next day.
        ("Europe/Berlin", "30 2 * * *", "2026-10-25T00:00", "2026-10-25T00:30"),
        ("Europe/Berlin", "30 2 * * *", "2026-10-25T00:30", "2026-10-26T01:30"),
        # Every half hour goes on through the doubled hour.
        ("Europe/Berlin", "*/30 * * * *", "2026-10-25T00:30", "2026-10-25T01:00"),
        ("Europe/Berlin", "*/30 * * * *", "2026-10-25T01:00", "2026-10-25T01:30"),
        # Lord Howe changes by half an hour, at 02:00.
        ("Australia/Lord_Howe", "*/30 * * * *", "2026-04-04T14:30", "2026-04-04T15:00"),
        # Cairo changes at midnight itself: the day has no 00:00.
        ("Africa/Cairo", "0 0 * * *", "2026-04-23T12:00", "2026-04-23T22:00"),
    ],
)
def test_cron_on_the_days_when_clocks_change(zone: str, line: str, after: str, expected: str) -> None:
    found = next_fire(line, zone, datetime.fromisoformat(f"{after}+00:00"))
    assert f"{found:%Y-%m-%dT%H:%M}" == expected


@pytest.mark.parametrize("line", ["30 * * * *", "*/30 * * * *", "15 */1 * * *", "0 * * * *"])
def test_cron_goes_on_through_every_change_day_of_every_zone(line: str) -> None:
    """Hourly lines leave out no more than the skipped hour, and never stand still."""
    from zoneinfo import ZoneInfo, available_timezones

    for name in sorted(available_timezones())[::7]:
        zone = ZoneInfo(name)
        days = [datetime(2026, 1, 1, tzinfo=UTC) + n * DAY for n in range(365)]
        changes = [
            day
            for day in days
            if day.astimezone(zone).utcoffset() != (day + DAY).astimezone(zone).utcoffset()
        ]
        for day in changes:
            moment = day
            while moment < day + DAY:
                following = next_fire(line, name, moment)
                assert timedelta() < following - moment <= timedelta(hours=2), (name, line, moment)
                moment = following
