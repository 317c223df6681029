"""Lists whose page behind a job begins with that job: their authors took `after` for where a page begins.

Such a page is read as what follows its first item, and is asked for with room for one more. A list that
ignores its cursor shows such a page too, behind its first job, so the first one met is not believed unasked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from etl.errors import GatewayError
from etl.extract.paging import first_item_id, item_ids
from etl.records import Order, PageRequest, RawPage

#: Jobs that a page may hold.
MOST = 100
#: Jobs that are asked for to find one that is not the first.
LOOK = 10
AskPage = Callable[[PageRequest], RawPage]


class Inclusive:
    """`known`: the list has shown that it is one. Thread-safe."""

    def __init__(self) -> None:
        self.known = False
        self._refuted = False  # this client has looked, and it is none

    def follow(self, request: PageRequest, ask: AskPage) -> RawPage:
        """The page behind the cursor; it is marked `again` where it begins with the cursor's own job."""
        if request.after is None:
            return ask(request)
        longer = self.known and request.limit < MOST
        page = ask(replace(request, limit=request.limit + 1) if longer else request)
        first = first_item_id(page)
        again = first == request.after and (self.known or self._proves(page, ask))
        if again and self.known and not longer and len(page.items) == 1 and request.limit < MOST:
            return self.follow(request, ask)  # with room for what follows
        if first is not None and not again:
            self.known = False
        return replace(page, request=request, again=again, longer=longer)

    def _proves(self, page: RawPage, ask: AskPage) -> bool:
        """A job that is not the list's first one is shown behind itself as well; or there is but one."""
        if self._refuted:
            return False
        pages = [page] if len(item_ids(page)) > 1 else _beginnings(page.request.order, ask)
        try:
            for each in pages:
                if len(ids := item_ids(each)) > 1:
                    behind = ask(PageRequest(ids[-1], each.request.order, 1))
                    self.known = first_item_id(behind) == ids[-1]
                    self._refuted = not self.known
                    return self.known
        except GatewayError:
            return False
        if any(_begins_elsewhere(page.request, each) for each in pages):
            self.known = True
        return self.known or (
            len(pages) > 1 and all(_shows_only(page.request.after, each) for each in (page, *pages))
        )


def _beginnings(order: Order, ask: AskPage) -> list[RawPage]:
    """The list's first jobs from either end, as far as they can be read: the first one at least."""
    orders: tuple[Order, ...] = (order, "desc" if order == "asc" else "asc")
    found = []
    for each in orders:
        for limit in (LOOK, 1):
            with suppress(GatewayError):
                found.append(ask(PageRequest(None, each, limit)))
                break
    return found


def _begins_elsewhere(request: PageRequest, page: RawPage) -> bool:
    """A list that ignored its cursor would have begun with this page's first job."""
    return page.request.order == request.order and first_item_id(page) not in (None, request.after)


def _shows_only(job_id: str | None, page: RawPage) -> bool:
    return len(page.items) == 1 and first_item_id(page) == job_id
