"""Jobs of one second come in another order at each request: a scan passes some of them unseen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from etl.errors import DatabaseBusy
from etl.extract import GatewayClient
from etl.load import store
from etl.pipeline import second_look
from etl.records import PageRequest, RawPage
from etl.simulator import World
from tests.support.rig import Rig, rig


def hide_from_scan(r: Rig, monkeypatch: pytest.MonkeyPatch, *hidden: str) -> None:
    """Pages of the scan's own size do not show these jobs; longer ones do."""
    ask = GatewayClient.page

    def asked(self: GatewayClient, request: PageRequest, **how: Any) -> RawPage:
        page = ask(self, request, **how)
        if request.limit > r.source.page_size:
            return page
        return replace(page, items=tuple(i for i in page.items if msgspec.json.decode(i)["id"] not in hidden))

    monkeypatch.setattr(GatewayClient, "page", asked)


def answer_with_nothing(r: Rig, monkeypatch: pytest.MonkeyPatch, after: set[str] | None = None) -> None:
    """Long pages behind these cursors (None: behind any) are empty, as if the list ended there."""
    ask = GatewayClient.page

    def asked(self: GatewayClient, request: PageRequest, **how: Any) -> RawPage:
        if request.after is None or (request.limit == r.source.page_size and after is None):
            return ask(self, request, **how)
        if after is not None and request.after not in after:
            return ask(self, request, **how)
        page = ask(self, replace(request, after=None), **how)
        return replace(
            page, request=request, items=(), has_more=False, first_id=None, last_id=None, leads_to=None
        )

    monkeypatch.setattr(GatewayClient, "page", asked)


def seconds_of_two(r: Rig) -> list[list[str]]:
    """Ids of the jobs of each second that has two, oldest first."""
    seconds: dict[Any, list[str]] = {}
    for job_id, row in r.jobs().items():
        seconds.setdefault(row["created_at"], []).append(job_id)
    return [ids for _, ids in sorted(seconds.items()) if len(ids) == 2]


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_a_job_that_its_whole_second_shows_is_not_missing(
    database_url: str, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    world = World(seed=41, jobs=60, rate=0, ties=0.9)
    with rig(world, database_url, settings={"page_size": 7, "order": order}) as r:
        r.ok()
        (gone, _), (hidden, _) = seconds_of_two(r)[3:5]
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


def test_a_cursor_that_nobody_knows_any_more_says_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway answers it with an empty page, as if the list ended there."""
    world = World(seed=41, jobs=200, rate=0, ties=0.9)
    with rig(world, database_url, settings={"page_size": 7}) as r:
        r.ok()
        hidden = [ids[0] for ids in seconds_of_two(r)[3:7]]
        hide_from_scan(r, monkeypatch, *hidden)
        answer_with_nothing(r, monkeypatch)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert [r.jobs()[job]["unlisted_at"] for job in hidden] == [None] * 4


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_more_seconds_than_are_asked_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    world = World(seed=41, jobs=800, rate=0, ties=0.9)
    with rig(world, database_url, settings={"page_size": 7, "order": order}) as r:
        r.ok()
        hidden = [ids[0] for ids in seconds_of_two(r)[3::25]]
        hide_from_scan(r, monkeypatch, *hidden)
        monkeypatch.setattr(second_look, "SECONDS", 2)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert [job for job in hidden if r.jobs()[job]["unlisted_at"] is not None] == []


def test_a_page_that_shows_later_seconds_is_asked_for_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(seed=41, jobs=400, rate=0, ties=0.9)
    with rig(world, database_url, settings={"page_size": 7}) as r:
        r.ok()
        hide_from_scan(r, monkeypatch, *(ids[0] for ids in seconds_of_two(r)[20:40]))
        result = r.reconcile()
        limits = [row["limit"] for row in r.rows("list_pages") if row["run_id"] == result.run_id]
        assert result.status == "ok" and 1 <= limits.count(100) <= 3, limits


@pytest.mark.parametrize("order", ["auto", "desc"])
@pytest.mark.parametrize(("burst", "gone"), [(40, 30), (6, 3)])
def test_part_of_the_oldest_second_ages_out(database_url: str, order: str, burst: int, gone: int) -> None:
    world = World(seed=41, jobs=60, rate=0, ties=0.0)
    born = world.expected()[0]["created_at"] - 1000
    ids = {world.add(created_at=born) for _ in range(burst)}
    with rig(world, database_url, settings={"page_size": 20, "order": order}) as r:
        r.ok()
        oldest = [job["id"] for job in world.expected() if job["id"] in ids]
        for job in oldest[:gone]:
            world.delete(job)
        result = r.reconcile()
        assert result.status == "ok", result.error
        reasons = [r.jobs()[job]["unlisted_reason"] for job in oldest]
        assert reasons == ["aged_out"] * gone + [None] * (burst - gone)


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_of_the_oldest_second_a_page_passes_one_unseen(
    database_url: str, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """What stands before it has aged out, and such a cursor is answered by an empty page."""
    world = World(seed=41, jobs=60, rate=0, ties=0.0)
    first = world.expected()[0]["created_at"]
    older = [world.add(created_at=first - 2000 + n) for n in range(5)]
    ids = {world.add(created_at=first - 1000) for _ in range(8)}
    with rig(world, database_url, settings={"page_size": 20, "order": order}) as r:
        r.ok()
        hidden, *rest = [job["id"] for job in world.expected() if job["id"] in ids]
        for job in older:
            world.delete(job)
        hide_from_scan(r, monkeypatch, hidden)
        answer_with_nothing(r, monkeypatch, after=set(older))
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert [r.jobs()[job]["unlisted_reason"] for job in older] == ["aged_out"] * 5
        assert [r.jobs()[job]["unlisted_reason"] for job in [hidden, *rest]] == [None] * 8


def test_suspicion_waits_for_a_busy_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written beside a batch, and as patiently."""
    world = World(seed=41, jobs=60, rate=0, ties=0.9)
    with rig(world, database_url, settings={"page_size": 7}) as r:
        r.ok()
        hide_from_scan(r, monkeypatch, seconds_of_two(r)[3][0])
        write, troubles = store.suspect_jobs, iter([DatabaseBusy("locked"), DatabaseBusy("locked")])

        def busy(*arguments: Any) -> None:
            if (trouble := next(troubles, None)) is not None:
                raise trouble
            write(*arguments)

        monkeypatch.setattr(store, "suspect_jobs", busy)
        answer_with_nothing(r, monkeypatch)
        assert r.reconcile().status == "ok"
        assert next(troubles, None) is None
