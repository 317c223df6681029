"""Jobs read again one by one: a neighbour that is gone, and what an answer by id says of progress."""

from __future__ import annotations

import json

import pytest

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
