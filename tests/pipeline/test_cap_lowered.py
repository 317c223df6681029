"""A gateway without `has_more` that shows fewer jobs on a page than it used to, and does not say so.

A page as long as the new cap looks like the end of the list: it is only shorter than the pages known so far.
"""

from __future__ import annotations

import pytest

from etl.simulator import World
from tests.support.rig import rig


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_a_cap_that_is_lowered_hides_nothing(engine_url: str, order: str) -> None:
    world = World(seed=51, jobs=250, rate=0)
    with rig(world, engine_url, settings={"order": order}) as r:
        r.sim.fault("no_has_more")
        r.ok()
        r.sim.fault("limit_ignored", limit=20)
        for _ in range(70):
            world.add()
        r.ok()
        assert len(r.listed()) == 320
