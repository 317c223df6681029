"""Lists that only ever show their newest page. Verdicts by hand, and from the world's own list."""

from __future__ import annotations

from typing import Any

import pytest

from etl.simulator import World
from tests.support.rig import Rig, rig

HOUR = 3600.0


def shown(world: World) -> list[str]:
    """What the one page shows now: its newest twenty."""
    return [job["id"] for job in world.expected()][-20:]


def world_of(rate: float, **more: Any) -> World:
    return World(seed=46, jobs=200, rate=rate, shape="litellm", stuck=0.0, **more)


SETTINGS: dict[str, Any] = {"provider": None, "open_job_patience": 86_400.0}


def alarms(r: Rig) -> list[dict[str, Any]]:
    return [gap for gap in r.rows("coverage_gaps") if gap["accepted_at"] is None]


def test_overlapping_pages_are_green_and_miss_nothing(migrated_url: str) -> None:
    world = world_of(rate=20)
    with rig(world, migrated_url, settings=SETTINGS) as r:
        r.ok()
        seen = {*shown(world)}
        for turn in range(8):
            world.advance(HOUR / 2)  # ten new jobs: half a page
            r.ok() if turn % 4 else r.reconcile()
            seen |= {*shown(world)}
        assert {run["status"] for run in r.rows("sync_runs")} == {"ok"}
        assert set(r.jobs()) == seen
        assert not alarms(r)
        assert not r.rows("video_job_versions", op="unlist")
        world.advance(48 * HOUR)
        assert r.sync().status == "ok"  # two days later the page holds other jobs
        r.assert_accounts()


def test_no_overlap_is_a_gap_with_both_ends(migrated_url: str) -> None:
    world = world_of(rate=20)
    with rig(world, migrated_url, settings=SETTINGS) as r:
        r.ok()
        newest = shown(world)[-1]
        world.advance(5 * HOUR)  # a hundred new jobs
        r.sync()
        (gap,) = alarms(r)
        assert gap["last_known_job_id"] == newest
        assert gap["oldest_listed_job_id"] == shown(world)[0]
        r.sync()
        assert len(alarms(r)) == 1
        assert not r.rows("video_job_versions", op="unlist")


def test_open_jobs_that_left_the_page_settle_by_id(migrated_url: str) -> None:
    world = world_of(rate=40)
    with rig(world, migrated_url, settings=SETTINGS) as r:
        for _ in range(12):
            r.ok()
            world.advance(HOUR / 6)
        stored = r.jobs()
        left = [job for job in world.expected() if job["id"] in stored and job["id"] not in shown(world)]
        assert left
        r.ok()
        r.ok()
        stored = r.jobs()
        assert {job["id"]: job["status"] for job in left} == {
            job["id"]: stored[job["id"]]["status"] for job in left
        }


def test_a_tick_in_a_window_is_a_page_and_a_question(migrated_url: str) -> None:
    world = world_of(rate=0)
    with rig(world, migrated_url, settings=SETTINGS) as r:
        world.advance(48 * HOUR)
        r.ok()
        before = len(r.sim.requests)
        r.ok()
        assert len(r.sim.requests) - before == 3, "the page, and behind it by either name of its cursor"


def test_a_page_that_repeats_once_is_no_window(migrated_url: str) -> None:
    world = World(seed=47, jobs=250, rate=0)
    with rig(world, migrated_url, settings={"page_size": 50}, faults=["cursor_ignored:times=1,skip=2"]) as r:
        r.sync()
        r.ok()
        r.assert_equals_gateway()


@pytest.mark.parametrize("window", ["never", "always"])
def test_a_window_may_be_set(url_by_turns: str, window: str) -> None:
    world = world_of(rate=0)
    with rig(world, url_by_turns, settings={**SETTINGS, "window": window}) as r:
        result = r.sync()
        assert result.status == ("failed" if window == "never" else "ok")
        assert set(r.jobs()) == {*shown(world)}


def test_a_list_that_pages_again_is_read_from_its_first_job(database_url: str) -> None:
    """A proxy's fault had shown one page only, in a first load and in ticks."""
    with rig(World(seed=18, jobs=450, rate=0), database_url) as r:
        r.sim.fault("cursor_ignored")
        r.ok()
        r.ok()
        assert len(r.jobs()) < 450
        r.sim.clear_faults()
        r.ok()
        r.ok()
        r.assert_equals_gateway()
        r.assert_accounts()
        assert r.reconcile().status == "ok"
        assert len(r.jobs()) == 450
        runs = [(run["kind"], run["status"]) for run in r.rows("sync_runs")]
        ticks = [("incremental", "ok")] * 2
        assert runs == [("first", "ok"), *ticks, ("first", "ok"), ticks[0], ("reconcile", "ok")]
