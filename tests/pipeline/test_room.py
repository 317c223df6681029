"""Positions last for years: who deletes every job that was fetched does not use up the numbers."""

from __future__ import annotations

import random

import pytest

from etl.load.positions import LEAP
from etl.simulator import World
from tests.support.rig import Rig, rig

ROUNDS = 12


@pytest.mark.parametrize("faults", [[], ["order_ignored"]], ids=["oldest first", "newest first only"])
def test_jobs_deleted_at_the_newest_end_use_up_no_room(migrated_url: str, faults: list[str]) -> None:
    rng = random.Random(1)
    created: list[str] = []
    with rig(World(seed=1, jobs=0, rate=0), migrated_url, faults=faults) as r:
        for _ in range(ROUNDS):
            _delete_newest(r, rng.choice((1000, 2)))
            created += _add(r, rng.randint(1, 5))
            r.ok()
        positions = {job_id: row["list_position"] for job_id, row in r.jobs().items()}

    assert sorted(positions, key=positions.__getitem__) == created
    assert len(set(positions.values())) == len(created)
    assert max(positions.values()) - min(positions.values()) < LEAP


def _delete_newest(r: Rig, count: int) -> None:
    for job in r.world.expected()[::-1][:count]:
        r.world.delete(job["id"])


def _add(r: Rig, count: int) -> list[str]:
    before = {job["id"] for job in r.world.expected()}
    for number in range(count):
        r.world.add({"prompt": f"job {number}", "status": "completed"})
    return [job["id"] for job in r.world.expected() if job["id"] not in before]


def test_a_deleted_job_from_the_future_uses_up_no_room(migrated_url: str) -> None:
    """Nobody says that it is gone: this gateway does not read jobs by id."""
    world, settings = World(seed=1, jobs=3, rate=0), {"rereads_per_run": 0}
    with rig(world, migrated_url, settings=settings) as r:
        tomorrow = int(world.now()) + 86_400
        future = world.add({"prompt": "x", "status": "completed", "created_at": tomorrow})
        r.ok()
        world.delete(future)
        created = [job for _ in range(60) for job in (_add(r, 1), r.ok())[0]]
        positions = {job_id: row["list_position"] for job_id, row in r.jobs().items()}
    assert sorted(created, key=positions.__getitem__) == created
    assert len(set(positions.values())) == len(positions)
