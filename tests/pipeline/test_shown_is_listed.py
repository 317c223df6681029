"""What a scan has shown is listed, wherever it is stored: lists whose ties moved, and lies, have left jobs at
places that contradict the list, and then other lanes, or the same one begun anew, pass them unseen."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib import import_module
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from etl.extract import GatewayClient
from etl.records import PageRequest, RawPage
from etl.schema.tables import video_jobs
from etl.simulator import World
from tests.support.rig import Rig, rig


def misplace(r: Rig, chance: random.Random, pairs: int) -> None:
    """Jobs that are far from each other change places."""
    places = {job_id: row["list_position"] for job_id, row in r.jobs().items()}
    chosen = chance.sample(sorted(places), 2 * pairs)
    moves = {a: places[b] for a, b in zip(chosen, [*chosen[1:], chosen[0]], strict=True)}
    with r.app.engine.begin() as conn:
        for job_id, place in moves.items():
            conn.execute(
                sa.update(video_jobs).where(video_jobs.c.job_id == job_id).values(list_position=place)
            )


def delete(world: World, chance: random.Random, count: int) -> set[str]:
    gone = set(chance.sample(sorted(job["id"] for job in world.expected()), count))
    for job_id in gone:
        world.delete(job_id)
    return gone


def unlisted(r: Rig) -> set[str]:
    return {job_id for job_id, row in r.jobs().items() if row["unlisted_at"] is not None}


@pytest.mark.parametrize("order", ["auto", "desc"])
@pytest.mark.parametrize("seed", range(5))
def test_only_what_the_list_does_not_show_is_missing(
    database_url: str, monkeypatch: pytest.MonkeyPatch, order: str, seed: int
) -> None:
    chance, world = random.Random(seed), World(seed=seed, jobs=240, rate=0, ties=0.1)
    monkeypatch.setattr(import_module("etl.pipeline.reconcile"), "MIN_SEGMENT", 20)
    with rig(world, database_url, settings={"page_size": 7, "order": order, "concurrency": 3}) as r:
        r.ok()
        misplace(r, chance, 6)
        gone = delete(world, chance, 5)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert unlisted(r) <= gone
        assert r.reconcile().status == "ok"
        assert unlisted(r) == gone
        r.assert_equals_gateway()
        r.assert_accounts()


def test_the_oldest_job_is_put_elsewhere_while_a_scan_is_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time of creation is put right. What the scan has shown before is no older than the oldest job."""
    world = World(seed=3, jobs=120, rate=0, ties=0.0)
    listed = world.expected()
    oldest, amid = listed[0], listed[29]["created_at"]
    with rig(world, database_url, settings={"page_size": 7, "concurrency": 1}) as r:
        r.ok()
        ask, moved = GatewayClient.page, msgspec.json.encode({**oldest, "created_at": amid})

        def asked(self: GatewayClient, request: PageRequest, **how: Any) -> RawPage:
            page = ask(self, request, **how)
            if request.after != listed[27]["id"]:
                return page
            return replace(page, items=(*page.items[:2], moved, *page.items[2:]))

        monkeypatch.setattr(import_module("etl.pipeline.run"), "PAGES_PER_BATCH", 1)
        monkeypatch.setattr(GatewayClient, "page", asked)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert unlisted(r) == set()


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_what_nobody_can_read_is_not_missing_where_it_is_stored(database_url: str, order: str) -> None:
    """The record became unreadable after ties had moved it; another job beside its wrong place is gone."""
    world = World(seed=3, jobs=120, rate=0, ties=0.0, version="1.5")
    ids = [job["id"] for job in world.expected()]
    with rig(world, database_url, settings={"page_size": 7, "order": order}) as r:
        r.ok()
        move_between(r, ids[80], ids[30], ids[31])
        world.update(ids[80], seconds=8)
        world.delete(ids[32])
        result = r.reconcile()
        assert (result.status, result.gaps) == ("ok", 1), result.error
        assert unlisted(r) == {ids[32]}
        r.assert_accounts()


def move_between(r: Rig, job_id: str, low: str, high: str) -> None:
    place = (r.jobs()[low]["list_position"] + r.jobs()[high]["list_position"]) // 2
    with r.app.engine.begin() as conn:
        conn.execute(sa.update(video_jobs).where(video_jobs.c.job_id == job_id).values(list_position=place))


def test_a_scan_that_fails_is_over(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list ignores its cursor by now: it is read as a window in the same run, and that is no scan."""
    world = World(seed=3, jobs=60, rate=0, ties=0.0)
    with rig(world, database_url, settings={"page_size": 7}) as r:
        r.ok()
        ask = GatewayClient.page

        def asked(self: GatewayClient, request: PageRequest, **how: Any) -> RawPage:
            page = ask(self, replace(request, after=None), **how)
            return replace(page, request=request)

        monkeypatch.setattr(GatewayClient, "page", asked)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert unlisted(r) == set()
