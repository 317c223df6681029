"""What Prometheus sees. Labels never hold more than a source and one of a few words.

Counters and histograms are of this process. Gauges about sources come from the database, read at the scrape,
so that every service on one database shows the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from etl.analytics.status import SourceStatus
from etl.errors import EtlError
from etl.feed import FeedResult
from etl.records import Counts, RunKind, RunResult, time_elapsed
from etl.web.feed_metrics import FeedMetrics

_REQUEST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BATCH = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
_OUTCOMES = ("inserted", "updated", "unchanged", "rejected", "unlisted")
ReadStatuses = Callable[[], list[SourceStatus]]


class Metrics:
    """Told of runs by the service, asked by the web. Thread-safe."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # else each counter has a second series
        self.registry = CollectorRegistry()
        self._seen: dict[str, Counts] = {}
        self._lock = threading.Lock()
        self._runs = self._counter("runs", "Runs that ended.", "kind", "status")
        self._pages = self._counter("pages", "Pages of the list that were stored.")
        self._requests = self._counter("requests", "HTTP requests sent, retries included.")
        self._retries = self._counter("retries", "Requests repeated, by the error that made it so.", "cause")
        self._jobs = self._counter("jobs", "Jobs seen on pages, by what became of them.", "outcome")
        self._skips = self._counter("ticks_skipped", "Ticks that did not run, by reason.", "reason")
        self._misfires = self._counter("scheduler_misfires", "Ticks due while the run before went on.")
        self._latency = self._histogram("request_seconds", "Time of a request that was answered.", _REQUEST)
        self._batch = self._histogram("batch_seconds", "Time to store a batch of pages.", _BATCH)
        self.feed = FeedMetrics(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"bifrost_etl_{name}", text, ("source", *labels), registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"bifrost_etl_{name}", text, ("source",), buckets=buckets, registry=self.registry)

    # What a run tells.

    def requested(self, source: str, seconds: float) -> None:
        self._latency.labels(source).observe(seconds)

    def waiting(self, source: str, error: Exception, seconds: float) -> None:
        self._retries.labels(source, type(error).__name__).inc()

    def started(self, source: str, kind: RunKind) -> None:
        with self._lock:
            self._seen[source] = Counts()

    def advanced(self, source: str, counts: Counts, seconds: float) -> None:
        self._batch.labels(source).observe(seconds)
        self._add_counts(source, counts)

    def reading(self, source: str, what: str, count: int) -> None: ...

    def _add_counts(self, source: str, counts: Counts) -> None:
        with self._lock:
            before = self._seen.get(source, Counts())
            self._seen[source] = counts
        self._pages.labels(source).inc(counts.pages - before.pages)
        self._requests.labels(source).inc(max(0, counts.requests - before.requests))
        for name in _OUTCOMES:
            grown = getattr(counts, f"jobs_{name}") - getattr(before, f"jobs_{name}")
            self._jobs.labels(source, name).inc(max(0, grown))

    def finished(self, result: RunResult) -> None:
        self._add_counts(result.source, result.counts)

    # What the service tells.

    def ended(self, result: RunResult) -> None:
        self._runs.labels(result.source, result.kind, result.status).inc()

    def skipped(self, source: str, reason: str) -> None:
        self._skips.labels(source, reason).inc()

    def misfired(self, source: str) -> None:
        self._misfires.labels(source).inc()

    def delivered(self, result: FeedResult, seconds: float) -> None:
        self.feed.delivered(result, seconds)

    def watch(self, read: ReadStatuses, breaker_after: int) -> None:
        """Show the database's gauges too. Call once."""
        self.registry.register(_DatabaseGauges(read, breaker_after))

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class _DatabaseGauges(Collector):
    """Gauges read from the database."""

    def __init__(self, read: ReadStatuses, breaker_after: int) -> None:
        self._read, self._breaker_after = read, breaker_after

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not ask the database."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        try:
            found = self._read()
        except EtlError:
            found = None
        up = GaugeMetricFamily("bifrost_etl_database_up", "1 when the database answered the last question.")
        up.add_metric((), float(found is not None))
        yield up
        if found is not None:
            yield from self._gauges(found, datetime.now(UTC))

    def _gauges(self, found: list[SourceStatus], now: datetime) -> Iterator[Metric]:
        for name, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"bifrost_etl_{name}", text, labels=("source",))
            for status in found:
                number = value(status, now)
                if number is not None:
                    gauge.add_metric((status.source,), number)
            yield gauge
        yield self._breakers(found)

    def _breakers(self, found: list[SourceStatus]) -> Metric:
        text = "1 while the source is asked less and less often because its runs fail."
        gauge = GaugeMetricFamily("bifrost_etl_breaker_open", text, labels=("source",))
        for status in found:
            gauge.add_metric((status.source,), float(status.failures >= self._breaker_after))
        return gauge


def _seconds_since(moment: datetime | None, now: datetime) -> float | None:
    passed = time_elapsed(moment, now)
    return None if passed is None else passed.total_seconds()


_GAUGES: dict[str, tuple[str, Callable[[SourceStatus, datetime], float | None]]] = {
    "lag_seconds": (
        "Now minus the creation of the newest job that was synced.",
        lambda s, now: _seconds_since(s.newest_job_at, now),
    ),
    "last_success_age_seconds": (
        "Time since the source was last known complete.",
        lambda s, now: _seconds_since(s.complete_at, now),
    ),
    "last_reconcile_age_seconds": (
        "Time since the last complete reconcile.",
        lambda s, now: _seconds_since(s.reconciled_at, now),
    ),
    "stored_jobs": ("Jobs stored, all ever seen.", lambda s, now: s.jobs),
    "open_jobs": ("Listed jobs that may still change.", lambda s, now: s.open_jobs),
    "oldest_open_job_age_seconds": (
        "Age of the oldest unfinished job.",
        lambda s, now: _seconds_since(s.oldest_open_at, now),
    ),
    "consecutive_failures": ("Failed runs in a row.", lambda s, now: s.failures),
    "disabled": (
        "1 while the source is not asked: its settings were refused.",
        lambda s, now: float(s.disabled_at is not None),
    ),
    "lease_held": ("1 while some process is writing the source.", lambda s, now: float(bool(s.held_by))),
    "rejected_items": ("Items that could not be understood, kept verbatim.", lambda s, now: s.rejects),
    "unknown_fields": ("Fields that the contract does not name.", lambda s, now: s.drift),
    "coverage_gaps": (
        "Stretches of the list that are not read, and that nobody has accepted.",
        lambda s, now: len(s.open_gaps),
    ),
}
