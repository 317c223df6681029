"""A gateway that says `has_more: false` on every page, the first of many included."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from etl.errors import ServerFault
from etl.extract import GatewayClient
from etl.pipeline.more_said import MoreSaid
from etl.records import Order, PageRequest, PageRows, RawPage
from etl.simulator import World
from etl.transform import Options, transform_page
from tests.support.rig import Rig, rig


def say_no_more(monkeypatch: pytest.MonkeyPatch, *, fails_behind: set[str | None] | None = None) -> None:
    """Behind `fails_behind` it answers 503, however often it is asked."""
    ask = GatewayClient.page

    def asked(self: GatewayClient, request: PageRequest, **how: Any) -> RawPage:
        if fails_behind and request.after in fails_behind:
            raise ServerFault("unavailable", status=503)
        return replace(ask(self, request, **how), has_more=False)

    monkeypatch.setattr(GatewayClient, "page", asked)


def add(r: Rig, count: int) -> list[str]:
    return [str(r.world.add({"prompt": f"job {number}", "status": "completed"})) for number in range(count)]


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_a_cap_that_is_lowered_hides_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    say_no_more(monkeypatch)
    with rig(World(seed=51, jobs=250, rate=0), database_url, settings={"order": order}) as r:
        r.ok()
        r.sim.fault("limit_ignored", limit=20)
        add(r, 70)
        r.ok()
        assert len(r.listed()) == 320


def test_an_end_that_cannot_be_asked_behind_fails_the_tick(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(World(seed=52, jobs=10, rate=0), database_url, settings={"page_size": 5}) as r:
        r.ok()
        known, fails = set(r.jobs()), set[str | None]()
        say_no_more(monkeypatch, fails_behind=fails)
        ids = [job["id"] for job in (add(r, 12), r.world.expected())[1] if job["id"] not in known]
        fails.update(ids[3:])
        assert r.sync().status == "failed"
        fails.clear()
        r.ok()
        assert len(r.listed()) == 22


def page(after: str | None, *ids: str, more: bool = False, order: Order = "asc") -> PageRows:
    items = tuple(f'{{"id":"{each}","object":"video"}}'.encode() for each in ids)
    raw = RawPage(
        PageRequest(after, order, 2), items, None, None, more, None, datetime(2026, 1, 1, tzinfo=UTC)
    )
    return transform_page(raw, Options(), source_provider=None)


def heard(*pages: PageRows) -> bool:
    more = MoreSaid()
    for rows in pages:
        more.heard(rows)
    return more.is_constant


def test_two_ends_behind_which_the_list_goes_on_are_proof() -> None:
    assert heard(page(None, "a", "b"), page("a", "b", "c"), page("b", "c", "d"))
    assert heard(page(None, "a", "b"), page("b", "c", "d"), page("d", "e"))


def test_one_job_that_came_since_is_none() -> None:
    assert not heard(page(None, "a", "b"), page("a", "b", "c"), page("b", "c"))


def test_the_same_page_again_and_the_other_order_are_none() -> None:
    first = page(None, "a", "b")
    assert not heard(first, first, page("b", "a", "b"), page(None, "b", "a", order="desc"), first)


def test_who_says_once_that_more_follows_is_believed() -> None:
    lies = (page(None, "a", "b"), page("a", "b", "c"), page("b", "c", "d"))
    assert not heard(*lies, page("c", "d", "e", more=True))
