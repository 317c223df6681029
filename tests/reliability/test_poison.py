"""Records that the gateway cannot read, where the crash harness and the soak met them."""

from __future__ import annotations

import pytest

from etl.simulator import World
from tests.support.rig import Rig, rig


def add(told: Rig, count: int) -> list[str]:
    made = []
    for number in range(count):
        told.world.advance(1)
        made.append(told.world.add({"prompt": str(number)}))
    return made


def gaps(told: Rig) -> list[tuple[str | None, str | None]]:
    rows = told.rows("rejected_items", payload=None)
    return [(row["after_id"], row["before_id"]) for row in rows]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["null", "duplicate"])
def test_odd_items_beside_it_do_not_hide_it(database_url: str, kind: str) -> None:
    """They are more items than were asked for: counting them as jobs ends the narrowing too early."""
    world = World(seed=81, jobs=700, rate=0)
    with rig(world, database_url) as told:
        told.sim.fault("bad_item", kind=kind, at=0)
        told.sim.fault("poison", id=world.id_at(333))
        told.ok()
        assert set(told.jobs()) == {world.id_at(i) for i in range(700)} - {world.id_at(333)}
        assert told.reconcile().status == "ok"
        new = add(told, 30)
        told.sim.fault("poison", id=new[12])
        told.ok()
        assert set(new) - set(told.jobs()) == {new[12]}
        between = [(world.id_at(332), world.id_at(334)), (new[11], new[13])]
        assert gaps(told) == between
        told.assert_accounts()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_second_one_does_not_hide_what_came_after_the_first(database_url: str) -> None:
    """An open job holds the frontier back, so every tick meets the first one again."""
    world = World(seed=82, jobs=300, rate=0)
    with rig(world, database_url) as told:
        world.add({"status": "queued", "prompt": "holds the frontier"})
        told.ok()
        first = add(told, 30)
        told.sim.fault("poison", id=first[12])
        told.ok()
        second = add(told, 30)
        told.sim.fault("poison", id=second[12])
        told.ok()
        assert set(first + second) - set(told.jobs()) == {first[12], second[12]}
        assert gaps(told) == [(first[11], first[13]), (second[11], second[13])]
        told.assert_accounts()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("order", ["auto", "desc"])
def test_a_gateway_that_only_lists_newest_first(database_url: str, order: str) -> None:
    """What is older than the record cannot be asked for: that much is written down, and the rest goes on."""
    world = World(seed=83, jobs=500, rate=0)
    with rig(world, database_url, settings={"order": order}) as told:
        told.sim.fault("order_ignored")
        told.sim.fault("poison", id=world.id_at(200))
        told.ok()
        assert set(told.jobs()) == {world.id_at(i) for i in range(201, 500)}
        assert gaps(told) == [(None, world.id_at(201))]
        (hole,) = told.rows("coverage_gaps")
        assert hole["oldest_listed_job_id"] == world.id_at(201)
        new = add(told, 30)
        told.sim.fault("poison", id=new[12])
        told.ok()
        assert set(new) & set(told.jobs()) == set(new[13:])
        assert (world.id_at(499), new[13]) in gaps(told)
        more = add(told, 5)
        told.ok()
        assert set(more) <= set(told.jobs())
        assert told.reconcile().status == "ok"
        assert all(row["unlisted_at"] is None for row in told.jobs().values())
        told.sim.clear_faults()
        told.sim.fault("order_ignored")
        assert told.reconcile().status == "ok"
        told.assert_equals_gateway()
        told.assert_accounts()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("order", ["auto", "desc"])
@pytest.mark.parametrize("deleted", [(), (199, 201)])
def test_a_known_job_turns_unreadable(database_url: str, order: str, deleted: tuple[int, ...]) -> None:
    """It is known, so it is the next known job; and its neighbours may no longer be cursors."""
    world = World(seed=84, jobs=400, rate=0)
    with rig(world, database_url, settings={"order": order}) as told:
        if order == "desc":
            told.sim.fault("order_ignored")
        told.ok()
        told.sim.fault("poison", id=world.id_at(200))
        for index in deleted:
            world.delete(world.id_at(index))
        world.update(world.id_at(30), prompt="changed below")
        world.update(world.id_at(350), prompt="changed above")
        assert told.reconcile().status == "ok"
        low, high = (198, 202) if deleted else (199, 201)
        # Where asking upwards is not possible, the unreadable job itself is the nearest one known below.
        assert gaps(told) == [(world.id_at(200 if order == "desc" else low), world.id_at(high))]
        prompts = {job_id: row["prompt"] for job_id, row in told.jobs().items()}
        assert prompts[world.id_at(30)] == "changed below" and prompts[world.id_at(350)] == "changed above"
        # A walk that goes on from the unreadable job itself passes the place of 199; nobody passed 201's.
        assert len(told.listed()) == (399 if order == "desc" and deleted else 400)
        told.assert_accounts()
