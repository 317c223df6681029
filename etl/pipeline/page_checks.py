"""Is this page believable after the last one? The checks that turn an endless loop into a named error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

from etl.errors import GatewayError, OrderIgnored, PagingError, RepeatedPage
from etl.records import Order, PageRequest, PageRows
from etl.words import count_noun


def direction(rows: PageRows) -> int:
    """1 when the page's jobs go from older to newer, -1 from newer to older, 0 when times cannot tell.

    By more than twice as many neighbours, and never by one pair alone: neither a single absurd time nor a
    burst by the clocks of several nodes may condemn a page.
    """
    return direction_of(created(rows))


def direction_of(times: list[datetime]) -> int:
    later = sum(a < b for a, b in pairwise(times))
    earlier = sum(a > b for a, b in pairwise(times))
    if later > 1 and later > 2 * earlier:
        return 1
    return -1 if earlier > 1 and earlier > 2 * later else 0


def created(rows: PageRows) -> list[datetime]:
    """Creation times of the page's jobs, in page order, where known."""
    return [moment for row in rows.jobs if (moment := row.created_at) is not None]


def wholly_after(rows: PageRows, moment: datetime) -> bool:
    """Every known creation of two or more is later: one absurd time must not end a segment."""
    known = 0
    for row in rows.jobs:
        if row.created_at is not None:
            if row.created_at <= moment:
                return False  # nearly always the first
            known += 1
    return known > 1


def backwards(rows: PageRows, order: Order) -> bool:
    """The page itself runs against the order asked for."""
    return direction(rows) == (-1 if order == "asc" else 1)


def keeps_order(rows: PageRows, peek: Callable[[PageRequest], PageRows], *, one_way: bool) -> bool:
    """Asked the other way from its last job, the list shows the page turned round, and then the one
    that the page was asked behind. One that runs `one_way`, as was found out, cannot be turned: behind a job
    it shows the same jobs again."""
    asked, ids = rows.page.request, [row.job_id for row in rows.jobs]
    if not rows.page.heeds_limit:  # nor any order
        return False
    wanted = [*reversed(ids[:-1]), *([asked.after] if asked.after else [])]
    back: Order = "desc" if asked.order == "asc" else "asc"
    again = asked if one_way and asked.after else PageRequest(ids[-1], back, max(1, len(wanted)))
    try:
        seen = peek(again)
    except GatewayError:
        return False
    shown = [row.job_id for row in seen.jobs]
    if again is asked:
        wanted = ids
    return bool(shown) and not seen.stale and shown == wanted[: len(shown)]


class Guard:
    """Watches the pages of one lane."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._cursors: set[int] = set()  # their hashes: 10,000 cursors of a million jobs take 1 MB less
        self._ids: set[str] = set()  # of the last page
        self._middle: datetime | None = None  # the last page's median creation

    def check(self, rows: PageRows, *, by_time: bool = True) -> None:
        """Raise RepeatedPage or OrderIgnored when `rows` cannot follow the pages before it; the latter only
        where times of creation count."""
        times, ids = created(rows) if by_time else [], {row.job_id for row in rows.jobs}
        ordered = sorted(times)
        self._check_order(times, ordered)
        self._check_repeat(ids, rows)
        if len(ordered) >= 3:
            self._check_backwards(ordered[len(ordered) // 2], rows)
        self._check_cursor(rows)
        self._ids = ids

    def _check_order(self, times: list[datetime], ordered: list[datetime]) -> None:
        if ordered == (times if self._order == "asc" else times[::-1]):
            return  # nearly always, and cheaper than counting
        if direction_of(times) == (-1 if self._order == "asc" else 1):
            raise OrderIgnored(
                f"asked for order={self._order}, got a page in the opposite order",
                hint="set `order: desc` for a gateway that only lists newest first",
            )

    def _check_repeat(self, ids: set[str], rows: PageRows) -> None:
        repeated = len(ids & self._ids)
        if ids and (repeated == len(ids) or repeated * 2 > len(ids)):
            raise RepeatedPage(
                f"the page {_after(rows)} repeats {repeated} of {count_noun(len(ids), 'job')}",
                hint="the gateway ignores the cursor; it can only be read as far as one page reaches",
            )

    def _check_backwards(self, middle: datetime, rows: PageRows) -> None:
        before, self._middle = self._middle, middle
        if before is not None and ((middle < before) if self._order == "asc" else (middle > before)):
            raise OrderIgnored(
                f"the page {_after(rows)} goes backwards in time",
                hint="the gateway does not keep order across pages, or several accounts answer: run `check`",
            )

    def _check_cursor(self, rows: PageRows) -> None:
        following = rows.page.following
        if following is None or following.after is None:
            if rows.page.items and not rows.page.ends:
                raise PagingError(
                    f"the page {_after(rows)} is not the last one, but nothing on it has an id",
                    hint="the gateway's items are no jobs, or it names them differently; run `check`",
                )
            return
        mark = hash(following.after)
        if mark in self._cursors or following.after == rows.page.request.after:
            raise RepeatedPage(
                f"the page {_after(rows)} leads back to {_clipped(following.after)!r}",
                hint="the gateway's cursor does not move; run `check`",
            )
        self._cursors.add(mark)


def _after(rows: PageRows) -> str:
    cursor = rows.page.request.after
    return "asked for first" if cursor is None else f"after {_clipped(cursor)!r}"


def _clipped(cursor: str) -> str:
    """Cursors come from the gateway, and may be of any length."""
    return cursor if len(cursor) <= 100 else f"{cursor[:100]}…"
