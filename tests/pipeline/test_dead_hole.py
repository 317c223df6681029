"""A first load that was killed, and the job at which its newest half should go on is deleted meanwhile."""

from __future__ import annotations

import json

import pytest

from etl.simulator import World
from tests.pipeline.test_convergence import in_order, killed
from tests.support.rig import Rig, rig


def hole(r: Rig) -> str:
    """The cursor of the newest-first half."""
    (state,) = r.rows("sync_state")
    checkpoint = state["checkpoint"]
    below = (json.loads(checkpoint) if isinstance(checkpoint, str) else checkpoint)["below"]
    return str(below[0])


@pytest.mark.parametrize("poisoned", [True, False], ids=["beside an unreadable record", "alone"])
def test_it_goes_on_nevertheless(migrated_url: str, poisoned: bool) -> None:
    world = World(seed=21, jobs=400, rate=0)
    with rig(world, migrated_url, settings={"page_size": 10}) as r:
        killed(r, 2)
        unreadable = world.id_at(150)
        if poisoned:
            r.sim.fault("poison", id=unreadable)
        for _ in range(2):  # the hole that the first one leaves is dead too
            world.delete(hole(r))
            killed(r, 1)
        world.delete(hole(r))

        r.ok()

        expected = [job["id"] for job in world.expected() if not (poisoned and job["id"] == unreadable)]
        assert [job_id for job_id in in_order(r) if job_id in set(expected)] == expected
        assert len(r.rows("rejected_items")) == poisoned
        r.assert_accounts()
