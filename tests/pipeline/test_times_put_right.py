"""Jobs that do not stand in the order of their times: clocks of several nodes, times put right later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from etl.pipeline.page_checks import direction_of
from tests.reliability.raw_gateway import job
from tests.reliability.test_strange_lists import List, reading

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
START = 1_767_000_000


@pytest.mark.parametrize(
    ("seconds", "way"),
    [
        ([1, 2, 3], 1),
        ([3, 2, 1], -1),
        ([1, 2], 0),
        ([2, 1], 0),
        ([5, 5, 5], 0),
        ([9, 1, 2, 3, 4], 1),
        ([4, 3, 2, 1, 9], -1),
        ([6, 5, 6, 5, 6, 5, 5, 5], 0),  # a burst by two clocks: three steps down, two up
        ([1, 2, 1, 2, 1, 2], 0),
        ([7, 5, 5, 5, 4, 5], 0),  # two times put right
        ([7, 5, 5, 5, 4], -1),
        ([1, 2, 1, 2, 3, 4], 1),
        ([4, 3, 2, 1, 2, 1], -1),
    ],
)
def test_which_way_a_page_runs(seconds: list[int], way: int) -> None:
    """One way counts only where more than twice as many steps go that way, and more than one."""
    assert direction_of([NOON + timedelta(seconds=each) for each in seconds]) == way


def burst(*shifts: int) -> list[dict[str, Any]]:
    """Ten jobs, the shifted ones of a second, ten jobs; in the order in which they were made."""
    middle = [job(10 + n, created_at=START + 100 + shift) for n, shift in enumerate(shifts)]
    after = 10 + len(shifts)
    later = [job(n, created_at=START + 1000 + 10 * n) for n in range(after, after + 10)]
    return [*map(job, range(10)), *middle, *later]


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("command", ["sync", "reconcile"])
def test_a_burst_by_two_clocks_is_stored(migrated_url: str, command: str, lanes: int) -> None:
    listed = List(burst(6, 5, 6, 5, 6, 5, 5, 5, 5, 5))
    with reading(listed, migrated_url, page_size=10, first_load_lanes=lanes) as rig:
        result = rig.reconcile() if command == "reconcile" else rig.sync()
        assert result.error is None
        assert rig.jobs().keys() == {each["id"] for each in listed.jobs}
        assert rig.reconcile().error is None


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_page_that_stays_upside_down_ends_a_first_load_by_name(migrated_url: str, lanes: int) -> None:
    """The list begins with its oldest jobs, but one page runs from newest to oldest whenever it is asked for:
    it had been left out, and the run was green."""
    listed = List(burst(*range(9, -1, -1)))
    with reading(listed, migrated_url, page_size=10, first_load_lanes=lanes) as rig:
        result = rig.sync()
        stored = rig.jobs().keys() >= {each["id"] for each in listed.jobs}
        assert stored or type(result.error).__name__ == "OrderIgnored"
        assert stored == (result.error is None)
