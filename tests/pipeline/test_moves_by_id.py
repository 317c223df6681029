"""Lists that show a job as it was when somebody last read it by id: the reader itself has to ask."""

from __future__ import annotations

from etl.simulator import World
from tests.support.rig import rig

MINUTE, HOUR = 60.0, 3600.0
SETTINGS = {"provider": None, "open_job_patience": 24 * HOUR}


def test_jobs_settle_at_the_pace_of_ticks(migrated_url: str) -> None:
    world = World(seed=51, jobs=100, rate=30, shape="window24h", stuck=0.0)
    with rig(world, migrated_url, settings=SETTINGS) as r:
        for _ in range(30):
            r.ok()
            world.advance(5 * MINUTE)
        r.ok()
        r.ok()
        stored, now = r.jobs(), world.now()
        over = {job["id"] for job in world.expected() if (job.get("completed_at") or now) < now - 30 * MINUTE}
        assert len(over) > 50
        still_open = {i for i in over if i in stored and not stored[i]["settled"]}
        assert not still_open
        r.assert_accounts()


def test_an_ordinary_list_is_not_asked_by_id(migrated_url: str) -> None:
    world = World(seed=52, jobs=100, rate=30, stuck=0.0)
    with rig(world, migrated_url) as r:
        for _ in range(20):
            r.ok()
            world.advance(2 * MINUTE)
        by_id = [request for request in r.sim.requests if request.path.startswith("/v1/videos/")]
        assert len(by_id) <= 20
