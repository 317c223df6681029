"""A gateway that says once, amid a first load, that its list ends here: the other half knows better."""

from __future__ import annotations

import pytest

from etl.simulator import World
from tests.pipeline.test_convergence import in_order, killed
from tests.support.rig import rig


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("place", range(1, 7))
def test_no_job_is_missed(url_by_turns: str, place: int, lanes: int) -> None:
    world = World(seed=31, jobs=130, rate=0)
    settings = {"page_size": 10, "first_load_lanes": lanes}
    with rig(world, url_by_turns, settings=settings) as r:
        r.sim.fault("has_more", value="false", skip=place - 1, times=1)
        r.ok()
        assert len(r.jobs()) == 130
        r.assert_equals_gateway()
        r.assert_accounts()


@pytest.mark.parametrize("times", [2, 3, 4])
@pytest.mark.parametrize("fault", ["has_more:value=false", "shrunk"])
@pytest.mark.parametrize("place", range(1, 7))
def test_nor_when_both_halves_are_told_so(url_by_turns: str, place: int, fault: str, times: int) -> None:
    world = World(seed=31, jobs=130, rate=0)
    with rig(world, url_by_turns, settings={"page_size": 10}) as r:
        name, _, value = fault.partition(":value=")
        r.sim.fault(name, **({"value": value} if value else {}), skip=place - 1, times=times)
        while r.sync().error or not r.jobs():  # an empty list is believed, and asked for again
            pass
        assert len(r.jobs()) == 130
        r.assert_equals_gateway()
        r.assert_accounts()


@pytest.mark.parametrize("fault", ["has_more:value=false", "shrunk"])
@pytest.mark.parametrize("place", range(2, 7))
def test_nor_by_a_gateway_that_lists_newest_first(url_by_turns: str, place: int, fault: str) -> None:
    world = World(seed=31, jobs=130, rate=0)
    with rig(world, url_by_turns, settings={"page_size": 10, "order": "desc"}) as r:
        name, _, value = fault.partition(":value=")
        r.sim.fault("order_ignored")
        r.sim.fault(name, **({"value": value} if value else {}), skip=place - 1, times=2)
        r.ok()
        assert len(r.jobs()) == 130
        r.assert_equals_gateway()
        assert not r.rows("coverage_gaps")


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_a_gateway_that_always_says_that_a_page_is_the_last_one(url_by_turns: str, order: str) -> None:
    world = World(seed=31, jobs=130, rate=0)
    with rig(world, url_by_turns, settings={"page_size": 10, "order": order}) as r:
        r.sim.fault("has_more", value="false")
        r.ok()
        assert len(r.jobs()) == 130
        r.assert_equals_gateway()
        assert not r.rows("coverage_gaps")


def test_a_list_whose_middle_cannot_be_reached_says_so(url_by_turns: str) -> None:
    world = World(seed=31, jobs=130, rate=0)
    with rig(world, url_by_turns, settings={"page_size": 10}) as r:
        r.sim.fault("shrunk", skip=5)
        r.ok()
        (gap,) = r.rows("coverage_gaps")
        jobs = r.jobs()
        assert 10 < len(jobs) < 130
        assert gap["gap_from"] == jobs[gap["last_known_job_id"]]["created_at"]
        assert gap["gap_until"] == jobs[gap["oldest_listed_job_id"]]["created_at"]
        r.sim.clear_faults()
        r.reconcile()
        assert len(r.jobs()) == 130


@pytest.mark.parametrize("fault", ["has_more:value=false", "shrunk"])
@pytest.mark.parametrize("place", range(3, 20))
def test_nor_beside_an_unreadable_record(url_by_turns: str, place: int, fault: str) -> None:
    """One half waits at the record; the other one's end is a lie all the same."""
    world = World(seed=31, jobs=130, rate=0)
    with rig(world, url_by_turns, settings={"page_size": 10, "max_attempts": 1}) as r:
        name, _, value = fault.partition(":value=")
        r.sim.fault("poison", index=100)
        r.sim.fault(name, **({"value": value} if value else {}), skip=place - 1, times=2)
        while r.sync().error:
            pass
        assert len(r.jobs()) == 129
        (reject,) = r.rows("rejected_items")
        assert reject["payload"] is None


