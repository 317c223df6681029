"""Is this page believable after the last one? The checks that turn an endless loop into a named error."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from etl.errors import OrderIgnored, RepeatedPage
from etl.extract import next_request
from etl.records import Order, PageRows


def direction(rows: PageRows) -> int:
    """1 when the page's jobs go from older to newer, -1 from newer to older, 0 when times cannot tell.

    By majority of neighbours, and never on one pair alone: a single absurd time must not condemn a page.
    """
    times = created(rows)
    later = sum(a < b for a, b in pairwise(times))
    earlier = sum(a > b for a, b in pairwise(times))
    if max(later, earlier) < 2 or later == earlier:
        return 0
    return 1 if later > earlier else -1


def created(rows: PageRows) -> list[datetime]:
    """Creation times of the page's jobs, in page order, where known."""
    return [row.created_at for row in rows.jobs if row.created_at is not None]


def backwards(rows: PageRows, order: Order) -> bool:
    """The page itself runs against the order asked for."""
    return direction(rows) == (-1 if order == "asc" else 1)


class Guard:
    """Watches the pages of one lane."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._cursors: set[str] = set()
        self._last: PageRows | None = None

    def check(self, rows: PageRows) -> None:
        """Raise RepeatedPage or OrderIgnored when `rows` cannot follow the pages before it."""
        if backwards(rows, self._order):
            raise OrderIgnored(
                f"asked for order={self._order}, got a page in the opposite order",
                hint="set `order: desc` for a gateway that only lists newest first",
            )
        if self._last is not None:
            self._check_repeat(self._last, rows)
            self._check_backwards(self._last, rows)
        self._check_cursor(rows)
        self._last = rows

    def _check_repeat(self, last: PageRows, rows: PageRows) -> None:
        before = {row.job_id for row in last.jobs}
        ids = {row.job_id for row in rows.jobs}
        repeated = len(ids & before)
        if ids and (repeated == len(ids) or repeated * 2 > len(ids)):
            raise RepeatedPage(
                f"the page after {rows.page.request.after!r} repeats {repeated} of {len(ids)} jobs",
                hint="the gateway ignores the cursor; it can only be read as far as one page reaches",
            )

    def _check_backwards(self, last: PageRows, rows: PageRows) -> None:
        old, new = sorted(created(last)), sorted(created(rows))
        if len(old) < 3 or len(new) < 3:
            return
        before, after = old[len(old) // 2], new[len(new) // 2]
        if (after < before) if self._order == "asc" else (after > before):
            raise OrderIgnored(
                f"the page after {rows.page.request.after!r} goes backwards in time",
                hint="the gateway does not keep order across pages, or several accounts answer: run `check`",
            )

    def _check_cursor(self, rows: PageRows) -> None:
        following = next_request(rows.page)
        if following is None or following.after is None:
            return
        if following.after in self._cursors or following.after == rows.page.request.after:
            raise RepeatedPage(
                f"the page after {rows.page.request.after!r} leads back to {following.after!r}",
                hint="the gateway's cursor does not move; run `check`",
            )
        self._cursors.add(following.after)
