"""How one run asks for pages and jobs: of its own account, past the gateway's cache, around its decoder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from etl.config import Source
from etl.errors import DeadCursor, NotFound, StalePage, Unparseable, Unsupported
from etl.extract import GatewayClient
from etl.extract.reply_headers import GATEWAY_CACHE, PROXY_CACHE
from etl.load import Store
from etl.pipeline.accounts import Accounts
from etl.pipeline.more_said import MoreSaid
from etl.pipeline.passthrough import Passthrough
from etl.records import PageRequest, PageRows, RawPage
from etl.transform import Options, transform_page

#: How often a page from the gateway's cache is asked for again, each time with another limit.
CACHE_RETRIES = 3
#: Jobs that a page may hold.
MOST = 100


class PageFetcher:
    """Thread-safe. `distrust` logs an answer that is not believed."""

    def __init__(
        self,
        source: Source,
        gateway: GatewayClient,
        store: Store,
        options: Options,
        distrust: Callable[[PageRows], None],
    ) -> None:
        self._source, self._gateway, self._store, self._options = source, gateway, store, options
        self._distrust = distrust
        self.passthrough = Passthrough(source, gateway, store, self._transform)
        self.accounts = Accounts(source, gateway, store.known, self.peek)
        self.more = MoreSaid()
        self._lock = threading.Lock()
        self._longest = 0  # of this run's pages that do not say whether more follows

    def fetch(self, request: PageRequest, *, attempts: int | None = None) -> PageRows:
        """One page that the gateway itself answered; pages from its cache are logged and asked for again."""
        for shrink in range(CACHE_RETRIES + 1):
            limit = request.limit - shrink if request.limit > shrink else request.limit + shrink
            rows = self._page_that_leads_on(replace(request, limit=limit), attempts)
            if not rows.stale:
                return replace(rows, ready=self._store.ready(rows))
            self._distrust(rows)
        raise _only_cached(request, on_the_way=rows.page.cached)

    def _page_that_leads_on(self, request: PageRequest, attempts: int | None) -> PageRows:
        """A page on which nothing has an id but the job that it was asked behind, or whose end has no cursor,
        is asked for again, longer: nothing could be asked behind it. Or shorter, where it stays as it is."""
        rows, asked = self._own_page(request, attempts), request
        while rows.page.items and _is_nameless(rows.page) and not _is_last(rows) and asked.limit < MOST:
            self._distrust(rows)
            asked = replace(asked, limit=min(MOST, 4 * asked.limit))
            rows = self._own_page(asked, attempts)
        shorter = _up_to_last_job(rows)
        if rows.page.items and _is_nameless(rows.page) and not _is_last(rows) and shorter:
            self._distrust(rows)
            asked = replace(asked, limit=shorter)
            rows = self._own_page(asked, attempts)
        if asked is request or rows.page.ends:
            return rows
        leads_to = None if _is_nameless(rows.page) else rows.page.leads_to
        return replace(rows, page=replace(rows.page, request=request, leads_to=leads_to))

    def _page(self, request: PageRequest, attempts: int | None) -> PageRows:
        """The page as the list shows it, or as the provider sends it where the gateway cannot decode it."""
        rows = self.passthrough.page(request) if self.passthrough.reads_on(request) else None
        if rows is None:
            try:
                rows = self._transform(self._gateway.page(request, attempts=attempts))
            except Unparseable:
                rows = self.passthrough.page(request)
                if rows is None:
                    raise
            except (DeadCursor, NotFound):  # of a job that only the passthrough has shown
                rows = self.passthrough.page(request) if self.passthrough.named(request.after) else None
                if rows is None:
                    raise
        return self._without_items(rows)

    def _own_page(self, request: PageRequest, attempts: int | None) -> PageRows:
        """A page of the account that this source mirrors. Raises AnotherAccount when only others answer."""
        while True:
            try:
                rows = self._page(request, attempts)
            except (DeadCursor, NotFound) as error:
                if not self.accounts.doubts(error):
                    raise
            except Unsupported as error:
                raise self.accounts.without_pin(error) from error
            else:
                if self.accounts.accept(rows):
                    return rows
                self._distrust(rows)
            self.accounts.pin()

    def peek(self, request: PageRequest, *, attempts: int | None = 1) -> PageRows:
        """A page to look at, not to believe: it is logged."""
        rows = self._without_items(self._transform(self._gateway.page(request, attempts=attempts)))
        self._distrust(rows)
        return rows

    def read_job(self, job_id: str) -> PageRows:
        """One job by id. Raises NotFound and the rest of the gateway's errors."""
        try:
            rows = self._transform(self.accounts.ask(lambda key: self._gateway.job(job_id, key=key)))
        except Unparseable:
            found = self.passthrough.job(job_id)
            if found is None:
                raise
            rows = found
        return replace(rows, page=_without_bytes(rows.page))

    def transform(self, page: RawPage) -> PageRows:
        """The page's rows, as this source's settings have them."""
        return self._without_items(self._transform(page))

    def _transform(self, page: RawPage) -> PageRows:
        return transform_page(page, self._options, source_provider=self._source.provider)

    def _without_items(self, rows: PageRows) -> PageRows:
        """Its items are only counted from now on: of a hundred pages that wait they would hold 4.5 MB."""
        self.more.heard(rows)
        page = self._with_full(rows.page)
        self.passthrough.remember(page, rows)
        return replace(rows, page=_without_bytes(page))

    def _with_full(self, page: RawPage) -> RawPage:
        """Where only its length says whether more follows: a gateway may cap the limit unsaid, today at fewer
        jobs than yesterday, so a page is full that is as long as the longest one of this run."""
        says = page.has_more is not None and not (page.has_more is False and self.more.is_constant)
        if says or not page.items:
            return page
        with self._lock:
            self._longest = max(self._longest, len(page.items))
            return replace(page, full=min(self._longest, page.most))


def _only_cached(request: PageRequest, *, on_the_way: bool) -> StalePage:
    whose = "a cache in front of the gateway" if on_the_way else "the gateway's cache"
    return StalePage(
        f"{whose} answered {CACHE_RETRIES + 1} times for the page after {request.after!r}",
        hint=PROXY_CACHE if on_the_way else GATEWAY_CACHE,
    )


def _is_nameless(page: RawPage) -> bool:
    """Where the list's cursors are none of its ids, only `last_id` leads on."""
    alone = page.again and page.leads_to == page.request.after and not page.ends
    return page.leads_to is None or alone or (page.apart and page.last_id is None)


def _up_to_last_job(rows: PageRows) -> int:
    """How many items there are but for those at the page's end that are no jobs; 0 where it ends with one."""
    rejected = {reject.position for reject in rows.rejects}
    count = len(rows.page.items)
    while count and count - 1 in rejected:
        count -= 1
    return count if count < len(rows.page.items) else 0


def _is_last(rows: PageRows) -> bool:
    """It says so, and could have held more."""
    return rows.page.ends and rows.page.has_room


def _without_bytes(page: RawPage) -> RawPage:
    return replace(page, items=(b"",) * len(page.items))
