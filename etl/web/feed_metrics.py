"""What Prometheus sees of the feed. Labels: destination, and source where it is about one.

Everything is of this process; what waits is read from the database at the scrape, against the marks of this
process's last delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from etl.errors import EtlError
from etl.feed import FeedResult
from etl.feed.lag import Lag
from etl.records import time_elapsed

_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a destination stands; `lags` are empty until something was delivered."""

    destination: str
    failures: int
    last_ok: datetime | None
    lags: Sequence[Lag] = ()


ReadDeliveries = Callable[[], list[Delivered]]


class FeedMetrics:
    """Told of deliveries by the service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._deliveries = Counter(
            "bifrost_etl_feed_deliveries",
            "Deliveries that ended.",
            ("destination", "status"),
            registry=registry,
        )
        self._rows = Counter(
            "bifrost_etl_feed_rows", "Rows delivered.", ("destination", "table"), registry=registry
        )
        self._seconds = Histogram(
            "bifrost_etl_feed_seconds",
            "Time of a delivery.",
            ("destination",),
            buckets=_SECONDS,
            registry=registry,
        )

    def delivered(self, result: FeedResult, seconds: float) -> None:
        self._deliveries.labels(result.destination, result.status).inc()
        if result.status != "skipped":
            self._seconds.labels(result.destination).observe(seconds)
        for table, rows in result.rows.items():
            self._rows.labels(result.destination, table).inc(rows)

    def watch(self, read: ReadDeliveries) -> None:
        """Show what waits too. Call once."""
        self._registry.register(_Waiting(read))


class _Waiting(Collector):
    def __init__(self, read: ReadDeliveries) -> None:
        self._read = read

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not ask the database."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        try:
            found = self._read()
        except EtlError:  # bifrost_etl_database_up says so
            return
        now = datetime.now(UTC)
        yield from _of_destinations(found, now)
        yield from _of_sources(found, now)


def _of_destinations(found: list[Delivered], now: datetime) -> Iterator[Metric]:
    failures = GaugeMetricFamily(
        "bifrost_etl_feed_consecutive_failures", "Failed deliveries in a row.", labels=("destination",)
    )
    age = GaugeMetricFamily(
        "bifrost_etl_feed_last_success_age_seconds",
        "Time since everything was delivered.",
        labels=("destination",),
    )
    for one in found:
        failures.add_metric((one.destination,), one.failures)
        if (passed := time_elapsed(one.last_ok, now)) is not None:
            age.add_metric((one.destination,), passed.total_seconds())
    yield from (failures, age)


def _of_sources(found: list[Delivered], now: datetime) -> Iterator[Metric]:
    labels = ("destination", "source")
    lag = GaugeMetricFamily(
        "bifrost_etl_feed_lag_seconds", "Age of the oldest change that is not delivered.", labels=labels
    )
    pending = GaugeMetricFamily(
        "bifrost_etl_feed_pending_changes", "Changes that are not delivered.", labels=labels
    )
    for one in found:
        for row in one.lags:
            oldest = row.oldest_pending
            seconds = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
            lag.add_metric((one.destination, row.source), seconds)
            pending.add_metric((one.destination, row.source), row.pending)
    yield from (lag, pending)
