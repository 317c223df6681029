"""A full scan: changes and disappearances found, and a scan that looks wrong refused."""

from __future__ import annotations

from etl.simulator import World
from tests.support.rig import rig

HOUR = 3600.0


def test_jobs_that_vanish_in_the_middle_are_unlisted_and_may_come_back(database_url: str) -> None:
    world = World(seed=20, jobs=3000, rate=0)
    with rig(world, database_url) as r:
        r.ok()
        world.advance(48 * HOUR)
        r.ok()
        gone = [world.id_at(i) for i in (700, 1500, 1501, 2999)]
        for job_id in gone:
            world.delete(job_id)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert result.counts.jobs_unlisted == len(gone)
        jobs = r.jobs()
        assert {i for i, row in jobs.items() if row["unlisted_at"]} == set(gone)
        assert {jobs[i]["unlisted_reason"] for i in gone} == {"missing"}
        r.assert_accounts()
        again = r.reconcile()
        assert again.counts.jobs_unlisted == 0 and again.counts.jobs_updated == 0


def test_a_list_that_forgets_its_oldest_jobs(database_url: str) -> None:
    world = World(seed=21, jobs=400, rate=60, retention=8 * HOUR)
    with rig(world, database_url) as r:
        r.ok()
        world.advance(2 * HOUR)
        r.ok()
        result = r.reconcile()
        assert result.status == "ok", result.error
        listed = {job["id"] for job in world.expected()}
        assert set(r.listed()) == listed
        reasons = {row["unlisted_reason"] for i, row in r.jobs().items() if i not in listed}
        assert reasons <= {"aged_out"}


def test_a_changed_settled_job_is_found(database_url: str) -> None:
    world = World(seed=22, jobs=200, rate=0)
    with rig(world, database_url) as r:
        world.advance(48 * HOUR)
        r.ok()
        r.ok()
        world.update(world.id_at(50), expires_at=2_000_000_000)
        assert r.ok().counts.jobs_updated == 0
        assert r.reconcile().counts.jobs_updated == 1
        r.assert_equals_gateway()


def test_an_empty_list_is_refused_and_marks_nothing(database_url: str) -> None:
    world = World(seed=23, jobs=200, rate=0)
    with rig(world, database_url) as r:
        r.ok()
        r.sim.fault("shrunk")
        result = r.reconcile()
        assert result.status == "failed"
        assert type(result.error).__name__ == "SuspiciousScan"
        advice = f"bifrost-etl reconcile {result.source} --accept-suspicious"
        assert advice in (result.error.hint or "")  # type: ignore[union-attr]
        assert len(r.listed()) == 200


def test_a_list_that_forgot_everything_is_believed_when_a_person_says_so(database_url: str) -> None:
    world = World(seed=26, jobs=9, rate=0, retention=20 * HOUR)
    with rig(world, database_url, settings={"page_size": 1}) as r:
        r.ok()
        world.advance(30 * HOUR)
        assert r.reconcile().status == "failed"
        assert len(r.listed()) == 9
        assert r.reconcile(accept_suspicious=True).counts.jobs_unlisted == 9
        assert {row["unlisted_reason"] for row in r.jobs().values()} == {"unknown"}


def test_another_accounts_pages_are_refused(database_url: str) -> None:
    world = World(seed=24, jobs=2500, rate=0)
    with rig(world, database_url) as r:
        r.ok()
        r.sim.fault("other_account")
        result = r.reconcile()
        assert result.status == "failed", result
        assert all(row["unlisted_at"] is None for row in r.jobs().values())


def test_reconcile_reads_in_parallel_and_misses_nothing_that_arrives(database_url: str) -> None:
    world = World(seed=25, jobs=5000, rate=0)
    with rig(world, database_url, settings={"concurrency": 4}) as r:
        r.ok()
        new = [world.add({"prompt": str(n)}) for n in range(20)]
        assert r.reconcile().status == "ok"
        assert set(new) <= set(r.jobs())
        r.assert_accounts()


def test_a_reconcile_of_an_unfinished_first_load_reads_again_what_that_had_read(database_url: str) -> None:
    world = World(seed=29, jobs=60, rate=0)
    with rig(world, database_url, settings={"page_size": 10, "first_load_lanes": 1}) as r:
        r.sim.fault("upstream_500:skip=5,times=9")
        assert r.sync().status == "failed"
        stored = list(r.jobs())
        assert 20 < len(stored) < 60
        r.sim.clear_faults()
        changed, gone = stored[4], stored[7]
        world.update(changed, expires_at=2_000_000_000)
        world.delete(gone)
        result = r.reconcile()
        assert (result.status, result.kind) == ("ok", "reconcile"), result.error
        r.assert_equals_gateway()
        assert r.jobs()[gone]["unlisted_reason"] == "missing"
        r.assert_accounts()
        runs = [(run["kind"], run["status"]) for run in r.rows("sync_runs")]
        assert runs == [("first", "failed"), ("first", "ok"), ("reconcile", "ok")]
