"""Lists that are not what they seem: cursors refused, another account's jobs, ends that are none, and records
that nobody can read at either end. Nothing loops, nothing is claimed without evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from etl.errors import AnotherAccount, SuspiciousScan
from etl.pipeline.read_ahead import Readers
from etl.simulator import World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.support.rig import Rig

WEB_PAGE = ("Content-Type: text/html",)
UNREADABLE = answer(
    b'{"error":{"message":"failed to unmarshal response from provider API"}}',
    status="500 Internal Server Error",
)
HOUR = 3600


class List:
    """A gateway's list that a test changes as it likes. `refusal` answers a cursor that is not in it."""

    def __init__(self, jobs: list[dict[str, Any]]) -> None:
        self.jobs = jobs
        self.refusal: bytes | None = answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        self.members: dict[str, Any] = {}
        self.refuses_all = False
        self.most = 100
        self.unreadable: set[str] = set()
        self.by_id: Callable[[str], bytes] | None = None

    def __call__(self, ask: Ask) -> bytes:
        if ask.path != "/v1/videos":
            return self._one(ask.path.rpartition("/")[2])
        after = ask.query.get("after")
        known = after in {each["id"] for each in self.jobs}
        if after is not None and self.refusal is not None and (self.refuses_all or not known):
            return self.refusal
        ask.query["limit"] = str(min(self.most, int(ask.query["limit"])))
        shown = ask.listed(self.jobs)
        if self.unreadable & {each["id"] for each in shown[0]}:
            return UNREADABLE
        body = page(shown, **self.members)
        return answer(body.replace(b', "has_more": "absent"', b""))

    def _one(self, job_id: str) -> bytes:
        if self.by_id is not None:
            return self.by_id(job_id)
        found = [each for each in self.jobs if each["id"] == job_id]
        return answer(page((found, False))) if not found else answer(_json(found[0]))

    def forget_has_more(self) -> None:
        self.members["has_more"] = "absent"


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@contextmanager
def reading(listed: List, url: str, **settings: Any) -> Iterator[Rig]:
    with RawGateway(listed) as raw:
        sim: Any = SimpleNamespace(
            world=World(jobs=1, start=1_767_200_000.0), gateway=raw, base_url=raw.base_url, requests=raw.asked
        )
        rig = Rig(sim, url, **{"read_timeout": 30.0, **settings})
        with rig.app:
            yield rig


@pytest.fixture
def url(url_by_turns: str) -> str:
    return url_by_turns


def jobs(first: int, last: int, **members: Any) -> list[dict[str, Any]]:
    return [job(number, **members) for number in range(first, last)]


def others(first: int, last: int) -> list[dict[str, Any]]:
    """Another account's jobs, made at the same time."""
    return [job(number, id=f"video_other_{number:05d}:openai") for number in range(first, last)]


# --- cursors -----------------------------------------------------------------------------------

