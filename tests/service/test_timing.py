"""Schedules, pace, breaker and who is due: decisions with time passed in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.config import Reconcile, Schedule, Source
from etl.config.cron import next_fire, parse_cron
from etl.load.source_health import Health
from etl.scheduler import timing

NOW = datetime(2026, 4, 15, 12, 0, 0, tzinfo=UTC)  # a Wednesday
US, THEM = "here:1", "there:2"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def health(**facts: Any) -> Health:
    nothing = dict.fromkeys(("disabled_at", "disabled_reason", "config_hash", "complete_at", "reconciled_at"))
    return Health(**{"created_at": ago(86400), "failures": 0, **nothing, **facts})


def a_source(**schedule: Any) -> Source:
    return Source(name="s", base_url="http://gateway", schedule=Schedule(**{"every": 100.0, **schedule}))


def verdict(source: Source, **facts: Any) -> tuple[bool, str]:
    found = timing.decide_sync(health(**facts), source, NOW, US)
    return found.run, found.reason


def test_a_new_source_runs():
    assert timing.decide_sync(None, a_source(), NOW, US).run
    assert verdict(a_source()) == (True, "due")


@pytest.mark.parametrize(
    ("worker", "seconds", "run"),
    [(THEM, 10, False), (THEM, 49, False), (THEM, 51, True), (US, 10, True), ("here:12", 10, False)],
)
def test_another_worker_was_there_just_now(worker, seconds, run):
    found = verdict(a_source(), last_started=ago(seconds), last_status="ok", last_worker=f"{worker}:nonce")
    assert found == (run, "due" if run else "recent")


def test_while_jobs_are_open_the_faster_pace_counts():
    facts = {"last_started": ago(20), "last_status": "ok", "last_worker": f"{THEM}:x", "open_jobs": True}
    assert verdict(a_source(), **facts) == (False, "recent")
    assert verdict(a_source(min_interval=30.0), **facts) == (True, "due")


def test_a_held_lease_is_looked_at_again_when_it_ends():
    found = timing.decide_sync(health(holder="there:2:x", lease_left=17.0), a_source(), NOW, US)
    assert (found.run, found.reason, found.again) == (False, "held", 17.0)


def test_a_dead_worker_is_followed_at_once():
    facts = {"last_started": ago(1), "last_worker": f"{THEM}:x"}
    assert verdict(a_source(), last_status="running", **facts) == (True, "takeover")
    assert verdict(a_source(), last_status="failed", **facts) == (False, "recent")


def test_disabled_until_the_settings_change():
    source = a_source()
    facts = {"disabled_at": ago(9000), "disabled_reason": "401", "config_hash": source.fingerprint()}
    assert verdict(source, **facts, last_started=ago(3500)) == (False, "disabled")
    assert verdict(source, **facts, last_started=ago(3601))[0], "whoever put it right there need not tell us"
    changed = Source(name="s", base_url="http://elsewhere", schedule=source.schedule)
    assert verdict(changed, **facts) == (True, "due")


def test_the_breaker_doubles_its_rest_and_lets_a_trial_through():
    assert [timing.rest_after_failures(n, 60) for n in range(2, 11)] == [
        0,
        60,
        120,
        240,
        480,
        960,
        1920,
        3600,
        3600,
    ]
    assert timing.rest_after_failures(1000, 60) == 3600
    assert timing.rest_after_failures(9, 7200) == 7200, "never shorter than the interval itself"
    facts = {"failures": 5, "last_status": "failed", "last_worker": f"{US}:x"}
    assert verdict(a_source(), last_started=ago(300), **facts) == (False, "breaker")
    assert verdict(a_source(), last_started=ago(400), **facts) == (True, "due")
    assert verdict(a_source(), last_started=ago(300), **{**facts, "failures": 2}) == (True, "due")


def test_pace():
    plan = Schedule(every=300.0, min_interval=30.0, max_interval=1000.0)

    def walk(current: float, times: int, **seen: bool) -> list[float]:
        paces = []
        for _ in range(times):
            current = timing.next_interval(current, plan, **seen)
            paces.append(current)
        return paces

    assert walk(300, 5, open_jobs=True, changed=False) == [150, 75, 37.5, 30, 30]
    assert walk(300, 3, open_jobs=False, changed=False) == [600, 1000, 1000]
    assert walk(30, 2, open_jobs=False, changed=False) == [300, 600], "first back to normal"
    assert walk(1000, 1, open_jobs=False, changed=True) == [300]
    assert walk(1000, 1, open_jobs=True, changed=True) == [150]


@given(
    current=st.floats(1, 1e5),
    every=st.floats(1, 1e5),
    low=st.floats(0.01, 1),
    high=st.floats(1, 100),
    open_jobs=st.booleans(),
    changed=st.booleans(),
)
def test_pace_keeps_its_bounds(current, every, low, high, open_jobs, changed):
    plan = Schedule(every=every, min_interval=every * low, max_interval=every * high)
    found = timing.next_interval(current, plan, open_jobs=open_jobs, changed=changed)
    assert every * low <= found <= every * high
    plain = timing.next_interval(current, Schedule(every=every), open_jobs=open_jobs, changed=changed)
    assert plain == every, "without bounds the interval is the interval"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("*/15 * * * *", "2026-04-15 12:15"),
        ("0 4 * * 0", "2026-04-19 04:00"),  # Sunday is 0 …
        ("0 4 * * 7", "2026-04-19 04:00"),  # … and 7
        ("0 4 * * sun", "2026-04-19 04:00"),
        ("0 4 * * 1-5", "2026-04-16 04:00"),
        ("0 4 * * 5-7", "2026-04-17 04:00"),
        ("0 4 * * */3", "2026-04-18 04:00"),  # Sunday, Wednesday, Saturday
        ("0 4 1 * mon", "2026-04-20 04:00"),  # the first of the month, or a Monday
        ("0 4 16 * mon", "2026-04-16 04:00"),
        ("30 8-18 * * mon-fri", "2026-04-15 12:30"),
    ],
)
def test_cron_as_everybody_reads_it(line, expected):
    moment = next_fire(parse_cron(line), "UTC", NOW)
    assert f"{moment:%Y-%m-%d %H:%M}" == expected


def test_cron_in_a_zone_over_a_change_of_clocks():
    before = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
    fires = [next_fire("0 4 * * *", "Europe/Berlin", before)]
    fires.append(next_fire("0 4 * * *", "Europe/Berlin", fires[0]))
    assert [f"{fire:%d %H:%M}" for fire in fires] == ["29 02:00", "30 02:00"], (
        "summer time begins on the 29th"
    )
    assert next_fire("0 4 * * *", "Europe/Berlin", before - timedelta(days=1)).hour == 3


def test_a_date_that_never_comes():
    assert next_fire("0 0 31 2 *", "UTC", NOW) > NOW + timedelta(days=3650)


def test_a_cron_source_runs_once_per_time():
    source = a_source(every=None, cron="0 * * * *")
    late = {"last_status": "ok", "last_worker": f"{US}:x"}
    assert verdict(source, last_started=ago(1), **late) == (True, "due"), "it is noon, the last was before"
    assert verdict(source, last_started=ago(0), **late) == (False, "recent")
    assert source.schedule.slowest_interval(NOW) == 3600


def test_the_trigger_keeps_interval_and_jitter():
    found = timing.sync_trigger(Schedule(every=60.0, jitter=5.0), 30.0)
    fire = found.get_next_fire_time(NOW, NOW)
    assert 30 <= (fire - NOW).total_seconds() <= 35
    by_cron = timing.sync_trigger(Schedule(every=None, cron="0 4 * * *", timezone="Asia/Tokyo"), 300.0)
    assert by_cron.get_next_fire_time(None, NOW).astimezone(UTC).hour == 19


def test_reconcile_is_due_by_what_the_database_says():
    weekly = a_source(reconcile=Reconcile(every=604800.0))
    known = health(complete_at=ago(10), created_at=ago(86400 * 6))
    waiting = timing.reconcile_verdict(known, weekly, NOW, None)
    assert (waiting.run, waiting.again) == (False, 86400)
    assert timing.reconcile_verdict(replace(known, created_at=ago(86400 * 8)), weekly, NOW, None).run
    done = replace(known, created_at=ago(86400 * 8), reconciled_at=ago(60))
    assert timing.reconcile_verdict(done, weekly, NOW, None).again == pytest.approx(604800 - 60)


def test_a_reconcile_that_failed_is_not_tried_again_at_once():
    weekly = a_source(reconcile=Reconcile(every=604800.0))
    overdue = health(complete_at=ago(10), reconciled_at=ago(86400 * 8))
    found = timing.reconcile_verdict(overdue, weekly, NOW, ago(60))
    assert (found.run, found.again) == (False, 3540)
    by_cron = a_source(reconcile=Reconcile(cron="0 4 * * 0"))
    found = timing.reconcile_verdict(overdue, by_cron, NOW, ago(60))
    assert not found.run and found.again > 86400


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"complete_at": None}, "loading"),
        ({"holder": "x", "lease_left": 3.0}, "held"),
        ({"failures": 4, "last_started": ago(5)}, "breaker"),
        (
            {"disabled_at": ago(5), "last_started": ago(5), "config_hash": a_source().fingerprint()},
            "disabled",
        ),
    ],
)
def test_what_bars_a_sync_bars_a_reconcile(facts, reason):
    overdue = health(**{"complete_at": ago(10), "reconciled_at": ago(86400 * 8), **facts})
    found = timing.reconcile_verdict(overdue, a_source(reconcile=Reconcile(every=3600.0)), NOW, None)
    assert (found.run, found.reason) == (False, reason)
    assert found.again is not None and found.again > 0
