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
from dataclasses import replace
from typing import NamedTuple

from etl.errors import DeadCursor, NotFound, Unparseable
from etl.extract.paging import item_ids
from etl.records import Order, PageRequest, RawPage

#: Pages whose `last_id` is remembered: those that a run may come back to.
REMEMBERED = 1000
#: Asks the question with the cursor under this name.
AskBehind = Callable[[PageRequest, str | None], RawPage]
#: Where servers of other make say what leads on.
NEXT = ("next_cursor", "nextCursor", "next")
OPPOSITE: dict[Order, Order] = {"asc": "desc", "desc": "asc"}


class Named(NamedTuple):
    """What a page calls its ends, in names that are none of its items'. `ids` are those of its first two;
    `beside` is the id before the last one. `request` is what it answers, `behind` what its cursor was called.
    """

    last: str
    first: str | None
    ids: tuple[str, ...]
    beside: str | None
    request: PageRequest
    behind: str | None


class Cursors:
    """What to ask for instead of an item's id. Thread-safe. `apart`: the list has shown that it needs it."""

    def __init__(self) -> None:
        self.apart = False
        self.useless = False  # this client has tried the other name in vain
        self._names: OrderedDict[tuple[Order, str], Named] = OrderedDict()
        self._lock = threading.Lock()

    def follow(self, request: PageRequest, ask: AskBehind) -> RawPage:
        """The page behind the cursor: `ask` gets the cursor under the name that the list understands."""
        cursor = request.after
        other = None if cursor is None or self.useless else self._named(request.order, cursor)
        turned = other is not None and other.request.order != request.order
        if other is None or (turned and not self.apart):
            page, name = ask(request, cursor), cursor
        elif turned:
            page, name = self._turn(request, other, ask)
        elif self.apart:
            page, name = ask(request, other.last), other.last
        else:
            page, name = self._try_both(request, other, ask)
        self._note(page, name)
        return replace(page, apart=self.apart or (_names_cursors(page) and not self.useless))

    def page_that_ends(self, order: Order, job_id: str) -> PageRequest | None:
        """What this client asked when a page of this order ended with that job, where it remembers."""
        found = self._names.get((order, job_id))
        return None if found is None else found.request

    def _named(self, order: Order, cursor: str) -> Named | None:
        """As a page of this order calls it, or of the other one."""
        return self._names.get((order, cursor)) or self._names.get((OPPOSITE[order], cursor))

    def _turn(self, request: PageRequest, other: Named, ask: AskBehind) -> tuple[RawPage, str | None]:
        """By a name from the list turned round, which holds where it leads back; an offset does not."""
        page = ask(request, other.last)
        if item_ids(page)[:1] == [other.beside]:
            return page, other.last
        return ask(request, request.after), request.after

    def _try_both(self, request: PageRequest, other: Named, ask: AskBehind) -> tuple[RawPage, str | None]:
        """Behind the item's id, and where the list does not go on there, behind its other name."""
        try:
            page = ask(request, request.after)
        except (DeadCursor, NotFound):
            if (found := self._by_other_name(request, other, ask)) is None:
                raise
            return found, other.last
        if self._passed_over(page) and (found := self._by_other_name(request, other, ask)) is not None:
            return found, other.last
        return page, request.after

    def _by_other_name(self, request: PageRequest, other: Named, ask: AskBehind) -> RawPage | None:
        """The page behind it, if the list goes on there, and what it calls its ends are cursors indeed; or if
        it ends there, while the job whose id is no cursor is listed still."""
        try:
            page = ask(request, other.last)
            if page.items:
                self.apart = not self._passed_over(page) and _proves_cursor(request, other, ask)
            else:
                self.apart = request.after in item_ids(ask(other.request, other.behind))
        except (DeadCursor, NotFound):
            return None
        except Unparseable:  # so it leads on, to a record that the gateway cannot read
            self.apart = True
            raise
        self.useless = not self.apart
        return page if self.apart else None

    def _note(self, page: RawPage, name: str | None) -> None:
        """Remember what the page calls its last item, where that is none of its ids. `name`: what its cursor
        was called."""
        last, cursor = page.last_id, page.leads_to
        if last is None or cursor is None or not page.items:  # an empty page has no ids to compare
            return
        if not _names_cursors(page):
            self.apart = False  # its cursors have the items' names, or have them again
            return
        ids = item_ids(page)
        if last == cursor or last in ids:
            return
        first = None if page.first_id in ids else page.first_id
        with self._lock:
            self._names[page.request.order, cursor] = Named(
                last, first, tuple(ids[:2]), (None, *ids)[-2], page.request, name
            )
            if len(self._names) > REMEMBERED:
                self._names.popitem(last=False)

    def _passed_over(self, page: RawPage) -> bool:
        """The list did not go on behind this cursor, but began again or stopped."""
        found = self._names.get((page.request.order, page.request.after or ""))
        if found is None:
            return False
        ids = item_ids(page)
        if ids and ids[0] == page.request.after and ids[0] not in found.ids[:1]:
            return False  # it goes on, with the cursor's own job (`inclusive`)
        return not ids or ids[0] in found.ids or page.request.after in ids


def _names_cursors(page: RawPage) -> bool:
    """It calls them something that may be none of its ids."""
    if any(member in page.unknown for member in NEXT):
        return True
    return page.last_id not in (None, page.leads_to) and page.last_id not in item_ids(page)


def _proves_cursor(request: PageRequest, other: Named, ask: AskBehind) -> bool:
    """Behind what the page calls its first item stands its second one: these names are cursors."""
    if other.first is None or other.first == other.last or len(other.ids) < 2:
        return True
    return item_ids(ask(request, other.first))[:1] == [other.ids[1]]
