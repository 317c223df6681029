"""A gateway that says once, amid a first load, that its list ends here: the other half knows better."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.simulator import World
from tests.rig import rig


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("place", range(1, 7))
def test_no_job_is_missed(tmp_path: Path, place: int, lanes: int) -> None:
    world = World(seed=31, jobs=130, rate=0)
    settings = {"page_size": 10, "first_load_lanes": lanes}
    with rig(world, f"sqlite:///{tmp_path / 'x.db'}", settings=settings) as r:
        r.sim.fault("has_more", value="false", skip=place - 1, times=1)
        r.ok()
        assert len(r.jobs()) == 130
        r.assert_equals_gateway()
        r.assert_accounts()


def test_a_list_of_one_full_page_costs_one_more_request(tmp_path: Path) -> None:
    with rig(
        World(seed=32, jobs=10, rate=0), f"sqlite:///{tmp_path / 'x.db'}", settings={"page_size": 10}
    ) as r:
        assert r.ok().counts.requests == 2
        assert len(r.jobs()) == 10
