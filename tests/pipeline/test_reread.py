"""Jobs read again one by one: a neighbour that is gone, and what an answer by id says of progress."""

from __future__ import annotations

import json

import pytest

from etl.cli.errors import exit_code
from tests.reliability.raw_gateway import answer
from tests.reliability.test_strange_lists import List, jobs, reading

DAY = 86_400.0
GONE = answer(b"<html>", "Content-Type: text/html", status="404 Not Found")


def aged() -> List:
    """Old jobs, of which numbers 10 and 30 stay open."""
    listed = List(jobs(0, 60))
    for number in (10, 30):
        listed.jobs[number] |= {"status": "in_progress", "completed_at": None}
    return listed


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_a_dead_cursor_ends_no_other_reread(migrated_url: str, order: str) -> None:
    listed = aged()
    listed.by_id = lambda _: GONE  # this gateway reads no jobs by id
    with reading(listed, migrated_url, order=order, page_size=10, open_job_patience=DAY) as r:
        r.world.advance(30 * DAY)
        r.ok()
        first, second = listed.jobs[10]["id"], listed.jobs[30]["id"]
        for number in (10, 30):
            listed.jobs[number] = {**listed.jobs[number], "status": "completed"}
        beside = range(7, 10) if order == "auto" else range(11, 14)
        nearest = {f"video_{number:05d}:openai" for number in beside}
        listed.jobs = [job for job in listed.jobs if job["id"] not in nearest]
        r.ok()
        assert r.jobs()[second]["status"] == "completed"
        assert r.jobs()[first]["reread_at"] is not None


def test_a_dead_neighbour_hides_no_job(migrated_url: str) -> None:
    listed = aged()
    listed.by_id = lambda _: GONE
    with reading(listed, migrated_url, open_job_patience=DAY) as r:
        r.world.advance(30 * DAY)
        r.ok()
        listed.jobs[10] = {**listed.jobs[10], "status": "completed"}
        del listed.jobs[9]
        r.ok()
        assert r.jobs()["video_00010:openai"]["status"] == "completed"


@pytest.mark.parametrize("history_progress", [False, True])
def test_progress_that_an_answer_by_id_gives_is_kept(migrated_url: str, history_progress: bool) -> None:
    listed = aged()
    settings = {"open_job_patience": DAY, "history_progress": history_progress}
    with reading(listed, migrated_url, **settings) as r:
        r.world.advance(30 * DAY)
        r.ok()
        seen = []
        for progress in (40, None, 70):
            said = {"progress": progress} if progress is not None else {}
            listed.by_id = lambda job_id, said=said: answer(
                json.dumps({"id": job_id, "status": "in_progress", **said}).encode()
            )
            r.ok()
            seen.append(r.jobs()["video_00010:openai"]["progress"])
        assert seen == [40.0, 40.0, 70.0]
        r.assert_accounts()


UNREADABLE = answer(
    b'{"error":{"message":"failed to unmarshal response from provider API"}}',
    status="500 Internal Server Error",
)


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_an_old_open_job_that_becomes_unreadable_is_a_gap(migrated_url: str, order: str) -> None:
    """Nothing holds the frontier before it, and no walk meets it: its last state is not known, and nobody
    would hear of it."""
    listed = aged()
    with reading(listed, migrated_url, order=order, page_size=10, open_job_patience=DAY) as r:
        r.world.advance(30 * DAY)
        r.ok()
        broken, beside = (str(listed.jobs[number]["id"]) for number in (10, 30))
        listed.unreadable = {broken}
        listed.by_id = lambda _: UNREADABLE
        listed.jobs[30] = {**listed.jobs[30], "status": "completed"}
        result = r.ok()
        (gap,) = r.rows("coverage_gaps")
        ends = {gap["last_known_job_id"], gap["oldest_listed_job_id"]}
        assert ends == {listed.jobs[9]["id"], listed.jobs[11]["id"]}
        assert (result.gaps, exit_code([result])) == (1, 3)
        assert r.jobs()[beside]["status"] == "completed"
        before = len(r.sim.requests)
        assert r.ok().gaps == 1
        assert len(r.sim.requests) - before <= 3, "the page of the tick, the gap, and the job by id"
        listed.unreadable, listed.by_id = set(), None
        listed.jobs[10] = {**listed.jobs[10], "status": "completed"}
        assert r.ok().gaps == 0
        assert r.jobs()[broken]["status"] == "completed"


@pytest.mark.parametrize("by_id", [UNREADABLE, answer(b'{"object":"video"}')])
def test_a_gateway_that_is_sick_by_id_makes_no_gap(migrated_url: str, by_id: bytes) -> None:
    listed = aged()
    with reading(listed, migrated_url, page_size=10, open_job_patience=DAY) as r:
        r.world.advance(30 * DAY)
        r.ok()
        listed.by_id = lambda _: by_id
        for number in (10, 30):
            listed.jobs[number] = {**listed.jobs[number], "status": "completed"}
        assert r.ok().gaps == 0
        assert {job["status"] for job in r.jobs().values()} == {"completed"}
