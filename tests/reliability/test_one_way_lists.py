"""Lists that run one way, whatever `order` they are asked for, and are too short to show it on one page; and
pages that end with an item which they began with. What is listed is stored, or the run fails."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.raw_gateway import Ask, answer, page
from tests.reliability.test_strange_lists import List, jobs, reading


class OneWay(List):
    """Ignores `order`: oldest first, or newest first. `doubled`: each page ends with its first job."""

    def __init__(self, listed: list[dict[str, Any]], way: str) -> None:
        super().__init__(listed)
        self.way, self.doubled = way, False

    def __call__(self, ask: Ask) -> bytes:
        ask.query["order"] = self.way if self.way != "both" else ask.query["order"]
        if not self.doubled or ask.path != "/v1/videos":
            return super().__call__(ask)
        shown, more = ask.listed(self.jobs)
        return answer(page(([*shown, *shown[:1]], more)))


@pytest.fixture
def url(url_by_turns: str) -> str:
    return url_by_turns


@pytest.mark.parametrize("way", ["asc", "desc"])
@pytest.mark.parametrize("size", [1, 2, 3, 10])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 25])
def test_every_job_of_a_list_that_runs_one_way_is_stored(
    tmp_path: Any, way: str, size: int, count: int
) -> None:
    listed = OneWay(jobs(0, count), way)
    with reading(listed, f"sqlite:///{tmp_path / 'etl.db'}", page_size=size) as rig:
        rig.ok()
        assert len(rig.jobs()) == count
        listed.jobs += jobs(count, count + 3)
        rig.ok()
        assert len(rig.jobs()) == count + 3
        places = [row["list_position"] for _, row in sorted(rig.jobs().items())]
        assert places == sorted(places), "video_00000 is the oldest"
        assert not rig.rows("coverage_gaps")


@pytest.mark.parametrize("way", ["asc", "desc", "both"])
@pytest.mark.parametrize(
    "growth", [(0, 2, 0, 1, 1), (0, 1, 1, 1, 1), (1, 1, 0, 2, 1), (2, 0, 1, 1, 3), (0, 3, 1, 0, 1)]
)
@pytest.mark.slow
def test_a_young_list_is_read_whole_whichever_command_meets_it_first(
    tmp_path: Any, way: str, growth: tuple[int, ...]
) -> None:
    """Two jobs tell an order only to who looks: syncs and reconciles come in every order.

    A tree of commands: each database goes on as two, so that what begins alike is run once.
    """
    counts = list(itertools.accumulate(growth))
    databases = {"": tmp_path / "empty.db"}
    for count in counts:
        listed = OneWay(jobs(0, count), way)
        databases = dict(_after_each_command(databases, listed))
    assert len(databases) == 2 ** len(growth)


def _after_each_command(databases: dict[str, Path], listed: OneWay) -> Iterator[tuple[str, Path]]:
    for (before, path), command in itertools.product(databases.items(), ("sync", "reconcile")):
        after = f"{before}{command[0]}"
        grown = path.with_name(f"{after}.db")
        if before:
            shutil.copy(path, grown)
        with reading(listed, f"sqlite:///{grown}", page_size=10) as rig:
            result = rig.sync() if command == "sync" else rig.reconcile()
            assert result.status == "ok", (after, result.error)
            assert set(rig.listed()) == {one["id"] for one in listed.jobs}, after
        yield after, grown


@pytest.mark.parametrize("way", ["asc", "desc"])
@pytest.mark.parametrize("readable", [1, 2, 3, 12])
def test_what_lies_behind_a_record_that_nobody_can_read_is_a_gap_or_the_run_fails(
    url: str, way: str, readable: int
) -> None:
    every = jobs(0, 20)
    listed = OneWay(every, way)
    order = every if way == "asc" else every[::-1]
    listed.unreadable = {order[readable]["id"]}
    with reading(listed, url, page_size=10) as rig:
        result = rig.sync()
        stored, gaps = set(rig.jobs()), rig.rows("coverage_gaps")
        assert stored == {one["id"] for one in order[:readable]}
        if readable == 1:
            assert result.status == "failed", "one job does not tell which way the list runs"
            return
        assert [gap["kind"] for gap in gaps] == ["unreadable"] and result.status == "ok"
        edge = order[readable - 1]["id"]
        ends = gaps[0]["last_known_job_id"], gaps[0]["oldest_listed_job_id"]
        assert ends == ((edge, None) if way == "asc" else (None, edge))
        places = [row["list_position"] for _, row in sorted(rig.jobs().items())]
        assert places == sorted(places)
        assert rig.reconcile().status == "ok" and len(rig.listed()) == readable, (
            "all of them are listed still"
        )
        listed.unreadable.clear()
        rig.ok()
        rig.ok()
        assert len(rig.jobs()) == 20 and not rig.rows("coverage_gaps")


@pytest.mark.parametrize("way", ["asc", "desc"])
@pytest.mark.parametrize("times", ["apart", "one second", "one second at first"])
@pytest.mark.parametrize("readable", [2, 3, 7, 15])
def test_a_reconcile_that_meets_such_a_record_first_is_not_green_while_it_hides_jobs(
    url: str, way: str, times: str, readable: int
) -> None:
    """From above, too, the list shows what stands before the record. The first sync had found it empty."""
    every = jobs(0, 20)
    for place, job in enumerate(every):
        if times == "one second" or (times == "one second at first" and place < 8):
            job["created_at"] = every[0]["created_at"]
    listed = OneWay([], way)
    with reading(listed, url, page_size=3) as rig:
        rig.ok()
        listed.jobs = every
        order = every if way == "asc" else every[::-1]
        listed.unreadable = {order[readable]["id"]}
        result = rig.reconcile()
        gaps = [gap for gap in rig.rows("coverage_gaps") if gap["kind"] == "unreadable"]
        assert result.status == "failed" or gaps, "nobody can read what stands behind it"
        listed.unreadable.clear()
        rig.reconcile()
        assert set(rig.listed()) == {one["id"] for one in every}


def test_a_refused_cursor_in_a_list_that_runs_oldest_first_loses_nothing(url: str) -> None:
    listed = OneWay(jobs(0, 7), "asc")
    with reading(listed, url, page_size=2) as rig:
        rig.ok()
        listed.jobs = [*jobs(0, 3), *jobs(7, 12)]  # the frontier and what was before it were deleted
        rig.ok()
        assert {f"video_{number:05d}:openai" for number in range(7, 12)} <= set(rig.jobs())


@pytest.mark.parametrize("way", ["both", "desc", "asc"])
def test_pages_that_end_with_their_first_job_are_read_on_behind_the_last_new_one(url: str, way: str) -> None:
    listed = OneWay(jobs(0, 23), way)
    listed.doubled = True
    with reading(listed, url, page_size=5) as rig:
        rig.ok()
        assert len(rig.jobs()) == 23
        listed.jobs += jobs(23, 31)
        rig.ok()
        assert len(rig.jobs()) == 31
        assert rig.reconcile().status == "ok"


class NothingBehind(OneWay):
    """Oldest first; asked for what follows any job, it shows nothing and says that nothing follows."""

    def __call__(self, ask: Ask) -> bytes:
        if self.cut and ask.path == "/v1/videos" and ask.query.get("after"):
            return answer(page(([], False)))
        return super().__call__(ask)

    cut = True


def test_an_end_that_the_list_never_proves_is_a_gap(url: str) -> None:
    listed = NothingBehind(jobs(0, 9), "asc")
    with reading(listed, url, page_size=2) as rig:
        result = rig.sync()
        assert len(rig.jobs()) == 2
        gaps = rig.rows("coverage_gaps")
        assert result.status == "ok" and [gap["last_known_job_id"] for gap in gaps] == ["video_00001:openai"]
        assert gaps[0]["oldest_listed_job_id"] is None and gaps[0]["accepted_at"] is None
        listed.cut = False
        rig.ok()
        assert rig.reconcile().status == "ok"
        assert len(rig.jobs()) == 9 and not rig.rows("coverage_gaps")
