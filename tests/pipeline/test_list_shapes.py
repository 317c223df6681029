"""Lists of other make: limits capped silently, no word on whether more follows, cursors of another name.

What is listed is the world's own truth."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from etl.simulator import World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job
from tests.support.rig import Rig, rig

HOUR = 3600.0


@pytest.mark.parametrize("faults", ["", "no_has_more", "order_ignored", "no_has_more order_ignored"])
@pytest.mark.parametrize("sort", ["created", "id"])
@pytest.mark.parametrize(("cap", "ties"), [(2, 0.9), (3, 0.0), (7, 0.6), (20, 0.2)])
def test_a_silent_cap_is_ordinary(url_by_turns: str, faults: str, sort: str, cap: int, ties: float) -> None:
    world = World(seed=5, jobs=150, rate=40, cap=cap, sort=sort, ties=ties)
    with rig(world, url_by_turns, faults=faults.split()) as r:
        for _ in range(3):
            r.ok()
            r.assert_equals_gateway()
            world.advance(HOUR / 2)
        gone = [each["id"] for each in world.expected()][70]
        world.delete(gone)
        result = r.reconcile()
        assert result.status == "ok", result.error
        r.assert_equals_gateway()
        assert set(r.listed()) == {each["id"] for each in world.expected()}
        r.assert_accounts()


@pytest.mark.parametrize("faults", ["order_ignored", "order_ignored no_has_more", "no_has_more", ""])
def test_pages_of_one_job_are_read_in_their_order(url_by_turns: str, faults: str) -> None:
    world = World(seed=6, jobs=30, rate=10, cap=1)
    with rig(world, url_by_turns, faults=faults.split()) as r:
        for _ in range(3):
            r.ok()
            r.assert_equals_gateway()
            world.advance(HOUR / 2)


def test_a_capped_tick_with_nothing_new_is_two_requests(url_by_turns: str) -> None:
    """Without `has_more` a short page is no end by itself, as its cap may have been lowered: the list is
    asked for once more behind it."""
    world = World(seed=7, jobs=150, rate=0, cap=7)
    with rig(world, url_by_turns, faults=["no_has_more"]) as r:
        world.advance(48 * HOUR)
        r.ok()
        r.ok()
        before = len(r.sim.requests)
        r.ok()
        assert len(r.sim.requests) - before == 2


# cursors of another name


def wrapped(native: str) -> str:
    return f"video_{base64.b64encode(f'proxy:{native}'.encode()).decode()}"


class Rewriting:
    """A proxy that rewrites the ids of items alone. `unknown`: what it does with an item's id as a cursor."""

    def __init__(self, count: int, unknown: str) -> None:
        self.jobs = [job(number) for number in range(count)]
        self.unknown = unknown

    def __call__(self, ask: Ask) -> bytes:
        if ask.path != "/v1/videos":
            return answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        natives = [each["id"] for each in self.jobs]
        after = ask.query.get("after")
        if after is not None and after not in natives:
            if self.unknown == "refused":
                return answer(b'{"error":{"message":"no","param":"after"}}', status="400 Bad Request")
            if self.unknown == "empty":
                return answer(b'{"object":"list","data":[],"has_more":false}')
            del ask.query["after"]
        shown, more = ask.listed(self.jobs)
        ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {}
        items = [{**each, "id": wrapped(each["id"])} for each in shown]
        return answer(json.dumps({"object": "list", "data": items, "has_more": more, **ends}).encode())


@contextmanager
def proxied(listed: Rewriting, url: str) -> Iterator[Rig]:
    with RawGateway(listed) as raw:
        sim: Any = SimpleNamespace(
            world=World(jobs=1, start=1_767_200_000.0), gateway=raw, base_url=raw.base_url, requests=raw.asked
        )
        made = Rig(sim, url, page_size=20)
        with made.app:
            yield made


@pytest.mark.parametrize("unknown", ["refused", "empty", "first_page"])
def test_cursors_of_another_name_lead_on(migrated_url: str, unknown: str) -> None:
    listed = Rewriting(110, unknown)
    with proxied(listed, migrated_url) as r:
        for count in (110, 112, 170):
            listed.jobs = [job(number) for number in range(count)]
            r.ok()
            assert len(r.jobs()) == count
        assert r.reconcile().status == "ok"
        del listed.jobs[40]
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert set(r.listed()) == {wrapped(each["id"]) for each in listed.jobs}
        r.ok()
        r.assert_accounts()
