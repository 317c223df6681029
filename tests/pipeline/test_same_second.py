"""A gateway that orders by second of creation and id, where ids come in any order: a new job may stand before
others that were listed long ago, if they share its second."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reliability.raw_gateway import Ask
from tests.reliability.test_strange_lists import List, reading
from tests.support.rig import Rig

START = 1_767_200_000


class ByTimeAndId(List):
    """While `busy`, each request is followed by a new job of the present second."""

    def __init__(self, seed: int) -> None:
        super().__init__([])
        self.draw, self.busy, self.second = random.Random(seed), False, START

    def __call__(self, ask: Ask) -> bytes:
        said = super().__call__(ask)
        if self.busy and ask.path == "/v1/videos":
            self.add(1)
        return said

    def add(self, count: int, status: str = "completed", **members: Any) -> None:
        for _ in range(count):
            name = members.get("id") or f"video_{self.draw.getrandbits(64):016x}"
            self.jobs.append({"id": name, "object": "video", "status": status, "created_at": self.second})
        self.jobs = sorted(self.jobs, key=lambda job: (job["created_at"], job["id"]))

    def settle(self) -> None:
        for job in self.jobs:
            job["status"] = "completed"


def advance(r: Rig, listed: ByTimeAndId, seconds: int) -> None:
    listed.second += seconds
    r.world.advance(seconds)


def assert_all_there(r: Rig, listed: ByTimeAndId) -> None:
    stored = r.listed()
    assert {job["id"] for job in listed.jobs} == set(stored)
    in_order = sorted(stored, key=lambda job_id: stored[job_id]["list_position"])
    assert in_order == [job["id"] for job in listed.jobs]


@pytest.mark.parametrize(("order", "page_size"), [("auto", 100), ("auto", 3), ("desc", 100), ("desc", 3)])
def test_a_job_that_sorts_before_the_cursor(migrated_url: str, order: str, page_size: int) -> None:
    listed = ByTimeAndId(1)
    with reading(listed, migrated_url, order=order, page_size=page_size) as r:
        for number in range(20):
            advance(r, listed, 60)
            listed.add(1, id=f"old_{number}")
        advance(r, listed, 60)
        for name in "fghij":
            listed.add(1, id=name)
        r.ok()
        listed.add(1, id="a")
        r.ok()
        assert_all_there(r, listed)
        advance(r, listed, 60)
        r.ok()
        asked = len(r.sim.requests)
        assert r.ok().counts.jobs_inserted == 0
        assert len(r.sim.requests) == asked + 1 or page_size < 100
        r.assert_accounts()


def test_a_quiet_tick_after_a_burst_larger_than_a_page_is_one_request(migrated_url: str) -> None:
    """Once the second is long over."""
    listed = ByTimeAndId(2)
    with reading(listed, migrated_url) as r:
        listed.add(250)
        r.ok()
        listed.add(1, id="a")
        r.ok()
        assert_all_there(r, listed)
        advance(r, listed, 600)
        r.ok()
        asked = len(r.sim.requests)
        r.ok()
        assert len(r.sim.requests) == asked + 1


STEPS = st.one_of(
    st.tuples(st.just("advance"), st.sampled_from([1, 1, 5, 60, 900])),
    st.tuples(st.just("add"), st.sampled_from([1, 2, 5, 30, 120])),
    st.tuples(st.just("open"), st.integers(1, 3)),
    st.tuples(st.just("settle"), st.none()),
    st.tuples(st.just("sync"), st.booleans()),
    st.tuples(st.just("reconcile"), st.booleans()),
)
SEARCH = int(os.environ.get("EXAMPLES", "0"))


def play(r: Rig, listed: ByTimeAndId, step: tuple[str, Any]) -> None:
    what, value = step
    if what == "advance":
        advance(r, listed, value)
    elif what == "add":
        listed.add(value)
    elif what == "open":
        listed.add(value, "queued")
    elif what == "settle":
        listed.settle()
    else:
        listed.busy = value
        result = r.sync() if what == "sync" else r.reconcile()
        listed.busy = False
        assert result.error is None, result.error
        r.ok()  # what came while the list was read is seen by the next one
        assert_all_there(r, listed)


@pytest.mark.slow
@settings(
    max_examples=SEARCH or 25,
    derandomize=not SEARCH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    seed=st.integers(0, 10**6),
    before=st.sampled_from([0, 3, 40, 260]),
    page_size=st.sampled_from([3, 10, 100, 100]),
    order=st.sampled_from(["auto", "auto", "desc"]),
    steps=st.lists(STEPS, min_size=2, max_size=10),
)
def test_nothing_that_shares_a_second_is_lost(
    _sqlite_template: Path,
    seed: int,
    before: int,
    page_size: int,
    order: str,
    steps: list[tuple[str, Any]],
) -> None:
    listed = ByTimeAndId(seed)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(_sqlite_template, Path(folder) / "etl.db")
        url = f"sqlite:///{Path(folder) / 'etl.db'}"
        with reading(listed, url, page_size=page_size, order=order, concurrency=2) as r:
            listed.add(before)
            for step in [*steps, ("sync", True)]:
                play(r, listed, step)
            r.assert_accounts()
