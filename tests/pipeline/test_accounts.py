"""Several accounts behind one provider. A gateway from 2.0 on names the one that
answered; an older one does not.

The truth is the gateway's own: whose job is whose, and what is listed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etl.errors import AnotherAccount, Forbidden
from etl.extract import GatewayClient
from etl.records import RawPage
from etl.simulator import World
from etl.simulator.faults import make_fault
from etl.simulator.world import Listing
from tests.support.rig import Rig, rig

HOUR = 3600.0


class OneOrganisation(World):
    """Every key is one of the same account."""

    def page(self, *, account: int | None = None, **asked: Any) -> Listing:
        return super().page(account=None, **asked)

    def raw(self, id: str, account: int | None = None, now: float | None = None) -> bytes | None:
        return super().raw(id, None, now)


def falsely_unlisted(r: Rig) -> set[str]:
    """Jobs that are still listed, and were ever said not to be."""
    said = {row["job_id"] for row in r.rows("video_job_versions", op="unlist")}
    return said & {job["id"] for job in r.world.expected()}


def account_of(r: Rig, key: str) -> set[str]:
    return {job["id"] for job in r.world.expected(account=key)}


@pytest.mark.parametrize("version", ["1.4", "1.5", "2.0", "2.1"])
@pytest.mark.parametrize("seed", range(3))
def test_no_run_concludes_across_accounts(url_by_turns: str, version: str, seed: int) -> None:
    world = World(seed=80 + seed, jobs=300, rate=30, accounts=2, version=version)
    settings = {"open_job_patience": 60.0, "page_size": 40}
    with rig(world, url_by_turns, settings=settings) as r:
        for turn in range(6):
            r.sync() if turn % 3 else r.reconcile()
            world.advance(HOUR)
        assert not falsely_unlisted(r)
        r.assert_accounts()


def test_the_account_that_answers_is_named_kept_and_read_alone(migrated_url: str) -> None:
    world = World(seed=84, jobs=300, rate=0, accounts=2, version="2.0")
    with rig(world, migrated_url, settings={"page_size": 20}) as r:
        result = r.sync()
        assert result.status == "failed"
        assert "key-1" in str(result.error) and "key-2" in str(result.error)
        assert "key_name" in (getattr(result.error, "hint", None) or "")
        pages = r.rows("list_pages")
        own = {page["account"] for page in pages if page["accepted"]}
        assert len(own) == 1 and {page["account"] for page in pages} <= {"key-1", "key-2"}
        mirrored = account_of(r, own.pop())
        assert set(r.jobs()) <= mirrored, (
            "nothing of the other account is stored, whatever chance asked for first"
        )
        assert r.sync().status == "failed", "until the source is pinned"
        assert set(r.jobs()) == mirrored
        assert not r.rows("unknown_fields")


def test_two_keys_of_one_account_are_one_source(migrated_url: str) -> None:
    """Weighted keys of the same organisation: both show the same jobs."""
    world = OneOrganisation(seed=85, jobs=300, rate=30, accounts=2, version="2.0")
    with rig(world, migrated_url, settings={"page_size": 20}) as r:
        for _ in range(3):
            r.ok()
            world.advance(HOUR)
        r.ok()
        r.assert_equals_gateway()
        assert {page["account"] for page in r.rows("list_pages", accepted=True)} == {"key-1", "key-2"}
        known = json.loads(r.rows("sync_state")[0]["learned"])
        assert set(known["accounts"]) == {"key-1", "key-2"}


def test_a_source_pinned_to_another_account_than_filled_it_is_refused(migrated_url: str) -> None:
    world = World(seed=86, jobs=200, rate=0, accounts=2, version="2.0")
    with rig(world, migrated_url, settings={"key_name": "key-1"}) as r:
        r.ok()
    with rig(world, migrated_url, settings={"key_name": "key-2"}) as r:
        for result in (r.sync(), r.reconcile(), r.reconcile(accept_suspicious=True)):
            assert result.status == "failed"
            assert "key-1" in str(result.error) and "key-2" in str(result.error)
        assert set(r.jobs()) == account_of(r, "key-1")
        assert not r.rows("video_job_versions", op="unlist")


def test_a_404_by_id_outweighs_no_list(migrated_url: str) -> None:
    """Below 2.0: by id the other account answers, while the list shows the job."""
    world = World(seed=87, jobs=120, rate=0, version="1.5")
    with rig(world, migrated_url, settings={"open_job_patience": 60.0}) as r:
        stuck = [job["id"] for job in world.expected()][:30]
        for job_id in stuck:
            world.update(job_id, status="in_progress", completed_at=None, progress=10)
        r.ok()
        world.advance(HOUR)
        r.sim.gateway.faults.add(make_fault("not_found", {"on": "job"}))
        r.ok()
        assert set(r.listed()) == {job["id"] for job in world.expected()}
        for job_id in stuck:
            world.update(job_id, status="completed", progress=100)
        for _ in range(3):
            r.ok()
        assert {r.jobs()[job_id]["status"] for job_id in stuck} == {"completed"}


def test_a_job_that_is_gone_from_list_and_by_id_is_unlisted(migrated_url: str) -> None:
    world = World(seed=88, jobs=120, rate=0, version="1.5")
    with rig(world, migrated_url, settings={"open_job_patience": 60.0}) as r:
        gone = [job["id"] for job in world.expected()][40]
        world.update(gone, status="in_progress", completed_at=None, progress=10)
        r.ok()
        world.advance(HOUR)
        world.delete(gone)
        r.ok()
        assert r.jobs()[gone]["unlisted_at"] is not None
        ops: list[Any] = [row["op"] for row in r.rows("video_job_versions", job_id=gone)]
        assert ops == ["insert", "unlist"]


def test_a_key_renewed_under_another_name_is_the_same_account(migrated_url: str) -> None:
    world = World(seed=89, jobs=250, rate=30, accounts={"old": 1.0}, version="2.0")
    with rig(world, migrated_url) as r:
        r.ok()
        world.advance(HOUR)
        world.accounts = {"new": 1.0}
        r.ok()
        r.ok()
        r.assert_equals_gateway()
        assert set(json.loads(r.rows("sync_state")[0]["learned"])["accounts"]) == {"old", "new"}


def test_a_second_account_that_is_taken_away_ends_the_alarm(migrated_url: str) -> None:
    world = World(seed=90, jobs=250, rate=0, accounts=2, version="2.0")
    with rig(world, migrated_url, settings={"page_size": 20}) as r:
        assert r.sync().status == "failed"
        assert r.sync().status == "failed"  # though the own key alone was asked
        own = r.rows("list_pages", accepted=True)[0]["account"]
        world.accounts = {name: weight for name, weight in world.accounts.items() if name == own}
        r.sync()
        r.ok()


@pytest.mark.parametrize("seed", range(2))
def test_pinned_as_the_error_says_the_source_is_whole(migrated_url: str, seed: int) -> None:
    world = World(seed=91 + seed, jobs=250, rate=30, accounts=2, version="2.0")
    with rig(world, migrated_url, settings={"page_size": 20}) as r:
        assert r.sync().status == "failed"
        own = r.rows("list_pages", accepted=True)[0]["account"]
    world.advance(HOUR)
    with rig(world, migrated_url, settings={"page_size": 20, "key_name": own}) as r:
        r.ok()
        assert r.reconcile().status == "ok"
        assert set(r.listed()) == account_of(r, own)


def test_keys_of_one_account_that_were_taken_for_two(migrated_url: str) -> None:
    """Once, while its jobs could not be read by id, key-2 seemed to be another account; they are our own."""
    world = OneOrganisation(seed=93, jobs=120, rate=0, accounts=2, version="2.0")
    with rig(world, migrated_url, settings={"page_size": 20}) as r:
        r.ok()
        wrongly = '{"accounts": ["key-1"], "other_accounts": ["key-2"]}'
        with r.app.engine.begin() as conn:
            conn.exec_driver_sql(f"UPDATE sync_state SET learned = '{wrongly}'")
        r.sync()
        r.ok()
        assert set(r.listed()) == {job["id"] for job in world.expected()}
        known = json.loads(r.rows("sync_state")[0]["learned"])
        assert set(known["accounts"]) == {"key-1", "key-2"} and "other_accounts" not in known


def test_a_key_whose_jobs_cannot_be_read_by_id_is_not_passed_over(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing proves that the other key is of another account; but none of its newest jobs is stored."""

    def barred(*_: Any, **__: Any) -> RawPage:
        raise Forbidden("videos cannot be retrieved with this key", status=403)

    monkeypatch.setattr(GatewayClient, "job", barred)
    world = World(seed=84, jobs=300, rate=0, accounts=2, version="2.0")
    with rig(world, migrated_url, settings={"page_size": 20}) as r:
        result = r.sync()
        assert isinstance(result.error, AnotherAccount), result
        assert "key_name" in (result.error.hint or "")
