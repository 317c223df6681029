"""The job that ended a page is deleted before the next page is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from etl.extract import GatewayClient
from etl.records import PageRequest, RawPage
from etl.simulator import World
from tests.support.rig import Rig, rig


def delete_behind(r: Rig, monkeypatch: pytest.MonkeyPatch, pages: int) -> list[str]:
    """The last job of the page with that number is deleted as soon as that page was read."""
    deleted: list[str] = []
    ask, seen = GatewayClient.page, 0

    def asked(self: GatewayClient, request: PageRequest, **how: Any) -> RawPage:
        nonlocal seen
        page = ask(self, request, **how)
        seen += 1
        if seen == pages:
            deleted.append(str(page.leads_to))
            r.world.delete(deleted[0])
        return page

    monkeypatch.setattr(GatewayClient, "page", asked)
    return deleted


@pytest.mark.parametrize("order", ["auto", "desc"])
@pytest.mark.parametrize("how", ["404", "410"])
def test_a_reconcile_goes_on_from_the_job_before_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch, order: str, how: str
) -> None:
    world = World(seed=31, jobs=60, rate=0)
    settings = {"page_size": 5, "order": order, "concurrency": 1}
    with rig(world, database_url, settings=settings) as r:
        r.sim.fault("dead_cursor", how=how)
        r.ok()
        deleted = delete_behind(r, monkeypatch, pages=4)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert set(r.listed()) == {job["id"] for job in world.expected()}
        assert r.jobs()[deleted[0]]["unlisted_reason"] == "missing"
        r.assert_accounts()


def test_a_tick_goes_on_from_the_job_before_it(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(seed=32, jobs=20, rate=30)
    with rig(world, database_url, settings={"page_size": 5}) as r:
        r.sim.fault("dead_cursor", how="410")
        r.ok()
        world.advance(3600)
        deleted = delete_behind(r, monkeypatch, pages=3)
        result = r.sync()
        assert result.status == "ok", result.error
        assert deleted and set(r.jobs()) >= {job["id"] for job in world.expected()}
