"""What the service works with: one configuration wired up, and who is told of what happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from etl.app import App
from etl.feed import FeedResult
from etl.observer import Observer
from etl.records import RunResult
from etl.scheduler.notify import Notifier


class Telemetry(Observer, Protocol):
    """What the service tells its metrics."""

    def ended(self, result: RunResult) -> None: ...
    def skipped(self, source: str, reason: str) -> None: ...
    def misfired(self, source: str) -> None: ...
    def delivered(self, result: FeedResult, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """One configuration at work; a reload replaces it as a whole."""

    app: App
    notifier: Notifier

    def close(self) -> None:
        self.notifier.close()
        self.app.close()
