"""A page that comes upside down once: the gateway is not taken for one that only lists newest first."""

from __future__ import annotations

import pytest

from etl.simulator import World
from tests.support.rig import Rig, rig

SETTINGS = {"page_size": 10, "max_attempts": 1}


def _order(r: Rig) -> str | None:
    (state,) = r.rows("sync_state")
    return state["list_order"]


@pytest.mark.parametrize("place", range(1, 9))
def test_in_a_first_load(migrated_url: str, place: int) -> None:
    with rig(World(seed=33, jobs=130, rate=0), migrated_url, settings=SETTINGS) as r:
        r.sim.fault("order_ignored", always="desc", skip=place - 1, times=1)
        while r.sync().error:
            pass
        r.assert_equals_gateway()
        assert _order(r) is None


def test_in_a_tick(migrated_url: str) -> None:
    with rig(World(seed=33, jobs=60, rate=3600), migrated_url, settings=SETTINGS) as r:
        r.ok()
        r.sim.world.advance(30)
        r.sim.fault("order_ignored", always="desc", times=1)
        r.ok()
        r.assert_equals_gateway()
        assert _order(r) is None


def test_a_mistake_is_seen_by_the_next_reconcile(migrated_url: str) -> None:
    with rig(World(seed=33, jobs=60, rate=3600), migrated_url, settings=SETTINGS) as r:
        r.ok()
        r.sim.world.advance(30)
        r.sim.fault("order_ignored", always="desc", times=3)
        r.ok()
        assert _order(r) == "desc"
        r.reconcile()
        assert _order(r) is None


def test_a_mistake_is_seen_where_a_record_cannot_be_read(migrated_url: str) -> None:
    """Only from below can the jobs before it be reached."""
    with rig(World(seed=33, jobs=60, rate=3600), migrated_url, settings=SETTINGS) as r:
        r.ok()
        r.sim.world.advance(60)
        r.sim.fault("order_ignored", always="desc", times=3)
        r.sim.fault("poison", index=75)
        r.ok()
        assert _order(r) is None
        (reject,) = r.rows("rejected_items")
        places = {job_id: row["list_position"] for job_id, row in r.jobs().items()}
        here = sorted(places, key=lambda job_id: places[job_id])
        assert here.index(reject["before_id"]) == here.index(reject["after_id"]) + 1
        assert len(here) == r.sim.world.created_count() - 1
