"""What a sync does, on all three databases, against the simulated gateway."""

from __future__ import annotations

import pytest

from etl.simulator import World
from tests.support.rig import rig

HOUR = 3600.0


def test_a_first_load_stores_every_job_once(database_url: str) -> None:
    with rig(World(seed=3, jobs=950, rate=0), database_url) as r:
        result = r.ok()
        assert result.kind == "first"
        assert result.counts.jobs_inserted == 950
        r.assert_equals_gateway()
        r.assert_accounts()
        assert len(r.rows("list_pages")) == result.counts.pages
        assert {row["op"] for row in r.rows("video_job_versions")} == {"insert"}


def test_the_newest_jobs_are_asked_for_first(database_url: str) -> None:
    with rig(World(seed=3, jobs=300), database_url) as r:
        r.ok()
        assert r.pages_asked()[0]["order"] == "desc"


def test_a_tick_with_nothing_new_is_one_request_and_one_transaction(database_url: str) -> None:
    with rig(World(seed=4, jobs=500, rate=0), database_url) as r:
        r.ok()
        r.world.advance(48 * HOUR)
        r.ok()
        asked = len(r.sim.requests)
        commits = _count_commits(r.app.engine)
        result = r.ok()
        assert len(r.sim.requests) - asked == 1
        assert result.counts.jobs_inserted == result.counts.jobs_updated == 0
        assert commits() <= 1


def _count_commits(engine):  # type: ignore[no-untyped-def]
    import sqlalchemy as sa

    seen: list[int] = []
    sa.event.listen(engine, "commit", lambda _conn: seen.append(1))
    return lambda: len(seen)


def test_changes_arrive_however_old_the_job(database_url: str) -> None:
    with rig(World(seed=5, jobs=400, rate=200), database_url) as r:
        r.ok()
        for _ in range(6):
            r.world.advance(HOUR / 2)
            r.ok()
            r.assert_equals_gateway()
        r.assert_accounts()
        ops = {row["op"] for row in r.rows("video_job_versions")}
        assert ops == {"insert", "update"}


def test_a_settled_world_is_settled_in_the_table(database_url: str) -> None:
    with rig(World(seed=6, jobs=250, rate=0), database_url) as r:
        r.ok()
        r.world.advance(72 * HOUR)
        r.ok()
        r.ok()
        r.assert_equals_gateway()
        assert all(row["settled"] for row in r.jobs().values())


def test_history_keeps_the_value_before(database_url: str) -> None:
    world = World(seed=7, jobs=5, rate=0)
    with rig(world, database_url) as r:
        job_id = world.add({"status": "queued"})
        r.ok()
        world.advance(60)
        world.update(job_id, status="completed", progress=100, completed_at=int(world.now()))
        r.ok()
        versions = r.rows("video_job_versions", job_id=job_id)
        assert [(v["version"], v["op"], v["status"]) for v in versions] == [
            (1, "insert", "queued"),
            (2, "update", "completed"),
        ]
        assert versions[0]["valid_from"] < versions[1]["valid_from"]
        assert "status" in (versions[1]["changed_fields"] or "")


@pytest.mark.parametrize("behaviour", ["400", "404", "empty", "first_page"])
def test_a_dead_cursor_never_means_nothing_new(database_url: str, behaviour: str) -> None:
    world = World(seed=8, jobs=300, rate=0)
    with rig(world, database_url) as r:
        r.sim.fault("dead_cursor", how=behaviour)
        r.ok()
        world.advance(48 * HOUR)
        r.ok()
        cursor = r.rows("sync_state")[0]["cursor"]
        world.delete(cursor)
        new = [world.add({"prompt": f"new {n}"}) for n in range(3)]
        r.ok()
        assert set(new) <= set(r.jobs())
        r.ok()
        asked = len(r.sim.requests)
        r.ok()
        r.ok()
        assert len(r.sim.requests) - asked <= 2 + r.source.rereads_per_run
        r.assert_accounts()


def test_a_list_that_no_longer_reaches_back_is_a_recorded_gap(database_url: str) -> None:
    world = World(seed=9, jobs=200, rate=60, retention=6 * HOUR)
    with rig(world, database_url) as r:
        r.ok()
        world.advance(30 * HOUR)
        result = r.ok()
        assert result.gaps == 1
        (gap,) = r.rows("coverage_gaps")
        assert gap["gap_from"] < gap["gap_until"]
        r.assert_equals_gateway()
        assert r.ok().gaps == 1  # nobody has accepted it


def test_an_empty_list_stays_empty_and_then_fills(database_url: str) -> None:
    world = World(seed=10, jobs=0, rate=0)
    with rig(world, database_url) as r:
        assert r.ok().counts.jobs_seen == 0
        assert r.ok().counts.jobs_seen == 0
        job_id = world.add({"status": "queued"})
        r.ok()
        assert list(r.jobs()) == [job_id]
        assert not r.rows("coverage_gaps")
