"""What pages may ask of the running service. Callables, because a reload replaces what is behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from etl.analytics.status import SourceStatus, read_status
from etl.app import App
from etl.config import ServiceConfig
from etl.schema.migrate import check_schema
from etl.web.cache import Cache, Shared
from etl.web.metrics import Metrics


def _unknown(status: SourceStatus) -> datetime | None:
    return None


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """`app` is the configuration at work. `alive` says that runs are started. `limits` gives the age in
    seconds up to which each enabled source counts as fresh. `service` is fixed: host, port, token. `next_try`
    says when a source that fails is tried again, if it is known."""

    app: Callable[[], App]
    service: ServiceConfig
    metrics: Metrics
    alive: Callable[[], bool]
    limits: Callable[[], Mapping[str, float]]
    clock: Callable[[], datetime] = _utc_now
    next_try: Callable[[SourceStatus], datetime | None] = _unknown
    cache: Cache[list[SourceStatus]] = field(default_factory=Cache)
    asked: Shared[list[SourceStatus]] = field(default_factory=Shared)
    checked: Shared[None] = field(default_factory=Shared)

    def read(self) -> list[SourceStatus]:
        """How every enabled source stands, as of a few seconds ago at most. Raises StorageError, at the
        latest after three seconds: a probe waits no longer."""
        found = self.asked.get(lambda: self.cache.get(lambda: read_status(self.app().engine, self.clock())))
        enabled = self.limits()
        return [status for status in found if status.source in enabled]

    def check_schema(self) -> None:
        """Raises SchemaMismatch, or another StorageError when the database cannot be asked."""
        self.checked.get(lambda: check_schema(self.app().engine))

    def redact(self, text: str) -> str:
        return self.app().redact(text)
