"""Jobs that a lying page had hidden come to light when the jobs before them have aged out of the list."""

from __future__ import annotations

from importlib import import_module

import pytest
import sqlalchemy as sa

from etl.simulator import World
from tests.support.rig import rig

MINUTE = 60.0


@pytest.mark.parametrize("smallest", [20, 1000], ids=["segments", "one piece"])
def test_the_order_is_kept_and_the_aged_are_marked(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch, smallest: int
) -> None:
    aged = 100
    monkeypatch.setattr(import_module("etl.pipeline.reconcile"), "MIN_SEGMENT", smallest)
    world = World(seed=2, jobs=300, rate=0, gap=MINUTE, retention=400 * MINUTE)
    with rig(world, migrated_url, settings={"page_size": 10}) as r:
        r.ok()
        order = [job["id"] for job in world.expected()]
        with r.app.engine.begin() as conn:
            hidden = sa.bindparam("hidden", order[aged - 20 : 160], expanding=True)
            for table in ("video_jobs", "video_job_versions"):
                conn.execute(sa.text(f"DELETE FROM {table} WHERE job_id IN :hidden").bindparams(hidden))
        world.advance((100 + aged) * MINUTE)

        assert r.reconcile(accept_suspicious=True).error is None
        assert r.reconcile().error is None

        jobs = r.jobs()
        known = [job_id for job_id in order if job_id in jobs]
        listed = {job["id"] for job in world.expected()}
        assert sorted(jobs, key=lambda job_id: jobs[job_id]["list_position"]) == known
        assert set(r.listed()) == listed
        assert 0 < len(listed) < len(known)