REFUSALS = {
    "404": answer(b'{"error":{"message":"no such video"}}', status="404 Not Found"),
    "404, a web page": answer(b"<html>", *WEB_PAGE, status="404 Not Found"),
    "400, with the parameter": answer(
        b'{"error":{"message":"Invalid value","param":"after"}}', status="400 Bad Request"
    ),
    "400, wordless": answer(b'{"error":{"message":"bad request"}}', status="400 Bad Request"),
    "400, empty": answer(b"", status="400 Bad Request"),
    "400, a web page": answer(b"<html>", *WEB_PAGE, status="400 Bad Request"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_gateway_that_refuses_every_cursor_ends_with_a_named_error(url: str, refusal: str) -> None:
    listed = List(jobs(0, 250))
    listed.refusal, listed.refuses_all = REFUSALS[refusal], True
    with reading(listed, url) as r:
        first = r.sync()
        assert first.status == "failed" and first.error is not None
        assert len(r.sim.requests) < 60
        listed.refuses_all = False
        r.ok()
        listed.refuses_all, listed.jobs = True, jobs(0, 400)
        asked = len(r.sim.requests)
        assert r.sync().status == "failed"
        assert len(r.sim.requests) - asked < 60
        listed.refuses_all = False
        r.ok()
        assert set(r.jobs()) == {each["id"] for each in listed.jobs}
        r.assert_accounts()


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_dead_cursor_is_found_whatever_is_said_of_it(url: str, refusal: str) -> None:
    listed = List(jobs(0, 35))
    listed.refusal = REFUSALS[refusal]
    with reading(listed, url) as r:
        r.ok()
        listed.jobs = [*jobs(0, 33), *jobs(34, 38)]  # the cursor's job is gone, three are new
        r.ok()
        assert {f"video_{n:05d}:openai" for n in (35, 36, 37)} <= set(r.jobs())


def test_two_accounts_in_turn_come_to_an_end(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Readers, "hungry", False)  # one lane, so that each of its pages is another account's
    mine, theirs = List(jobs(0, 250)), List(others(0, 250))
    turns = iter(range(10_000))
    both: Any = lambda ask: (mine, theirs)[next(turns) % 2](ask)  # noqa: E731
    with reading(both, url) as r:
        assert isinstance(r.sync().error, AnotherAccount)
        assert len(r.sim.requests) < 60


# --- the end of the list -----------------------------------------------------------------------


@pytest.mark.parametrize("gone", [1, 6, 60])
def test_without_has_more_the_newest_jobs_are_missed_all_the_same(url: str, gone: int) -> None:
    listed = List(jobs(0, 250))
    listed.forget_has_more()
    with reading(listed, url) as r:
        r.ok()
        listed.jobs = listed.jobs[:-gone]
        result = r.reconcile(accept_suspicious=gone == 60)
        assert (result.status, result.counts.jobs_unlisted) == ("ok", gone)
        assert set(r.listed()) == {each["id"] for each in listed.jobs}


def test_a_short_page_without_has_more_is_not_the_end_of_a_scan(url: str) -> None:
    listed = List(jobs(0, 250))
    listed.forget_has_more()
    with reading(listed, url) as r:
        r.ok()
        listed.most = 20
        listed.jobs = [each for each in listed.jobs if each["id"] != "video_00210:openai"]
        listed.jobs[200] = job(200, model="sora-2-pro")
        assert r.reconcile().status == "ok"
        stored = r.jobs()
        assert stored["video_00210:openai"]["unlisted_reason"] == "missing"
        assert stored["video_00200:openai"]["model"] == "sora-2-pro"
        assert len(r.listed()) == 249


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_a_gateway_that_always_promises_more_can_be_scanned(url: str, order: str) -> None:
    listed = List(jobs(0, 250))
    listed.members["has_more"] = True
    with reading(listed, url, order=order) as r:
        r.ok()
        listed.jobs = listed.jobs[5:-5]
        result = r.reconcile()
        assert (result.status, result.counts.jobs_unlisted) == ("ok", 10), result.error
        assert not r.rows("coverage_gaps")


@pytest.mark.parametrize("count", [1, 2, 7, 99])
def test_a_list_of_one_page_whose_cursor_is_ignored_can_be_scanned(url: str, count: int) -> None:
    listed = List(jobs(0, count + 1))

    def first_page(ask: Ask) -> bytes:
        return listed(Ask(ask.number, ask.target, ask.head, {"order": "desc", "limit": "200"}))

    with reading(first_page, url) as r:  # type: ignore[arg-type]
        r.ok()
        listed.jobs = listed.jobs[1:]
        result = r.reconcile()
        assert (result.status, result.counts.jobs_unlisted) == ("ok", 1), result.error
        assert set(r.listed()) == {each["id"] for each in listed.jobs}


def test_a_false_end_of_a_scan_unlists_nothing(url: str) -> None:
    """A tenth of the list is missing behind it: few enough to be believed."""
    listed = List(jobs(0, 250))
    with reading(listed, url) as r:
        r.ok()
        whole, asked = listed.__call__, len(r.sim.requests)

        def lying(ask: Ask) -> bytes:
            if ask.number == asked + 3:  # the last page but for its end
                listed.jobs, kept = jobs(0, 230), listed.jobs
                try:
                    return whole(ask)
                finally:
                    listed.jobs = kept
            return whole(ask)

        with RawGateway(lambda ask: lying(Ask(ask.number + asked, ask.target, ask.head, ask.query))) as raw:
            again = Rig(
                SimpleNamespace(world=r.world, base_url=raw.base_url, requests=raw.asked),  # type: ignore[arg-type]
                url,
                read_timeout=30.0,
            )
            with again.app:
                result = again.reconcile()
                assert (result.status, result.counts.jobs_unlisted) == ("ok", 0)
                assert len(again.listed()) == 250


# --- another account ---------------------------------------------------------------------------


def test_another_accounts_list_is_refused_every_time(url: str) -> None:
    listed = List(jobs(0, 250))
    with reading(listed, url) as r:
        r.ok()
        listed.jobs = others(100, 350)
        for _ in range(3):
            assert isinstance(r.reconcile().error, SuspiciousScan)
            assert isinstance(r.sync().error, SuspiciousScan)
        assert {gap["kind"] for gap in r.rows("coverage_gaps")} == {"interrupted"}, "nothing counts as lost"
        assert all(row["unlisted_at"] is None for row in r.jobs().values())
        listed.jobs = jobs(0, 260)
        r.ok()
        assert not r.rows("coverage_gaps")
        assert {f"video_{n:05d}:openai" for n in range(260)} <= set(r.listed())


def test_it_may_be_accepted_and_says_what_was_lost(url: str) -> None:
    listed = List(jobs(0, 250))
    with reading(listed, url) as r:
        r.ok()
        listed.jobs = others(100, 350)
        assert r.sync().status == "failed"
        assert r.reconcile(accept_suspicious=True).status == "ok"
        assert set(r.listed()) == {each["id"] for each in listed.jobs}
        gap = r.rows("coverage_gaps")[0]
        assert gap["last_known_job_id"] == "video_00249:openai"
        r.ok()
        assert r.reconcile().status == "ok"
        assert len(r.rows("coverage_gaps")) == 1
        r.assert_accounts()


def test_a_list_that_turned_over_while_we_were_away_is_a_gap_not_a_stranger(url: str) -> None:
    listed = List(jobs(0, 35))
    with reading(listed, url) as r:
        r.ok()
        listed.jobs = jobs(1000, 1130)
        r.ok()
        assert len(r.rows("coverage_gaps")) == 1
        assert r.reconcile().status == "ok"
        assert set(r.listed()) == {each["id"] for each in listed.jobs}


def test_another_accounts_404_says_nothing_of_an_open_job(url: str) -> None:
    old = job(10, status="in_progress", completed_at=None, progress=40)
    listed = List([*jobs(0, 10), old, *jobs(11, 250)])
    mine = listed.jobs
    with reading(listed, url, open_job_patience=HOUR) as r:
        r.ok()
        listed.jobs = []
        listed.by_id = lambda _: answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        r.sync()
        listed.jobs, listed.by_id = [*mine[:10], job(10), *mine[11:]], None
        r.ok()
        stored = r.jobs()["video_00010:openai"]
        assert (stored["status"], stored["unlisted_at"]) == ("completed", None)


# --- by id -------------------------------------------------------------------------------------

BARRED = {
    "404, a web page": answer(b"<html>", *WEB_PAGE, status="404 Not Found"),
    "401": answer(b'{"error":{"message":"no"}}', status="401 Unauthorized"),
    "403": answer(b'{"error":{"message":"no"}}', status="403 Forbidden"),
    "405": answer(b"", status="405 Method Not Allowed"),
    "400": answer(b'{"error":{"message":"no"}}', status="400 Bad Request"),
    "200, a web page": answer(b"<html>", *WEB_PAGE),
    "200, null": answer(b"null"),
}


@pytest.mark.parametrize("order", ["auto", "desc"])
@pytest.mark.parametrize("barred", BARRED)
def test_where_no_job_can_be_read_by_id_the_list_shows_it(url: str, barred: str, order: str) -> None:
    old = {n: job(n, status="in_progress", completed_at=None, progress=40) for n in (0, 10, 11)}
    listed = List([old.get(n) or job(n) for n in range(250)])
    listed.by_id = lambda _: BARRED[barred]
    with reading(listed, url, open_job_patience=HOUR, order=order) as r:
        r.ok()
        assert {i for i, row in r.jobs().items() if not row["settled"]} == {
            each["id"] for each in old.values()
        }
        listed.jobs = jobs(0, 250)
        r.ok()
        assert all(row["status"] == "completed" for row in r.jobs().values())
        r.assert_accounts()


# --- unreadable records ------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 10, 29])
def test_a_scan_past_an_unreadable_record_finds_what_vanished(url: str, place: int) -> None:
    listed = List(jobs(0, 30))
    listed.unreadable = {listed.jobs[place]["id"]}
    with reading(listed, url, page_size=10) as r:
        r.ok()
        listed.jobs = [each for each in listed.jobs if each["id"] != "video_00020:openai"]
        result = r.reconcile()
        assert (result.status, result.counts.jobs_unlisted) == ("ok", 1), result.error
        assert len(r.listed()) == 28


def test_a_scan_from_the_newest_job_ends_at_an_unreadable_record(url: str) -> None:
    """What is older cannot be reached, and nothing is said of it."""
    listed = List(jobs(0, 60))
    listed.unreadable = {"video_00010:openai"}
    with reading(listed, url, page_size=10, order="desc") as r:
        r.ok()
        listed.jobs = [each for each in listed.jobs if each["id"] != "video_00040:openai"]
        result = r.reconcile()
        assert (result.status, result.counts.jobs_unlisted) == ("ok", 1), result.error
        assert set(r.listed()) == {f"video_{n:05d}:openai" for n in range(11, 60) if n != 40}


def test_what_aged_out_beside_an_unreadable_record_is_found(url: str) -> None:
    listed = List(jobs(0, 30))
    listed.unreadable = {"video_00010:openai"}
    with reading(listed, url) as r:
        r.ok()
        listed.jobs = listed.jobs[3:]
        result = r.reconcile()
        assert (result.status, result.counts.jobs_unlisted) == ("ok", 3), result.error


def test_the_newest_known_job_becomes_unreadable(url: str) -> None:
    listed = List(jobs(0, 30))
    with reading(listed, url) as r:
        r.ok()
        listed.unreadable = {"video_00029:openai"}
        r.ok()
        assert [row["after_id"] for row in r.rows("rejected_items")] == ["video_00028:openai"]
        listed.jobs = jobs(0, 35)
        r.ok()
        assert len(r.jobs()) == 35
        assert r.ok().counts.requests == 2, "one page, and one probe of what is known as unreadable"


def test_one_on_the_first_page_of_a_gateway_that_lists_newest_first(url: str) -> None:
    listed = List(jobs(0, 30))
    listed.unreadable = {"video_00010:openai"}

    def newest_first(ask: Ask) -> bytes:
        return listed(Ask(ask.number, ask.target, ask.head, ask.query | {"order": "desc"}))

    with reading(newest_first, url) as r:  # type: ignore[arg-type]
        r.ok()
        assert {f"video_{n:05d}:openai" for n in range(11, 30)} <= set(r.jobs())
        assert len(r.rows("rejected_items")) == 1 and len(r.rows("coverage_gaps")) == 1
