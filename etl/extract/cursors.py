"""Lists whose cursors have other names than their items: a proxy rewrites the ids of the items, and `after`
takes only what `last_id` says.

The id of a page's last item is a safe cursor wherever it is understood, as a wrong `last_id` could skip jobs.
So `last_id` takes its place only where it is no id of the page, and where the list refuses the item's id or
passes it over.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

from etl.extract.paging import item_ids, next_cursor
from etl.records import RawPage

#: Pages whose `last_id` is remembered: those that a run may come back to.
REMEMBERED = 1000


class Named(NamedTuple):
    """What a page calls its ends, in names that are none of its items'. `ids` are those of its first two."""

    last: str
    first: str | None
    ids: tuple[str, ...]


class Cursors:
    """What to ask for instead of an item's id. Thread-safe. `apart`: the list has shown that it needs it."""

    def __init__(self) -> None:
        self.apart = False
        self.useless = False  # this client has tried the other name in vain
        self._names: OrderedDict[str, Named] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, page: RawPage) -> None:
        """Remember what the page calls its last item, where that is none of its ids."""
        last, cursor = page.last_id, next_cursor(page)
        if last is None or cursor is None or last == cursor or last in (ids := item_ids(page)):
            return
        first = None if page.first_id in ids else page.first_id
        with self._lock:
            self._names[cursor] = Named(last, first, tuple(ids[:2]))
            if len(self._names) > REMEMBERED:
                self._names.popitem(last=False)

    def other_name(self, cursor: str | None) -> Named | None:
        """The list's own name of this cursor, where it has one."""
        return None if cursor is None or self.useless else self._names.get(cursor)

    def passed_over(self, page: RawPage) -> bool:
        """The list did not go on behind this cursor, but began again or stopped."""
        found = self._names.get(page.request.after or "")
        if found is None:
            return False
        ids = item_ids(page)
        return not ids or ids[0] in found.ids or page.request.after in ids
