"""Can `has_more: false` be believed? Some gateways say so on every page, the first of many included.

Two pages that said so and behind whose last job the list went on are proof, as one job may have come since;
a page that says `has_more: true` proves the contrary. Until then, length alone tells where the list ends.
"""

from __future__ import annotations

import threading

from etl.records import Order, PageRows

#: So many ends that were none.
LIES = 2


class MoreSaid:
    """Thread-safe. `is_constant`: it says `has_more: false` whatever follows."""

    def __init__(self) -> None:
        self.is_constant = False
        self._lies = 0
        self._ends: dict[Order, str] = {}  # the last job of a page that said so
        self._lock = threading.Lock()

    def heard(self, rows: PageRows) -> None:
        """A page came."""
        if rows.page.has_more is None or rows.stale:
            return
        with self._lock:
            if rows.page.has_more:
                self.is_constant, self._lies = False, 0
                self._ends.clear()
                return
            self._lies += self._goes_on(rows)
            self.is_constant = self.is_constant or self._lies >= LIES
            if rows.jobs:
                self._ends[rows.page.request.order] = rows.jobs[-1].job_id

    def _goes_on(self, rows: PageRows) -> bool:
        """It shows what stands behind the last job of the page before."""
        end, after = self._ends.get(rows.page.request.order), rows.page.request.after
        ids = [row.job_id for row in rows.jobs]
        if end is None or not ids:
            return False
        return end in ids[:-1] if end in ids else after == end
