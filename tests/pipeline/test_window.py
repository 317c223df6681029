"""Lists that only ever show their newest page. Verdicts by hand, and from the world's own list."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from etl.load.gaps import accept_gaps
from etl.simulator import World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job
from tests.support.rig import Rig, rig

HOUR = 3600.0


def shown(world: World) -> list[str]:
    """What the one page shows now: its newest twenty."""
    return [job["id"] for job in world.expected()][-20:]


def world_of(rate: float, **more: Any) -> World:
    return World(seed=46, jobs=200, rate=rate, shape="litellm", stuck=0.0, **more)


def accept_all(r: Rig) -> None:
    accept_gaps(r.app.engine, [gap["id"] for gap in alarms(r)], r.now())


SETTINGS: dict[str, Any] = {"provider": None, "open_job_patience": 86_400.0}


def alarms(r: Rig) -> list[dict[str, Any]]:
    return [gap for gap in r.rows("coverage_gaps") if gap["accepted_at"] is None]


def test_overlapping_pages_are_green_and_miss_nothing(migrated_url: str) -> None:
    world = world_of(rate=20)
    with rig(world, migrated_url, settings=SETTINGS) as r:
        r.ok()
        accept_all(r)  # what the first page could not show
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
        accept_all(r)
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


class OnePage:
    """A server without any paging: whatever it is asked, it shows its jobs, the newest `cap` of them."""

    def __init__(self, count: int, *, cap: int | None = None, said: bool | None = None, order: str) -> None:
        self.jobs, self.cap, self.said, self.order = [job(n) for n in range(count)], cap, said, order

    def __call__(self, ask: Ask) -> bytes:
        if ask.path != "/v1/videos":
            return answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        shown = self.jobs[-self.cap :] if self.cap else self.jobs
        body: dict[str, Any] = {"object": "list", "data": shown if self.order == "asc" else shown[::-1]}
        return answer(json.dumps(body if self.said is None else body | {"has_more": self.said}).encode())


@pytest.mark.parametrize("page_size", [10, 100])
@pytest.mark.parametrize(
    ("cap", "said", "order"),
    [(None, False, "desc"), (None, False, "asc"), (None, None, "desc"), (20, True, "desc")],
)
def test_what_a_page_misses_between_its_jobs_is_gone(
    url_by_turns: str, cap: int | None, said: bool | None, order: str, page_size: int
) -> None:
    """It stayed listed for ever. Of a page that says it is the whole list, all that is missing is gone."""
    listed = OnePage(30, cap=cap, said=said, order=order)
    with RawGateway(listed) as raw:
        sim: Any = SimpleNamespace(
            world=World(jobs=1, start=1_767_200_000.0), gateway=raw, base_url=raw.base_url, requests=raw.asked
        )
        r = Rig(sim, url_by_turns, page_size=page_size)
        with r.app:
            gaps = 0 if said is False else 1  # what may be older was never shown
            assert r.ok().gaps == gaps
            gone = listed.jobs.pop(25)["id"]
            oldest = listed.jobs.pop(0)["id"]
            assert r.ok().gaps == gaps
            assert r.reconcile().status == "ok"
            versions = r.rows("video_job_versions", op="unlist")
            assert {row["job_id"] for row in versions} == ({gone, oldest} if said is False else {gone})
            listed.jobs += [job(n) for n in range(30, 35)]
            assert r.ok().gaps == gaps
            assert {job["id"] for job in listed.jobs[-15:]} <= set(r.listed())
            r.assert_accounts()


def test_many_missing_at_once_are_not_believed(url_by_turns: str) -> None:
    listed = OnePage(60, said=None, order="desc")
    with RawGateway(listed) as raw:
        sim: Any = SimpleNamespace(
            world=World(jobs=1, start=1_767_200_000.0), gateway=raw, base_url=raw.base_url, requests=raw.asked
        )
        r = Rig(sim, url_by_turns)
        with r.app:
            r.ok()
            del listed.jobs[20:40]
            assert type(r.reconcile().error).__name__ == "SuspiciousScan"
            assert not r.rows("video_job_versions", op="unlist")
            assert r.reconcile(accept_suspicious=True).status == "ok"
            assert len(r.rows("video_job_versions", op="unlist")) == 20
