"""Lists whose cursors have other names than their items: a proxy rewrites the ids of the items, and `after`
takes only what `last_id` says.

The id of a page's last item is a safe cursor wherever it is understood, as a wrong `last_id` could skip jobs.
So `last_id` takes its place only where it is no id of the page, and where the list refuses the item's id or
passes it over.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from etl.errors import DeadCursor, NotFound
from etl.extract.paging import item_ids
from etl.records import RawPage

#: Pages whose `last_id` is remembered: those that a run may come back to.
REMEMBERED = 1000
AskBehind = Callable[[str | None], RawPage]


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

    def follow(self, cursor: str | None, ask: AskBehind) -> RawPage:
        """The page behind the cursor: `ask` gets the cursor under the name that the list understands."""
        other = None if cursor is None or self.useless else self._names.get(cursor)
        if other is None or cursor is None:
            page = ask(cursor)
        elif self.apart:
            page = ask(other.last)
        else:
            page = self._try_both(cursor, other, ask)
        self._note(page)
        return page

    def _try_both(self, cursor: str, other: Named, ask: AskBehind) -> RawPage:
        """Behind the item's id, and where the list does not go on there, behind its other name."""
        try:
            page = ask(cursor)
        except (DeadCursor, NotFound):
            if (found := self._by_other_name(other, ask)) is None:
                raise
            return found
        return (self._by_other_name(other, ask) or page) if self._passed_over(page) else page

    def _by_other_name(self, other: Named, ask: AskBehind) -> RawPage | None:
        """The page behind it, if the list goes on there, and what it calls its ends are cursors indeed."""
        try:
            page = ask(other.last)
            self.apart = not self._passed_over(page) and _proves_cursor(other, ask)
        except (DeadCursor, NotFound):
            return None
        self.useless = not self.apart
        return page if self.apart else None

    def _note(self, page: RawPage) -> None:
        """Remember what the page calls its last item, where that is none of its ids."""
        last, cursor = page.last_id, page.leads_to
        if last is None or cursor is None:
            return
        if last == cursor or last in (ids := item_ids(page)):
            self.apart = False  # its cursors have the items' names, or have them again
            return
        first = None if page.first_id in ids else page.first_id
        with self._lock:
            self._names[cursor] = Named(last, first, tuple(ids[:2]))
            if len(self._names) > REMEMBERED:
                self._names.popitem(last=False)

    def _passed_over(self, page: RawPage) -> bool:
        """The list did not go on behind this cursor, but began again or stopped."""
        found = self._names.get(page.request.after or "")
        if found is None:
            return False
        ids = item_ids(page)
        if ids and ids[0] == page.request.after and ids[0] not in found.ids[:1]:
            return False  # it goes on, with the cursor's own job (`inclusive`)
        return not ids or ids[0] in found.ids or page.request.after in ids


def _proves_cursor(other: Named, ask: AskBehind) -> bool:
    """Behind what the page calls its first item stands its second one: these names are cursors."""
    if other.first is None or other.first == other.last or len(other.ids) < 2:
        return True
    return item_ids(ask(other.first))[:1] == [other.ids[1]]
