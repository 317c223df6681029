"""Lists whose cursors are no ids, but offsets that `last_id` or `next_cursor` tell."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from etl.extract.cursors import Cursors
from etl.pipeline.run import Run
from etl.pipeline.shifted import look_over
from etl.records import PageRequest, RawPage
from etl.simulator import World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job
from tests.support.rig import Rig


class Offsets:
    """`said`: where it tells the next cursor. `more`: whether it says has_more. `strict`: it refuses ids, and
    does not begin again. `down`: it lists newest first, whatever it is asked."""

    def __init__(self, said: str, *, more: bool = True, strict: bool = True, down: bool = False) -> None:
        self.jobs = [job(number) for number in range(3)]
        self.said, self.more, self.strict, self.down = said, more, strict, down
        self.deletes: tuple[int, range] | None = (
            None  # once a page this far on was shown: these jobs, by place
        )

        self.goes_round = 0  # so often it leads to its second page

    def __call__(self, ask: Ask) -> bytes:
        if ask.path != "/v1/videos":
            return answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        after, limit, start = ask.query.get("after", ""), int(ask.query["limit"]), 0
        try:
            start = int(base64.b64decode(after, validate=True) or b"0")
        except ValueError:
            if self.strict:
                return answer(b'{"detail":"not a cursor"}', status="422 Unprocessable Entity")
        if self.goes_round and start:
            self.goes_round, start = self.goes_round - 1, limit
        oldest_first = ask.query.get("order") == "asc" and not self.down
        jobs = self.jobs if oldest_first else self.jobs[::-1]
        shown, end = jobs[start : start + limit], start + limit
        if self.deletes is not None and 0 < self.deletes[0] <= start:
            self.jobs = [each for place, each in enumerate(self.jobs) if place not in self.deletes[1]]
            self.deletes = None
        cursor = base64.b64encode(str(start + len(shown)).encode()).decode()
        body: dict[str, Any] = {"object": "list", "data": shown}
        if self.said == "last_id":
            body["last_id"] = cursor if shown else None
        else:
            body[self.said] = cursor if end < len(jobs) else None
        if self.said == "next":  # beside it, what OpenAI's own list says
            body["last_id"] = shown[-1]["id"] if shown else None
        if self.more:
            body["has_more"] = end < len(jobs)
        return answer(json.dumps(body).encode())


@contextmanager
def mirrored(listed: Offsets, url: str) -> Iterator[Rig]:
    with RawGateway(listed) as raw:
        sim: Any = SimpleNamespace(
            world=World(jobs=1, start=1_767_200_000.0), gateway=raw, base_url=raw.base_url, requests=raw.asked
        )
        r = Rig(sim, url, page_size=10)
        with r.app:
            yield r


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("said", "more"), [("last_id", True), ("last_id", False), ("next_cursor", True), ("next", True)]
)
def test_they_lead_on(url_by_turns: str, said: str, more: bool, strict: bool, down: bool) -> None:
    listed = Offsets(said, more=more, strict=strict, down=down)
    with mirrored(listed, url_by_turns) as r:
        for count in (3, 10, 12, 50):
            listed.jobs = [job(number) for number in range(count)]
            for run in (r.sync, r.reconcile):
                result = run()
                assert result.status == "ok", result.error
                rows = sorted(r.listed().values(), key=lambda row: row["list_position"])
                assert [row["job_id"] for row in rows] == [each["id"] for each in listed.jobs]
        del listed.jobs[20]
        assert r.reconcile().status == "ok"
        assert set(r.listed()) == {each["id"] for each in listed.jobs}
        r.assert_accounts()


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("gone", [range(2, 5), range(93, 96)])
@pytest.mark.parametrize("far", [20, 50])
def test_what_a_deletion_moves_past_a_walk_is_found(
    url_by_turns: str, down: bool, gone: range, far: int
) -> None:
    """Three jobs go while pages are read: the page that comes next begins three jobs too far on."""
    listed = Offsets("next_cursor", down=down)
    with mirrored(listed, url_by_turns) as r:
        for run in (r.sync, r.reconcile):
            listed.jobs = [job(number) for number in range(100)]
            listed.deletes = (far, gone)
            assert run().status == "ok"
            assert listed.deletes is None, "nothing was deleted on the way"
            assert {each["id"] for each in listed.jobs} <= set(r.listed())
        assert r.reconcile().status == "ok"
        assert set(r.listed()) == {each["id"] for each in listed.jobs}
        r.assert_accounts()


def test_what_a_deletion_moves_past_a_tick_is_found(url_by_turns: str) -> None:
    listed = Offsets("next_cursor")
    with mirrored(listed, url_by_turns) as r:
        listed.jobs = [job(number) for number in range(60)]
        r.ok()
        before = len(r.sim.requests)
        listed.jobs = [job(number) for number in range(100)]
        listed.deletes = (10, range(93, 96))
        r.ok()
        assert {each["id"] for each in listed.jobs} <= set(r.listed())
        assert len(r.sim.requests) - before <= 16
        before = len(r.sim.requests)
        r.ok()
        assert len(r.sim.requests) - before == 1, "nothing new: nothing is looked over"


def test_a_look_that_goes_round_ends_by_name(url_by_turns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk is over, and then the list leads back to its second page: the look never ended."""
    listed = Offsets("next_cursor")
    with mirrored(listed, url_by_turns) as r:
        listed.jobs = [job(number) for number in range(60)]
        r.ok()

        def look(run: Run) -> int | None:
            listed.goes_round = 100
            return look_over(run)

        monkeypatch.setattr(import_module("etl.pipeline.reconcile"), "look_over", look)
        before = len(r.sim.requests)
        result = r.reconcile()
        assert type(result.error).__name__ == "RepeatedPage"
        assert len(r.sim.requests) - before < 40
        assert len(r.listed()) == 60


def test_an_empty_page_says_nothing_of_what_cursors_are_called() -> None:
    """It has no ids that its `last_id` could be one of."""
    cursors = Cursors()
    cursors.apart = True
    empty = RawPage(
        PageRequest("b"),
        (),
        None,
        "cursor-of-c",
        True,
        None,
        datetime(2026, 1, 1, tzinfo=UTC),
        leads_to="cursor-of-c",
    )
    cursors.follow(PageRequest("b"), lambda request, name: empty)
    assert cursors.apart
