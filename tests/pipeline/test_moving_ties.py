"""Jobs of one second come in another order at each request: a scan passes some of them unseen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from etl.extract import GatewayClient
from etl.records import PageRequest, RawPage
from etl.simulator import World
from tests.support.rig import Rig, rig


def hide_from_scan(r: Rig, monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    """Pages of the scan's own size do not show this job; longer ones do."""
    ask = GatewayClient.page

    def asked(self: GatewayClient, request: PageRequest, **how: Any) -> RawPage:
        page = ask(self, request, **how)
        if request.limit > r.source.page_size:
            return page
        return replace(page, items=tuple(i for i in page.items if msgspec.json.decode(i)["id"] != hidden))

    monkeypatch.setattr(GatewayClient, "page", asked)


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_a_job_that_its_whole_second_shows_is_not_missing(
    database_url: str, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    world = World(seed=41, jobs=60, rate=0, ties=0.9)
    with rig(world, database_url, settings={"page_size": 7, "order": order}) as r:
        r.ok()
        seconds: dict[Any, list[str]] = {}
        for job_id, row in r.jobs().items():
            seconds.setdefault(row["created_at"], []).append(job_id)
        (gone, _), (hidden, _) = [ids for ids in seconds.values() if len(ids) == 2][3:5]
        world.delete(gone)
        hide_from_scan(r, monkeypatch, hidden)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert r.jobs()[gone]["unlisted_reason"] == "missing"
        assert r.jobs()[hidden]["unlisted_at"] is None
        assert r.jobs()[hidden]["suspect_run_id"] is None
        r.assert_accounts()


def test_a_job_that_only_its_whole_second_shows_is_stored(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another job of its second is gone, so the scan looks there again; that page stands in the page log."""
    world = World(seed=41, jobs=60, rate=0, ties=0.9)
    newest = world.expected()[-1]["created_at"] + 60
    gone, hidden, _, _ = [world.add(created_at=moment) for moment in (newest, newest, newest, newest + 1)]
    with rig(world, database_url, settings={"page_size": 7}) as r:
        hide_from_scan(r, monkeypatch, hidden)
        r.ok()
        assert len(r.jobs()) == 63 and hidden not in r.jobs()
        world.delete(gone)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert r.jobs()[gone]["unlisted_reason"] == "missing"
        assert r.jobs()[hidden]["unlisted_at"] is None
        limits = [row["limit"] for row in r.rows("list_pages") if row["run_id"] == result.run_id]
        assert len(limits) == result.counts.pages and max(limits) == 100
        r.assert_accounts()
