"""What `run` needs beside its sources: notifications, destinations of the feed, cron lines and zones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from etl.errors import EtlError

if TYPE_CHECKING:
    from etl.check import Finding
    from etl.config import Config, Destination, Schedule


def check_service(config: Config) -> Iterator[Finding]:
    """A finding for each thing that is configured; nothing is sent, opened or written."""
    if config.notify.urls:
        yield _try_check("notify", lambda: _check_notify(config))
    if config.service.token is not None:
        yield _try_check("token", lambda: _check_token(config))
    for destination in config.feed.destinations:
        yield _try_check(f"feed {destination.name}", partial(_check_feed, config, destination))
    for source in config.sources:
        if source.enabled and (source.schedule.cron or source.schedule.reconcile.cron):
            yield _try_check(f"cron of {source.name}", partial(_check_cron, source.schedule))


def _try_check(what: str, question: Callable[[], str]) -> Finding:
    from etl.check import Finding

    try:
        return Finding(what, True, question())
    except EtlError as error:
        return Finding(what, False, str(error), error.hint)


def _check_notify(config: Config) -> str:
    from etl.scheduler.notify import apprise_sender

    for number in range(1, len(config.notify.urls) + 1):
        apprise_sender(config.notify, number)
    return "every URL is understood; `bifrost-etl notify test` sends a message"


def _check_token(config: Config) -> str:
    assert config.service.token is not None
    config.service.token.reveal()
    return "set"


def _check_feed(config: Config, destination: Destination) -> str:
    from etl.config import require_secrets
    from etl.feed.sinks.registry import require_package

    require_secrets(config.origin, destination)
    require_package(destination)
    if destination.cron is None:
        return "its packages are installed, its secrets are set"
    return f"installed, secrets set; next delivery {_next_runs(destination.cron, destination.timezone)}"


def _check_cron(schedule: Schedule) -> str:
    lines = [("sync", schedule.cron, schedule.timezone)]
    lines.append(("reconcile", schedule.reconcile.cron, schedule.reconcile.timezone))
    return ", ".join(
        f"next {what} {_next_runs(line, zone)}" for what, line, zone in lines if line is not None
    )


def _next_runs(line: str, zone: str) -> str:
    from zoneinfo import ZoneInfo

    from etl.config import next_fire

    moment = next_fire(line, zone, datetime.now(UTC)).astimezone(ZoneInfo(zone))
    return f"{moment:%Y-%m-%d %H:%M} {zone}"
