"""Gateways that misbehave: each ends in a named error or a recorded fact, never in a loop or a loss."""

from __future__ import annotations

import pytest

from etl.simulator import World
from tests.support.rig import rig

HOUR = 3600.0


def test_a_poison_record_costs_exactly_that_record(database_url: str) -> None:
    world = World(seed=12, jobs=700, rate=0)
    with rig(world, database_url) as r:
        poison = world.id_at(333)
        r.sim.fault("poison", id=poison)
        r.ok()
        assert len(r.jobs()) == 699 and poison not in r.jobs()
        (reject,) = r.rows("rejected_items")
        assert (reject["after_id"], reject["before_id"]) == (world.id_at(332), world.id_at(334))
        assert reject["payload"] is None
        r.assert_accounts()


@pytest.mark.parametrize("place", [0, 299])
def test_a_poison_record_at_an_end_of_the_list(database_url: str, place: int) -> None:
    world = World(seed=13, jobs=300, rate=0)
    with rig(world, database_url) as r:
        r.sim.fault("poison", id=world.id_at(place))
        r.ok()
        assert len(r.jobs()) == 299
        assert len(r.rows("rejected_items")) == 1


def test_a_poison_record_among_the_new_jobs(database_url: str) -> None:
    world = World(seed=14, jobs=300, rate=0)
    with rig(world, database_url) as r:
        r.ok()
        new = []
        for n in range(30):
            world.advance(1)
            new.append(world.add({"prompt": str(n)}))
        r.sim.fault("poison", id=new[12])
        r.ok()
        assert set(new) - set(r.jobs()) == {new[12]}
        (reject,) = r.rows("rejected_items")
        assert (reject["after_id"], reject["before_id"]) == (new[11], new[13])


def test_a_sick_gateway_is_not_taken_for_a_poison_record(database_url: str) -> None:
    with rig(World(seed=15, jobs=500, rate=0), database_url) as r:
        r.sim.fault("unmarshal", skip=3)
        result = r.sync()
        assert result.status == "failed"
        assert not r.rows("rejected_items")
        r.sim.clear_faults()
        r.ok()
        r.assert_equals_gateway()


@pytest.mark.parametrize("fault", ["order_ignored"])
@pytest.mark.parametrize("jobs", [1, 2, 99, 100, 101, 450])
def test_a_gateway_that_only_lists_newest_first(database_url: str, fault: str, jobs: int) -> None:
    world = World(seed=16, jobs=jobs, rate=30)
    with rig(world, database_url) as r:
        r.sim.fault(fault)
        for _ in range(4):
            r.ok()
            r.assert_equals_gateway()
            world.advance(HOUR)


def test_a_cursor_that_is_ignored_makes_a_window_and_says_what_it_hides(database_url: str) -> None:
    with rig(World(seed=17, jobs=450, rate=0), database_url) as r:
        r.sim.fault("cursor_ignored")
        r.ok()
        assert {gap["kind"] for gap in r.rows("coverage_gaps")} == {"window"}
        assert len(r.sim.requests) < 20
        assert len(r.jobs()) >= 100


def test_a_cursor_that_is_ignored_ends_the_run_with_its_name(database_url: str) -> None:
    with rig(World(seed=17, jobs=450, rate=0), database_url, settings={"window": "never"}) as r:
        r.sim.fault("cursor_ignored")
        result = r.sync()
        assert result.status == "failed"
        assert type(result.error).__name__ in {"RepeatedPage", "OrderIgnored"}
        assert len(r.sim.requests) < 20
        assert len(r.jobs()) >= 100


def test_pages_from_the_gateways_cache_are_never_believed(database_url: str) -> None:
    world = World(seed=18, jobs=150, rate=0)
    with rig(world, database_url) as r:
        r.ok()
        world.advance(2 * HOUR)
        new = world.add({"prompt": "new"})
        r.sim.fault("cached", times=1)
        r.ok()
        assert new in r.jobs()
        r.assert_equals_gateway()
        cached = [p for p in r.rows("list_pages") if not p["accepted"]]
        assert len(cached) == 1 and len(r.rows("cache_lookups", cache_hit=True)) == 1
        r.sim.fault("cached")
        result = r.sync()
        assert type(result.error).__name__ == "StalePage"


def test_what_fails_is_recorded_and_the_next_run_goes_on(database_url: str) -> None:
    with rig(World(seed=19, jobs=2500, rate=0), database_url) as r:
        r.sim.fault("upstream_500", skip=14)
        failed = r.sync()
        assert failed.status == "failed" and failed.error is not None
        run = r.rows("sync_runs")[0]
        assert run["status"] == "failed" and run["error_class"]
        before = len(r.jobs())
        assert before >= 1000
        r.sim.clear_faults()
        asked = len(r.pages_asked())
        r.ok()
        assert len(r.pages_asked()) - asked < 25, "a whole first load would be 26 pages or more"
        r.assert_equals_gateway()
        r.assert_accounts()
