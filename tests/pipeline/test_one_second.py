"""A gateway that lists newest first whatever it is asked, and whose newest pages are all of one second: no
page alone tells which way it runs."""

from __future__ import annotations

from typing import Any

import pytest

from etl.errors import OrderIgnored
from tests.reliability.raw_gateway import Ask, job
from tests.reliability.test_strange_lists import List, jobs, reading

#: Open jobs are waited for, so that there is no frontier, and none is read by id.
WAITING: dict[str, Any] = {"open_job_patience": 1e9, "rereads_per_run": 0}
SECOND = job(500)["created_at"]


class NewestFirst(List):
    def __call__(self, ask: Ask) -> bytes:
        ask.query["order"] = "desc"
        return super().__call__(ask)


def burst(first: int, last: int, **members: Any) -> list[dict[str, Any]]:
    return jobs(first, last, created_at=SECOND, **members)


@pytest.mark.parametrize("status", ["queued", "completed"])
@pytest.mark.parametrize("page_size", [10, 100])
def test_is_read_newest_first(migrated_url: str, status: str, page_size: int) -> None:
    listed = NewestFirst([*jobs(0, 12, status=status), *burst(12, 12 + 3 * page_size, status=status)])
    with reading(listed, migrated_url, page_size=page_size, **WAITING) as r:
        r.ok()
        listed.jobs += burst(1000, 1000 + page_size, status=status)
        r.ok()
        assert set(r.jobs()) == {each["id"] for each in listed.jobs}
        del listed.jobs[5]
        assert r.reconcile().error is None
        assert set(r.listed()) == {each["id"] for each in listed.jobs}
        r.assert_accounts()


@pytest.mark.parametrize("status", ["queued", "completed"])
def test_is_found_out_when_it_turns(migrated_url: str, status: str) -> None:
    """It kept order at first, so that nothing says that it does not."""
    listed = List(jobs(0, 12, status=status))
    with reading(listed, migrated_url, page_size=10, **WAITING) as r:
        r.ok()
        turned = NewestFirst([*listed.jobs, *burst(12, 50, status=status)])
        r.sim.gateway.reply = turned
        r.ok()
        assert set(r.jobs()) == {each["id"] for each in turned.jobs}
        assert r.reconcile().error is None


def test_and_found_out_by_a_reconcile(migrated_url: str) -> None:
    listed = List(jobs(0, 12))
    with reading(listed, migrated_url, page_size=10, **WAITING) as r:
        r.ok()
        turned = NewestFirst([*listed.jobs, *burst(12, 50)])
        r.sim.gateway.reply = turned
        assert r.reconcile().error is None
        assert set(r.jobs()) == {each["id"] for each in turned.jobs}


def test_but_not_where_the_order_is_configured(migrated_url: str) -> None:
    listed = List(jobs(0, 12, status="queued"))
    with reading(listed, migrated_url, page_size=10, order="asc", **WAITING) as r:
        r.ok()
        r.sim.gateway.reply = NewestFirst([*listed.jobs, *burst(12, 50)])
        assert type(r.sync().error) is OrderIgnored
