"""One round of everything due, for cron, Kubernetes and Airflow, which bring their own clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

from etl.app import App, side_by_side
from etl.config import Source
from etl.errors import EtlError
from etl.feed.delivery import DeliveryWatch, FeedResult, deliver_to_all
from etl.load.source_health import Health, read_health
from etl.observer import Observer
from etl.records import RunResult, never_began
from etl.scheduler.timing import is_disabled, reconcile_verdict
from etl.worker import utc_now


def run_once(app: App, *, progress: Observer, stop: threading.Event) -> list[RunResult]:
    """Sync every enabled source side by side, and reconcile those whose schedule says so.

    A disabled source is not asked: its result is a failure that says why. Raises ConfigError and
    StorageError as `App.sync` does.
    """
    chosen = app.config.choose()
    app.prepare()
    rounds = side_by_side(
        lambda source: list(_round_of_source(app, source, progress, stop)), chosen, app.config.parallel
    )
    return [result for results in rounds for result in results]


def deliver_once(app: App, *, watch: DeliveryWatch, stop: threading.Event) -> list[FeedResult]:
    """Deliver to every destination that has a schedule: here somebody else keeps the time."""
    names = [destination.name for destination in app.config.feed.destinations if destination.scheduled]
    return deliver_to_all(app.engine, app.config, names, watch=watch, stop=stop) if names else []


def _round_of_source(
    app: App, source: Source, progress: Observer, stop: threading.Event
) -> Iterator[RunResult]:
    begun = utc_now()
    try:
        health = read_health(app.engine, source.name, begun)
    except EtlError as error:
        yield _failed_result(source, begun, error)
        return
    if health is not None and health.retired_at is not None:
        return  # an archive
    if health is not None and is_disabled(health, source, begun):
        yield _failed_result(source, begun, explain_disabled(source, health))
        return
    synced = app.run_source(source, "incremental", progress=progress, stop=stop)
    yield synced
    if synced.status == "ok" and not stop.is_set() and _reconcile_due(app, source):
        yield app.run_source(source, "reconcile", progress=progress, stop=stop)


def _reconcile_due(app: App, source: Source) -> bool:
    plan = source.schedule.reconcile
    if plan.every is None and plan.cron is None:
        return False
    moment = utc_now()
    health = read_health(app.engine, source.name, moment - timedelta(seconds=1))
    return reconcile_verdict(health, source, moment, None).run


def _failed_result(source: Source, begun: datetime, error: Exception) -> RunResult:
    return never_began(source.name, "incremental", "failed", begun, utc_now(), error)


def explain_disabled(source: Source, health: Health) -> EtlError:
    """What to say of a source that is no longer asked."""
    return EtlError(
        f"disabled since {health.disabled_at:%Y-%m-%d %H:%M:%S} UTC: {health.disabled_reason}",
        hint=f"correct the source's settings, or try it again with: bifrost-etl sync {source.name}",
    )
