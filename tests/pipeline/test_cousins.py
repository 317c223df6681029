"""Other gateways that list videos, and one gateway with several accounts behind it."""

from __future__ import annotations

import pytest

from etl.simulator import World
from tests.support.rig import rig

HOUR = 3600.0


@pytest.mark.parametrize("shape", ["openai", "reference", "bifrost"])
def test_every_page_shape_is_mirrored(migrated_url: str, shape: str) -> None:
    world = World(seed=40, jobs=350, rate=60, shape=shape)
    with rig(world, migrated_url, settings={"provider": None if shape == "openai" else "openai"}) as r:
        for _ in range(3):
            r.ok()
            world.advance(HOUR)
        world.advance(48 * HOUR)
        r.ok()
        r.ok()
        listed = world.expected()
        assert set(r.jobs()) >= {job["id"] for job in listed}
        if shape != "reference":
            r.assert_equals_gateway()
        else:  # no status is sent: it is derived, and says so
            jobs = r.jobs()
            stored = [jobs[job["id"]] for job in listed]
            assert {row["reported_status"] for row in stored} == {None}
            assert {row["status"] for row in stored} <= {"completed", "failed", "in_progress", "queued"}
        r.assert_accounts()


def test_a_proxy_that_ignores_every_parameter_gives_one_page(migrated_url: str) -> None:
    world = World(seed=41, jobs=350, rate=0, shape="litellm")
    with rig(world, migrated_url, settings={"provider": None, "headers": {}}) as r:
        result = r.sync()
        assert len(r.sim.requests) < 20
        assert result.status == "ok", result.error
        assert set(r.jobs()) == {job["id"] for job in world.expected()[-20:]}


def test_one_pinned_source_per_key_reads_every_account_whole(migrated_url: str) -> None:
    world = World(seed=42, jobs=300, rate=0, accounts=2)
    seen: set[str] = set()
    for key in ("key-1", "key-2"):
        with rig(world, migrated_url, settings={"name": key, "key_name": key}) as r:
            r.ok()
            r.ok()
            rows = r.rows("sources", name=key)
            mine = {row["job_id"] for row in r.rows("video_jobs", source_id=rows[0]["id"])}
            assert mine == {job["id"] for job in world.expected(account=key)}
            assert not mine & seen
            seen |= mine
    assert seen == {job["id"] for job in world.expected()}


def test_several_accounts_behind_one_source_end_every_run_and_unlist_nothing(migrated_url: str) -> None:
    world = World(seed=43, jobs=300, rate=30, accounts=3)
    with rig(world, migrated_url) as r:
        for _ in range(6):
            r.sync()
            world.advance(HOUR)
        assert len(r.sim.requests) < 600
        assert r.jobs()
        r.assert_accounts()
