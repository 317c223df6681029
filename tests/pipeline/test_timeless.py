"""Jobs that say nothing of their creation: `created_at` is missing, null or 0."""

from __future__ import annotations

from typing import Any

import pytest

from etl.simulator import World
from tests.pipeline.test_convergence import in_order
from tests.support.rig import rig

#: Order, status, page size, what `created_at` is, how many jobs with a time stand before.
CASES = (
    ("auto", "queued", 100, None, 0),
    ("auto", "completed", 1, 0, 0),
    ("auto", "queued", 2, 0, 3),
    ("desc", "queued", 2, None, 3),
)


@pytest.mark.parametrize(("order", "status", "page_size", "moment", "timed"), CASES)
def test_jobs_without_a_time_are_read_and_scanned(
    migrated_url: str, order: str, status: str, page_size: int, moment: Any, timed: int
) -> None:
    world = World(seed=51, jobs=timed, rate=0)
    job = {"created_at": moment, "status": status}
    with rig(world, migrated_url, settings={"page_size": page_size, "order": order}) as r:
        for _ in range(2):
            world.add(job)
        r.ok()
        world.add(job)
        r.ok()
        world.delete(world.expected()[0]["id"])
        world.add(job)
        assert r.reconcile().error is None
        r.ok()
        assert in_order(r) == [each["id"] for each in world.expected()]
        assert len(r.jobs()) == timed + 4
        r.assert_accounts()
