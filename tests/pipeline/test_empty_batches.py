"""Batches of a reconcile that hold nothing to place: only an empty page, or only items that are no jobs.

Such a batch asks the database for the next zero jobs, which SQLite answers and servers refuse.
"""

from __future__ import annotations

import pytest

from etl.pipeline import run
from etl.simulator import World
from tests.support.rig import rig

JOBS = 100


@pytest.fixture(autouse=True)
def _a_page_is_a_batch(monkeypatch: pytest.MonkeyPatch, _small_batches: None) -> None:
    monkeypatch.setattr(run, "PAGES_PER_BATCH", 1)


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_a_batch_of_rejects_alone(migrated_url: str, order: str) -> None:
    world = World(seed=41, jobs=JOBS, rate=0)
    with rig(world, migrated_url, settings={"page_size": 10, "order": order}) as r:
        r.ok()
        world.delete(world.id_at(50))
        for n in range(10):
            world.set(world.add(), b"[%d]" % n)
        result = r.reconcile()
        assert result.error is None, result.error
        assert result.counts.jobs_rejected >= 10  # the end of the list is asked for once more
        assert result.counts.jobs_unlisted == 1
        assert r.reconcile().counts.jobs_unlisted == 0
        r.assert_accounts()


def test_a_batch_of_an_empty_page_alone(migrated_url: str) -> None:
    world = World(seed=42, jobs=JOBS, rate=0)
    with rig(world, migrated_url, settings={"page_size": 10}) as r:
        r.ok()
        world.delete(world.id_at(50))
        world.add()
        r.sim.fault("has_more", value="true")  # the last page leads to an empty one
        result = r.reconcile()
        assert result.error is None, result.error
        assert result.counts.jobs_unlisted == 1


def test_an_empty_list_is_refused_for_what_it_is(migrated_url: str) -> None:
    """The refusal must come, not a database's complaint; and a person may accept it."""
    world = World(seed=43, jobs=JOBS, rate=0)
    with rig(world, migrated_url, settings={"page_size": 10}) as r:
        r.ok()
        r.sim.fault("null_data", skip=10)
        refused = r.reconcile()
        assert type(refused.error).__name__ == "SuspiciousScan", refused.error
        assert len(r.listed()) == JOBS
        for n in range(JOBS):
            world.delete(world.id_at(n))
        r.sim.clear_faults()
        assert r.reconcile(accept_suspicious=True).counts.jobs_unlisted == JOBS
