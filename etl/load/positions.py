"""Where a job stands in the gateway's creation order, as one number per job.

`created_at` has one-second ties, so it cannot order jobs; the list can. Positions are handed out with wide
gaps, so that a job found between two others later fits between them. Only comparisons mean anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from etl.records import Order

_T = TypeVar("_T")

STEP = 1 << 20
#: Where jobs stand that no list has shown: they were found in the gateway's log. Below every place of a list.
UNPLACED = -(1 << 62)
#: Where the newest-first half of a first load begins, far above the oldest-first half.
TOP = 1 << 62
#: Room left below a newest-first page that touches nothing known: 16 million jobs.
LEAP = 1 << 44
#: The same where the list ends with that page, as at each sync of who deletes every job that was fetched:
#: 262,144 times LEAP are all numbers. Some room stays, for a page that ended the list wrongly.
HOP = 1 << 34


def place_jobs(
    known: Sequence[int | None],
    low: int | None,
    high: int | None,
    *,
    newest: int | None = None,
    from_top: bool = False,
) -> list[int]:
    """Positions for jobs in creation order, oldest first; None in `known` asks for one.

    `low` and `high` are the positions of the neighbours outside (None: nothing there). Known positions stay
    unless they contradict the order, then they are given anew. `from_top` hangs unknown jobs below `high`.
    """
    fixed = _ascending_positions(known, low, high)
    placed: list[int] = []
    start = 0
    for end in [i for i, p in enumerate(fixed) if p is not None] + [len(fixed)]:
        below = placed[-1] if placed else low
        above = fixed[end] if end < len(fixed) else high
        if above is None and newest is not None:
            below = newest if below is None else max(below, newest)
        placed += _positions_between(end - start, below, above, from_top=from_top)
        if end < len(fixed):
            placed.append(fixed[end])  # type: ignore[arg-type]
        start = end + 1
    return placed


def _ascending_positions(known: Sequence[int | None], low: int | None, high: int | None) -> list[int | None]:
    """`known` without the positions that go backwards or leave the bounds."""
    kept: list[int | None] = []
    last = low
    for position in known:
        fits = (
            position is not None and (last is None or position > last) and (high is None or position < high)
        )
        kept.append(position if fits else None)
        last = position if fits else last
    return kept


def _positions_between(count: int, low: int | None, high: int | None, *, from_top: bool) -> list[int]:
    if count == 0:
        return []
    if low is None and high is None:
        low, high = (None, TOP) if from_top else (0, None)
    if high is None:
        return [low + STEP * (i + 1) for i in range(count)]  # type: ignore[operator]
    if low is None:
        return [high - STEP * (count - i) for i in range(count)]
    # Half the room stays free, so that the next page of the same walk fits too.
    step = min(STEP, (high - low) // (2 * (count + 1)))
    if from_top:
        return [high - step * (count - i) for i in range(count)]
    return [low + step * (i + 1) for i in range(count)]


def oldest_first(items: Sequence[_T], order: Order) -> list[_T]:
    """A page's items in creation order, whatever order they came in."""
    return list(items) if order == "asc" else list(reversed(items))