def test_nor_when_a_first_load_goes_on_and_the_list_seems_empty(url_by_turns: str) -> None:
    settings = {"page_size": 10, "max_attempts": 1}
    with rig(World(seed=31, jobs=130, rate=0), url_by_turns, settings=settings) as r:
        r.sim.fault("unauthorized", skip=6, times=1)
        assert r.sync().error
        r.sim.fault("shrunk", times=1)
        r.ok()
        assert len(r.jobs()) == 130
        r.assert_equals_gateway()


@pytest.mark.parametrize("fault", ["has_more:value=false", "shrunk"])
@pytest.mark.parametrize("place", range(1, 9))
@pytest.mark.parametrize("commits", [2, 4])
def test_nor_above_the_hole_of_a_killed_run(
    url_by_turns: str, monkeypatch: pytest.MonkeyPatch, commits: int, place: int, fault: str
) -> None:
    """The half that comes down goes on far below, and must find its place there; the other one is stuck."""
    monkeypatch.setattr("etl.pipeline.run.PAGES_PER_BATCH", 2)
    world, settings = World(seed=31, jobs=150, rate=3600), {"page_size": 10, "max_attempts": 1}
    with rig(world, url_by_turns, settings=settings) as r:
        r.sim.fault("poison", index=40)
        killed(r, commits)
        world.advance(60)
        r.sim.fault(f"{fault}{',' if ':' in fault else ':'}skip={place - 1},times=2")
        while r.sync().error:
            pass
        r.sim.clear_faults()
        assert r.reconcile().error is None
        r.assert_equals_gateway()
        assert in_order(r) == [job["id"] for job in world.expected()]


@pytest.mark.parametrize("place", [1, 3])
def test_nor_does_a_list_that_comes_newest_first_end_above_a_hole(url_by_turns: str, place: int) -> None:
    world, settings = World(seed=31, jobs=150, rate=3600), {"page_size": 10, "order": "desc"}
    with rig(world, url_by_turns, settings=settings) as r:
        r.sim.fault("order_ignored")
        r.sim.fault("unauthorized", skip=6, times=1)
        assert r.sync().error
        world.advance(60)
        r.sim.fault("shrunk", skip=place - 1, times=2)
        r.ok()
        assert in_order(r) == [job["id"] for job in world.expected()]


@pytest.mark.parametrize("fault", ["has_more:value=false", "shrunk"])
def test_a_scan_from_the_newest_job_that_ends_early_ages_nothing_out(url_by_turns: str, fault: str) -> None:
    world, settings = World(seed=31, jobs=60, rate=0), {"page_size": 10, "order": "desc"}
    with rig(world, url_by_turns, settings=settings) as r:
        r.sim.fault("order_ignored")
        r.ok()
        r.sim.fault(f"{fault}{',' if ':' in fault else ':'}skip=2,times=2")
        assert r.reconcile().error is None
        assert len(r.listed()) == 60


def test_an_empty_list_is_asked_for_again_where_jobs_are_known(url_by_turns: str) -> None:
    with rig(World(seed=32, jobs=25, rate=0), url_by_turns, settings={"page_size": 10}) as r:
        r.ok()
        r.sim.fault("shrunk", times=3)
        r.ok()
        assert not r.rows("coverage_gaps")


def test_a_list_of_one_full_page_costs_one_more_request(url_by_turns: str) -> None:
    with rig(World(seed=32, jobs=10, rate=0), url_by_turns, settings={"page_size": 10}) as r:
        assert r.ok().counts.requests == 2
        assert len(r.jobs()) == 10
