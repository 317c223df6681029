"""Pages that the gateway cannot decode, read through its passthrough: the provider's own bytes.

A page counts only when it is the same account's: it is asked for from one job before the cursor, and must
show the cursor's job; at the list's ends, a job that the list has shown must be there too, of the same time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from etl.errors import GatewayError, Retriable
from etl.extract import GatewayClient, provider_bytes
from etl.load import newest_known
from etl.log import get_logger
from etl.records import PageRequest, PageRows, RawPage

if TYPE_CHECKING:
    from etl.config import Source
    from etl.load import Store

_MOST = 100  # jobs that a page may hold
_REMEMBERED = 300  # cursors of this run
_MEMORY = 86_400.0  # seconds for which a gateway without one is not asked again
Transform = Callable[[RawPage], PageRows]


class Passthrough:
    """The way around the gateway's decoder, for one run. `possible` turns false when it is not offered."""

    def __init__(self, source: Source, gateway: GatewayClient, store: Store, transform: Transform) -> None:
        self._source, self._gateway, self._store, self._transform = source, gateway, store, transform
        wanted = source.passthrough != "never" and source.provider == provider_bytes.PROVIDER
        self.missing_since = store.committed.state.learned.no_passthrough
        self.possible = wanted and not self._is_known_missing()
        self.always = self.possible and source.passthrough == "always"
        self._before: dict[str, str | None] = {}  # by cursor: the job listed just before it
        self._lock = threading.Lock()  # several lanes remember at once
        self._proved = False
        self._reads_jobs = True  # by id; where it does not, pages may still be had
        self._ends = deque[str](maxlen=_REMEMBERED)  # cursors that only a page read here has named

    def remember(self, page: RawPage, rows: PageRows) -> None:
        """What stands before the cursor of the next page."""
        cursor = page.leads_to
        if cursor is not None and self.possible:
            ids = [row.job_id for row in rows.jobs if row.job_id != cursor]
            with self._lock:
                self._before[cursor] = ids[-1] if ids else page.request.after
                if len(self._before) > _REMEMBERED:
                    del self._before[next(iter(self._before))]

    def page(self, request: PageRequest) -> PageRows | None:
        """The page that the list could not show; None when it cannot be had, or not for certain."""
        if not self.possible:
            return None
        try:
            raw = self._first(request) if request.after is None else self._behind(request, request.after)
        except GatewayError as error:
            self._note_failure(error)
            self.possible = self.possible and isinstance(error, Retriable)
            return None
        if raw is not None and raw.leads_to is not None:
            self._ends.append(raw.leads_to)
        return None if raw is None else self._rows(raw)

    def reads_on(self, request: PageRequest) -> bool:
        """The page before was read here: of the list's own cursors, which are no ids, none is known."""
        return self.always or (self._gateway.cursors.apart and self.named(request.after))

    def named(self, cursor: str | None) -> bool:
        """A page that was read here ended with it."""
        return cursor in self._ends

    def job(self, job_id: str) -> PageRows | None:
        """One job that the gateway cannot decode; None when it cannot be had: a passthrough that says 404
        contradicts the gateway, which met the job."""
        native = provider_bytes.native_id(job_id) if self.possible and self._reads_jobs else None
        try:
            if native is None or not self._is_same_account():
                return None
            return self._rows(self._gateway.raw_job(native, job_id))
        except GatewayError as error:
            self._note_failure(error)
            self._reads_jobs = _may_pass(error)
            return None

    def _note_failure(self, error: GatewayError) -> None:
        get_logger("pipeline").warning("passthrough_failed", source=self._source.name, error=str(error))
        if not _may_pass(error) and self._is_missing():
            self.possible = False
            self.missing_since = int(self._store.clock().timestamp())

    def _is_missing(self) -> bool:
        """It shows no list at all: not that a cursor is dead, or a job is gone."""
        try:
            self._gateway.raw_page(PageRequest(None, "desc", 1), None)
        except GatewayError as error:
            return not _may_pass(error)
        return False

    def _is_known_missing(self) -> bool:
        """Lately it was asked in vain; a reconcile asks anew."""
        if self.missing_since is None or self._store.kind == "reconcile":
            return False
        return 0 <= self._store.clock().timestamp() - self.missing_since < _MEMORY

    def _first(self, request: PageRequest) -> RawPage | None:
        return self._gateway.raw_page(request, None) if self._is_same_account() else None

    def _behind(self, request: PageRequest, cursor: str) -> RawPage | None:
        """Asked from one job before the cursor, and cut behind the cursor's job."""
        with self._lock:
            known, before = cursor in self._before, self._before.get(cursor)
        before = before if known else self._job_before(request, cursor)
        native = None if before is None else provider_bytes.native_id(before)
        if before is not None and native is None:
            return None
        page = self._gateway.raw_page(replace(request, limit=min(_MOST, request.limit + 1)), native)
        place = self._place_of(cursor, page)
        if place is None:
            return None
        items = page.items[place + 1 :]
        if not items and not page.ends:
            return None
        return replace(page, request=request, items=items, has_more=not page.ends)

    def _place_of(self, job_id: str, page: RawPage) -> int | None:
        """Where it stands among the page's items; beside it there may be items that are no jobs."""
        for place, item in enumerate(page.items):
            if any(row.job_id == job_id for row in self._transform(replace(page, items=(item,))).jobs):
                return place
        return None

    def _job_before(self, request: PageRequest, cursor: str) -> str | None:
        known = self._store.known([cursor])
        if cursor not in known:
            return None
        place, above = known[cursor].list_position, request.order == "desc"
        found = self._store.listed_beside(place, above=above)
        return None if found is None else found[0]

    def _is_same_account(self) -> bool:
        """A job that the list has shown can be had, and was created at the same time. Asked once in a run."""
        if self._proved:
            return True
        witness = self._witness()
        native = None if witness is None else provider_bytes.native_id(witness[0])
        if witness is None or native is None:
            return False
        rows = self._transform(self._gateway.raw_job(native, witness[0]))
        self._proved = [(row.job_id, row.created_at) for row in rows.jobs] == [witness]
        return self._proved

    def _witness(self) -> tuple[str, object] | None:
        """A job that is stored, or one that the list shows from either of its ends."""
        source_id = self._store.source_id
        complete = self._store.committed.state.complete_run_id
        if complete is not None:
            known = self._store.read(lambda conn: newest_known(conn, source_id, complete))
            if known is not None:
                return known
        ends = (PageRequest(None, "asc", 1), PageRequest(None, "desc", 1))
        for request in ends:
            try:
                rows = self._transform(self._gateway.page(request, attempts=1))
            except GatewayError:
                continue
            if rows.jobs:
                return rows.jobs[0].job_id, rows.jobs[0].created_at
        return None

    def _rows(self, page: RawPage) -> PageRows:
        """As the provider wrote them; but a job that is stored just as the list shows it stays so: else each
        way of reading would take back what the other one has written."""
        self.missing_since = None
        rows = self._transform(page)
        listed = self._transform(replace(page, items=tuple(map(provider_bytes.as_listed, page.items))))
        plain = {row.job_id: row for row in listed.jobs}
        known = self._store.known(list(plain))
        same = {i for i, job in known.items() if job.content_hash == plain[i].content_hash}
        return replace(rows, jobs=tuple(plain[r.job_id] if r.job_id in same else r for r in rows.jobs))


def _may_pass(error: GatewayError) -> bool:
    """Bifrost answers a path that it does not have with its dashboard: that will not pass."""
    return isinstance(error, Retriable) and not getattr(error, "hopeless", False)
