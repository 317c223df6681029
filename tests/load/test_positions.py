"""Positions: whatever is asked, the order that comes out is the order that went in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from etl.load.positions import STEP, TOP, place_jobs

SPOTS = st.integers(min_value=-(1 << 61), max_value=1 << 61)


@given(count=st.integers(0, 50), from_top=st.booleans())
def test_new_jobs_in_an_empty_table_ascend(count: int, from_top: bool) -> None:
    placed = place_jobs([None] * count, None, None, from_top=from_top)
    assert placed == sorted(set(placed)) and len(placed) == count
    assert all((p >= TOP // 2) == from_top for p in placed)


@given(
    known=st.lists(SPOTS, unique=True, max_size=20).map(sorted),
    holes=st.lists(st.integers(0, 20), max_size=20),
)
def test_known_places_stay_and_new_ones_fit_between(known: list[int], holes: list[int]) -> None:
    items: list[int | None] = list(known)
    for hole in sorted(holes, reverse=True):
        items.insert(min(hole, len(items)), None)
    placed = place_jobs(items, None, None)
    assert placed == sorted(placed)
    assert [p for p, item in zip(placed, items, strict=True) if item is not None] == known


@given(low=SPOTS, room=st.integers(0, 3 * STEP), count=st.integers(1, 30), from_top=st.booleans())
def test_new_jobs_stay_between_their_neighbours(low: int, room: int, count: int, from_top: bool) -> None:
    placed = place_jobs([None] * count, low, low + room, from_top=from_top)
    assert placed == sorted(placed)
    assert all(low <= p <= low + room for p in placed)


def test_what_is_newer_than_all_goes_above_the_newest() -> None:
    placed = place_jobs([10 * STEP, None, None], 0, None, newest=50 * STEP)
    assert placed == [10 * STEP, 51 * STEP, 52 * STEP]


def test_a_known_place_that_contradicts_the_order_is_given_anew() -> None:
    placed = place_jobs([5 * STEP, 3 * STEP, 9 * STEP], None, None)
    assert placed[0] == 5 * STEP and placed[2] == 9 * STEP
    assert placed == sorted(set(placed))
