"""When another lane begins: where it brings pages sooner, and not where it would only be in the way."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from etl.pipeline.read_ahead import SAMPLE, Event, Pace, Readers
from etl.records import PageFacts, PageRequest, PageRows, RawPage
from etl.simulator import World
from tests.support.pages import NOW
from tests.support.rig import Rig, rig

REQUEST = PageRequest()
PAGE = PageRows(
    page=RawPage(REQUEST, (), None, None, False, None, NOW),
    jobs=(), rejects=(), unknown={}, cache=None, facts=PageFacts(), duplicates=0,
)  # fmt: skip


def after(pages: int, *, waited: float, took: float, worked: float) -> bool:
    """Each page so many seconds; nothing else takes time but the waiting."""
    pace = Pace(began=100.0)
    for _ in range(pages):
        pace.add(Event("old", REQUEST, PAGE, None, None, took, worked), waited)
    return pace.is_slow(now=100.0 + pages * took)


def test_a_slow_gateway_makes_hungry() -> None:
    assert after(SAMPLE, waited=0.02, took=0.02, worked=0.001)


def test_a_gateway_that_answers_at_once_does_not() -> None:
    assert not after(1000, waited=0.001, took=0.001, worked=0.0008)


def test_a_slow_database_does_not() -> None:
    assert not after(1000, waited=0.001, took=0.02, worked=0.001)


def test_few_pages_say_nothing() -> None:
    assert not after(SAMPLE - 1, waited=5.0, took=5.0, worked=0.001)


def test_the_end_of_a_lane_is_no_page() -> None:
    pace = Pace(began=0.0)
    for _ in range(SAMPLE):
        pace.add(Event("old", REQUEST), 1.0)
    assert not pace.is_slow(now=SAMPLE)


@pytest.mark.parametrize("hungry", [True, False])
@pytest.mark.parametrize("lanes", [1, 2])
def test_a_first_load_begins_at_its_other_end_when_hungry(
    database_url: str, monkeypatch: pytest.MonkeyPatch, hungry: bool, lanes: int
) -> None:
    monkeypatch.setattr(Readers, "hungry", hungry)
    world = World(seed=81, jobs=700, rate=0)
    with rig(world, database_url, settings={"first_load_lanes": lanes, "page_size": 10}) as r:
        r.ok()
        pages = Counter(page["order"] for page in r.rows("list_pages"))
        assert set(r.jobs()) == set(r.listed())
        r.assert_accounts()
    assert pages["desc"] > 10 if hungry and lanes == 2 else pages["desc"] == 1


@pytest.mark.parametrize(("hungry", "most"), [(True, 4), (False, 1)])
@pytest.mark.slow
def test_a_reconcile_reads_one_segment_after_the_other_or_many(
    database_url: str, monkeypatch: pytest.MonkeyPatch, hungry: bool, most: int
) -> None:
    monkeypatch.setattr(Readers, "hungry", hungry)
    asked, allowed, reading, at_once = 0, 1, 0, 0
    read, one_more = Readers._read_lane, Readers.one_more

    def allowing(self: Readers) -> None:
        nonlocal allowed
        allowed += 1
        one_more(self)

    def counting(self: Readers, *given: Any) -> Any:
        nonlocal asked, reading, at_once
        asked, reading = asked + 1, reading + 1
        at_once = max(at_once, reading)
        try:
            return read(self, *given)
        finally:
            reading -= 1

    with rig(World(seed=82, jobs=9000, rate=0), database_url, settings={"concurrency": 4}) as r:
        r.ok()
        monkeypatch.setattr(Readers, "_read_lane", counting)
        monkeypatch.setattr(Readers, "one_more", allowing)
        _reconciled(r)
    # Nine segments, and once more where the list ends: it must show its last job again.
    assert asked == 9 + 1 and allowed == most and at_once <= most


@pytest.mark.slow
def test_a_gateway_that_refuses_gets_no_more_requests_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[Readers] = []
    one_more = Readers.one_more
    monkeypatch.setattr(Readers, "one_more", lambda self: (allowed.append(self), one_more(self)))
    with rig(World(seed=83, jobs=9000, rate=0), database_url, settings={"max_attempts": 20}) as r:
        r.ok()
        r.sim.fault("rate_limited:times=1,on=list")
        busy = r.sim.fault("rate_limited:rate=0.3,on=list")
        _reconciled(r)
        assert len(allowed) < 4  # seven, where none is refused: the first one begins before any was asked
        busy.times = 0
        allowed.clear()
        _reconciled(r)
        assert len(allowed) == 7


def _reconciled(r: Rig) -> None:
    result = r.reconcile()
    assert result.status == "ok" and result.counts.jobs_unlisted == 0, result
    r.assert_accounts()
