"""Tell an observer (the service's metrics) what runs do: requests, batches, retries. Nothing else changes."""

from __future__ import annotations

import time
from typing import Any, Protocol

from etl.extract import GatewayClient
from etl.load import CommitBatch, Store
from etl.records import Counts, PageRequest, RawPage, RunKind, RunResult


class Observer(Protocol):
    """Told from the threads that do the work. Lengths are seconds."""

    def requested(self, source: str, seconds: float) -> None: ...
    def stored(self, source: str, seconds: float) -> None: ...
    def retried(self, source: str, error: Exception) -> None: ...


class Unwatched:
    """Nobody looks."""

    def requested(self, source: str, seconds: float) -> None: ...
    def stored(self, source: str, seconds: float) -> None: ...
    def retried(self, source: str, error: Exception) -> None: ...


class Silent:
    """A progress that nobody watches."""

    def started(self, source: str, kind: RunKind) -> None: ...
    def advanced(self, source: str, counts: Counts) -> None: ...
    def waiting(self, source: str, why: str, seconds: float) -> None: ...
    def finished(self, result: RunResult) -> None: ...


class WatchedGateway(GatewayClient):
    """A gateway whose answers are timed: the last request of each page, without waits between tries."""

    def __init__(self, source: Any, *, observer: Observer, **wiring: Any) -> None:
        super().__init__(source, **wiring)
        self._observer = observer

    def page(self, request: PageRequest, *, attempts: int | None = None) -> RawPage:
        page = super().page(request, attempts=attempts)
        self._observer.requested(self.source.name, page.duration)
        return page

    def job(self, job_id: str, *, key: str | None = None) -> RawPage:
        page = super().job(job_id, key=key)
        self._observer.requested(self.source.name, page.duration)
        return page


class WatchedStore(Store):
    """A store whose commits are timed, waits for a busy database included."""

    def __init__(self, *facts: Any, source: str, observer: Observer, **wiring: Any) -> None:
        super().__init__(*facts, **wiring)
        self._source, self._observer = source, observer

    def commit(self, batch: CommitBatch) -> None:
        begun = time.monotonic()
        super().commit(batch)
        self._observer.stored(self._source, time.monotonic() - begun)
