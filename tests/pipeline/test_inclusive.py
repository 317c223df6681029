"""Lists whose page behind a job begins with that job. What is listed is the test's own truth."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from etl.check import Probe
from etl.errors import RepeatedPage
from etl.extract import GatewayClient
from etl.records import PageRequest
from etl.simulator import World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.support.rig import Rig

UNREADABLE = b'{"error":{"message":"failed to unmarshal response from provider API"}}'


class Inclusive:
    """`says`: what it makes of has_more. `cap`: jobs on a page at most. `poison`: the id of a job that it
    cannot read itself."""

    def __init__(self, count: int, says: str = "right", cap: int = 100) -> None:
        self.jobs = [job(number) for number in range(count)]
        self.says, self.cap = says, cap
        self.poison: str | None = None

    def __call__(self, ask: Ask) -> bytes:
        if ask.path != "/v1/videos":
            return answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        jobs = self.jobs if ask.query.get("order") == "asc" else self.jobs[::-1]
        ids = [each["id"] for each in jobs]
        if (after := ask.query.get("after")) not in (None, *ids):
            return answer(b'{"error":{"message":"no","param":"after"}}', status="404 Not Found")
        start = 0 if after is None else ids.index(after)
        limit = min(self.cap, int(ask.query["limit"]))
        shown = jobs[start : start + limit]
        if self.poison in [each["id"] for each in shown]:
            return answer(UNREADABLE, status="500 Internal Server Error")
        more = {"right": start + limit < len(jobs), "never": False, "guess": len(shown) >= limit}
        return answer(page((shown, False), has_more=more.get(self.says)))


@contextmanager
def mirrored(listed: Inclusive, url: str, **settings: Any) -> Iterator[Rig]:
    with RawGateway(listed) as raw:
        sim: Any = SimpleNamespace(
            world=World(jobs=1, start=1_767_200_000.0), gateway=raw, base_url=raw.base_url, requests=raw.asked
        )
        made = Rig(sim, url, **{"page_size": 20, **settings})
        with made.app:
            yield made


def client_of(r: Rig) -> GatewayClient:
    return GatewayClient(
        r.source, clock=lambda: datetime.now(UTC), rng=random.Random(1), redact=lambda text: text
    )


def assert_mirrors(r: Rig, listed: Inclusive) -> None:
    rows = sorted(r.listed().values(), key=lambda row: row["list_position"])
    assert [row["job_id"] for row in rows] == [each["id"] for each in listed.jobs]
    r.assert_accounts()


SAYINGS = [(says, cap) for says in ("right", "absent", "never", "guess") for cap in (100, 7)]


@pytest.mark.parametrize(("says", "cap"), SAYINGS)
def test_it_is_mirrored(url_by_turns: str, says: str, cap: int) -> None:
    listed = Inclusive(110, says, cap)
    with mirrored(listed, url_by_turns) as r:
        for count in (110, 112, 170):
            listed.jobs = [job(number) for number in range(count)]
            r.ok()
            assert_mirrors(r, listed)
        assert r.reconcile().status == "ok"
        del listed.jobs[40]
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert_mirrors(r, listed)
        assert r.jobs()[job(40)["id"]]["unlisted_reason"] == "missing"


def test_a_tick_with_nothing_new_is_one_request(url_by_turns: str) -> None:
    with mirrored(Inclusive(50), url_by_turns) as r:
        r.ok()
        r.ok()
        before = len(r.sim.requests)
        r.ok()
        assert len(r.sim.requests) - before == 1


@pytest.mark.parametrize("says", ["right", "absent", "guess"])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_it_grows_from_nothing(url_by_turns: str, says: str, size: int) -> None:
    listed = Inclusive(0, says)
    with mirrored(listed, url_by_turns, page_size=size) as r:
        for count in (0, 1, 2, 3, 5):
            listed.jobs = [job(number) for number in range(count)]
            r.ok()
            assert_mirrors(r, listed)
        result = r.reconcile()
        assert result.status == "ok", result.error


@pytest.mark.parametrize("place", [1, 19, 20, 37, 60, 109])
@pytest.mark.parametrize("loaded", [False, True])
def test_a_record_that_nobody_can_read_costs_that_record(url_by_turns: str, place: int, loaded: bool) -> None:
    listed = Inclusive(111)
    with mirrored(listed, url_by_turns) as r:
        if loaded:
            r.ok()
            listed.jobs += [job(number) for number in range(111, 200)]
            place += 89
        listed.poison = job(place)["id"]
        r.sync()
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert set(r.listed()) == {each["id"] for each in listed.jobs} - ({listed.poison} - set(r.jobs()))
        assert len(r.rows("rejected_items")) == 1
        r.assert_accounts()


def test_what_can_show_one_job_only_fails_by_name(url_by_turns: str) -> None:
    """Nothing ever stands behind the job that is shown again."""
    with mirrored(Inclusive(3, "absent", cap=1), url_by_turns) as r:
        assert isinstance(r.sync().error, RepeatedPage)


def test_a_list_that_ignores_its_cursor_is_none(migrated_url: str) -> None:
    """Behind its first job it shows just such a page."""
    jobs = [job(number) for number in range(3)]
    with RawGateway(lambda ask: answer(page((jobs, False)))) as raw:
        sim: Any = SimpleNamespace(world=World(jobs=1), base_url=raw.base_url, requests=raw.asked)
        with client_of(Rig(sim, migrated_url)) as client:
            behind = client.page(PageRequest(jobs[0]["id"], "asc", 3))
            assert not behind.again and not client.inclusive.known
            assert not client.page(PageRequest(jobs[0]["id"], "asc", 3)).again
            assert len(raw.asked) == 3  # the doubt is asked about once


def test_check_says_that_its_cursor_works(migrated_url: str) -> None:
    with mirrored(Inclusive(5), migrated_url) as r:
        with client_of(r) as gateway:
            (found,) = [each for each in Probe(r.source, gateway).findings() if each.what == "cursor"]
        assert found.good, found
