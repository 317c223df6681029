"""Lists that misbehave in ways that times of creation, or one answer, cannot tell. Verdicts by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etl.pipeline import run
from tests.reliability.raw_gateway import Ask, answer, job, page
from tests.reliability.test_strange_lists import List, jobs, reading

START = 1_767_000_000
SUFFIX = ":openai"


@pytest.fixture
def url(url_by_turns: str) -> str:
    return url_by_turns


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("command", ["sync", "reconcile"])
@pytest.mark.parametrize("turned", [range(60), range(50, 60), range(10), range(20, 40)])
def test_times_that_contradict_a_list_that_keeps_order(
    url: str, command: str, lanes: int, turned: range
) -> None:
    """Jobs of an import carry times that fall where the list rises. It turned round when it was asked to."""
    listed = List([job(n, created_at=START + 10 * n) for n in range(60)])
    for n in turned:
        listed.jobs[n]["created_at"] = START + 10 * (turned.start + turned.stop - 1 - n)
    with reading(listed, url, page_size=10, first_load_lanes=lanes) as r:
        assert (r.sync() if command == "sync" else r.reconcile()).error is None
        listed.jobs.append(job(60))
        r.ok()
        assert list_order(r) == [each["id"] for each in listed.jobs]
        (state,) = r.rows("sync_state")
        assert state["list_order"] is None
        del listed.jobs[30]
        assert r.reconcile().error is None
        assert [row["job_id"] for row in r.rows("video_job_versions", op="unlist")] == ["video_00030:openai"]
        assert not r.rows("coverage_gaps")


def list_order(r: Any) -> list[str]:
    stored = r.jobs()
    return sorted(stored, key=lambda job_id: stored[job_id]["list_position"])


class NewestOnly(List):
    """Whatever cursor it is sent, it shows its newest jobs, and says that there is nothing behind them."""

    def __call__(self, ask: Ask) -> bytes:
        ask.query.pop("after", None)
        ask.query["order"] = "desc"
        self.members["has_more"] = False
        return super().__call__(ask)


def test_a_list_that_ignores_its_cursor_proves_nothing_by_ending(url: str) -> None:
    """Jobs that its one page does not show any more were called aged out, and it was green."""
    listed = NewestOnly(jobs(0, 12))
    with reading(listed, url, page_size=10) as r:
        for last in range(12, 30, 4):
            listed.jobs = jobs(0, last)
            r.sync()
            r.reconcile()
        assert not r.rows("video_job_versions", op="unlist")
        assert list_order(r) == [each["id"] for each in jobs(2, 28)]
        assert r.sync().status == "ok"


def test_a_whole_list_without_pages_stays_green(url: str) -> None:
    listed = NewestOnly(jobs(0, 3))
    with reading(listed, url, page_size=20) as r:
        r.ok()
        listed.jobs = jobs(0, 6)
        r.ok()
        r.reconcile()
        assert len(r.jobs()) == 6
        assert not [gap for gap in r.rows("coverage_gaps") if gap["accepted_at"] is None]


class Decoding(List):
    """Its passthrough shows what it cannot decode, and odd items beside."""

    def __call__(self, ask: Ask) -> bytes:
        if not ask.path.startswith("/openai_passthrough"):
            return super().__call__(ask)
        native = [{**each, "id": each["id"].removesuffix(SUFFIX)} for each in self.jobs]
        if (name := ask.path.partition("/v1/videos/")[2]) != "":
            return answer(json.dumps(next(each for each in native if each["id"] == name)).encode())
        return answer(page(ask.listed(native)))


def test_an_odd_item_beside_an_unreadable_record_does_not_close_the_passthrough(url: str) -> None:
    """The run had failed for ever: a page with an item that is no job counted for nothing."""
    listed = Decoding(jobs(0, 40))
    listed.unreadable = {"video_00020:openai"}
    with reading(listed, url, page_size=10, provider="openai", passthrough="auto") as r:
        assert r.sync().error is None
        listed.jobs = [*jobs(0, 42), {"object": "video", "id": ""}, *jobs(42, 45)]
        listed.unreadable = {"video_00041:openai", "video_00043:openai"}
        for result in (r.sync(), r.reconcile(), r.sync()):
            assert result.error is None
        assert list_order(r) == [each["id"] for each in jobs(0, 45)]
        assert not r.rows("coverage_gaps")
        assert len(r.rows("rejected_items")) > 0


@pytest.mark.parametrize("bad", range(38, 45))
def test_a_record_that_cannot_be_read_beside_the_newest_job(url: str, bad: int) -> None:
    """What follows it was shown from above: each reconcile had asked for the last job in vain, and failed."""
    listed = List(jobs(0, 45))
    listed.unreadable = {f"video_{bad:05d}:openai"}
    with reading(listed, url, page_size=10) as r:
        assert [result.error for result in (r.sync(), r.reconcile(), r.sync())] == [None] * 3
        listed.unreadable.add(f"video_{bad - 2:05d}:openai")
        assert [result.error for result in (r.reconcile(), r.sync(), r.reconcile())] == [None] * 3
        assert len(r.jobs()) == 44
        assert r.rows("coverage_gaps") and not r.rows("video_job_versions", op="unlist")


class NewestFirst(List):
    def __call__(self, ask: Ask) -> bytes:
        ask.query["order"] = "desc"
        return super().__call__(ask)


@pytest.mark.parametrize("kind", [List, NewestFirst])
def test_a_list_that_never_says_that_more_follows_is_read_to_its_end(
    url: str, kind: type[List], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick had stopped after two full pages, or where it had just committed one, and was green."""
    monkeypatch.setattr(run, "PAGES_PER_BATCH", 2)
    listed = kind(jobs(0, 45))
    listed.members["has_more"] = False
    with reading(listed, url, page_size=10) as r:
        for count in (45, 145, 175, 260):
            listed.jobs = jobs(0, count)
            r.ok()
            assert list_order(r) == [each["id"] for each in listed.jobs]
        assert not r.rows("coverage_gaps")
        asked = len(r.sim.requests)
        r.ok()
        assert len(r.sim.requests) - asked <= 2
