"""A job that is too much to decode costs itself at most: whatever stands around it is read."""

from __future__ import annotations

import pytest

from etl.transform.json_values import MAX_PARTS
from tests.reliability.raw_gateway import JOBS, answer, job
from tests.reliability.test_hostile_gateways import facing, file_url, honest

__all__ = ["file_url"]
PLACE = 120


def jobs_around(members: int) -> list[dict[str, object]]:
    heavy = {**job(PLACE), "usage": dict.fromkeys(map(str, range(members)), 1)}
    return [*JOBS[:PLACE], heavy, *JOBS[PLACE + 1 :]]


def test_a_job_with_too_many_members_is_one_reject(file_url: str) -> None:
    listed = jobs_around(MAX_PARTS + 1)
    with facing(lambda ask: answer(honest(ask, listed)), file_url) as rig:
        rig.ok()
        assert len(rig.jobs()) == len(JOBS) - 1
        (reject,) = rig.rows("rejected_items")
        assert reject["job_id"] == listed[PLACE]["id"] and "members" in reject["reason"]


@pytest.mark.slow
def test_a_job_that_makes_its_page_too_much_is_a_gap_between_its_neighbours(file_url: str) -> None:
    """The page is asked for in smaller pages until the job stands alone; nobody knows its id."""
    listed = jobs_around(260_000)
    with facing(lambda ask: answer(honest(ask, listed)), file_url, max_attempts=1) as rig:
        rig.sync()
        assert len(rig.jobs()) == len(JOBS) - 1
        assert len(rig.rows("coverage_gaps")) == 1
        (reject,) = rig.rows("rejected_items")
        assert (reject["after_id"], reject["before_id"]) == (listed[PLACE - 1]["id"], listed[PLACE + 1]["id"])
