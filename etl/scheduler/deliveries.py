"""Deliveries of the service: each destination has a thread of its own, which waits, and a process that works.

Neither a slow destination nor one that hangs holds up a sync, another destination, or the end of the service.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from etl.config import Destination, Schedule, next_fire
from etl.errors import hint_of
from etl.feed.delivery import FeedResult
from etl.feed.process import Apart
from etl.feed.watermarks import Mark
from etl.log import get_logger
from etl.scheduler.work import Telemetry, Work
from etl.worker import utc_now

#: Syncs that end within so many seconds share a delivery.
GATHER = 1.0
#: Seconds until we look again whether another process has finished delivering.
HELD = 15.0
#: A delivery that failed is repeated after so many seconds, then twice as many, up to an hour.
RETRY, LONGEST_RETRY = 30.0, 3600.0
_CHECK_CLOCK = 60.0


@dataclass(frozen=True, slots=True)
class DeliveryHealth:
    """How a destination's deliveries go, as far as this process knows. `reached`: see FeedResult."""

    destination: str
    failures: int
    last_ok: datetime | None
    reached: Mapping[str, Mapping[int, Mark]] | None


class Feeds:
    """All scheduled destinations of the configuration at work, which `work` returns."""

    def __init__(self, work: Callable[[], Work], telemetry: Telemetry) -> None:
        self._work, self._telemetry = work, telemetry
        self._workers: dict[str, DestinationWorker] = {}
        self._leaving: list[DestinationWorker] = []

    def follow(self) -> None:
        """Begin, or go on after a reload: changed destinations start anew, removed ones end."""
        wanted = {d.name: d for d in self._work().app.config.feed.destinations if d.scheduled}
        for name, worker in list(self._workers.items()):
            if wanted.get(name) != worker.destination:
                worker.leave()
                self._leaving.append(self._workers.pop(name))
        self._leaving = [worker for worker in self._leaving if worker.is_alive()]
        for name in wanted.keys() - self._workers.keys():
            self._workers[name] = DestinationWorker(wanted[name], self._work, self._telemetry)
            self._workers[name].start()

    def synced(self) -> None:
        """A sync has ended; whoever wants to deliver after syncs does."""
        for worker in list(self._workers.values()):
            if worker.destination.after_sync:
                worker.soon()

    def standings(self) -> list[DeliveryHealth]:
        return [worker.standing for worker in list(self._workers.values())]

    def completed(self) -> dict[str, datetime | None]:
        """When each destination was last delivered to, or else when we began to; for the notifier."""
        return {f"feed {w.destination.name}": w.standing.last_ok or w.since for w in self._workers.values()}

    def limits(self, syncs: float) -> dict[str, float]:
        """How long each may take from one delivery to the next; `syncs` is the longest between two syncs."""
        destinations = [worker.destination for worker in list(self._workers.values())]
        return {f"feed {d.name}": longest_delivery_interval(d, syncs, utc_now()) for d in destinations}

    def ask_to_stop(self) -> None:
        """Deliveries end after the batch they hold."""
        for worker in self._all_workers():
            worker.leave(at_once=True)

    def clock_jumped(self, jump: timedelta) -> None:
        """The clock was set forward by this much, or back."""
        for worker in self._all_workers():
            worker.clock_jumped(jump)

    def busy(self) -> list[str]:
        return sorted({worker.destination.name for worker in self._all_workers() if worker.is_alive()})

    def end(self, deadline: float) -> None:
        """Wait until `deadline` (time.monotonic), then kill: the next delivery goes on from there."""
        for worker in self._all_workers():
            worker.join(max(0.0, deadline - time.monotonic()))
            if worker.is_alive():
                worker.kill()
                worker.join(1.0)

    def _all_workers(self) -> list[DestinationWorker]:
        return [*self._workers.values(), *self._leaving]


class DestinationWorker(threading.Thread):
    """One destination's deliveries, one after the other."""

    def __init__(self, destination: Destination, work: Callable[[], Work], telemetry: Telemetry) -> None:
        super().__init__(name=f"feed:{destination.name}", daemon=True)
        self.destination = destination
        self._work, self._telemetry = work, telemetry
        self._changed = threading.Condition()
        self._leave = self._again = False
        self._under_way: Apart | None = None
        self.since = utc_now()
        self._due = self._scheduled_moment(None)
        self.standing = DeliveryHealth(destination.name, 0, None, None)
        self._log = get_logger("feed")

    def soon(self) -> None:
        """Deliver shortly; a destination that fails keeps its rest."""
        with self._changed:
            self._again = True
            if self._under_way is None and not self.standing.failures:
                self._hurry()

    def leave(self, *, at_once: bool = False) -> None:
        """End after the delivery under way or, `at_once`, after its batch."""
        with self._changed:
            self._leave = True
            if at_once and self._under_way is not None:
                self._under_way.ask_to_stop()
            self._changed.notify_all()

    def clock_jumped(self, jump: timedelta) -> None:
        """What is waited for stays as far away, what was noted as long ago; cron lines mean the new time."""
        with self._changed:
            self.since += jump
            if self.standing.last_ok is not None:
                self.standing = replace(self.standing, last_ok=self.standing.last_ok + jump)
            if self.destination.cron is not None:
                self._due = self._scheduled_moment(None)
            elif self._due is not None:
                self._due += jump
            self._changed.notify_all()

    def kill(self) -> None:
        with self._changed:
            if self._under_way is not None:
                self._log.warning("feed_killed", destination=self.destination.name)
                self._under_way.kill()

    def run(self) -> None:
        while (work := self._wait_until_due()) is not None:
            begun = time.monotonic()
            try:
                result = self._deliver_once(work)
            except Exception as error:  # noqa: BLE001 (a thread's last seam: the next delivery must come)
                self._log.exception("feed_broke", destination=self.destination.name)
                result = FeedResult(self.destination.name, "failed", error=error)
            self._note_end(work, result, time.monotonic() - begun)

    def _wait_until_due(self) -> Work | None:
        """The configuration to deliver by, as soon as a delivery is due; None when there will be no more."""
        with self._changed:
            while not self._leave:
                left = _CHECK_CLOCK if self._due is None else (self._due - utc_now()).total_seconds()
                if left <= 0:
                    self._again = False
                    return self._work()
                self._changed.wait(min(left, _CHECK_CLOCK))
            return None

    def _deliver_once(self, work: Work) -> FeedResult:
        self._log.debug("feed_started", destination=self.destination.name)
        with self._changed:
            if self._leave:
                return FeedResult(self.destination.name, "interrupted")
            delivery = self._under_way = Apart(work.app.config.database.absolute_url(), self.destination)
        try:
            return delivery.result(self._note_progress)
        finally:
            with self._changed:
                self._under_way = None

    def _note_progress(self, destination: str, table: str, rows: int) -> None:
        self._log.debug("feed_progress", destination=destination, table=table, rows=rows)

    def _note_end(self, work: Work, result: FeedResult, seconds: float) -> None:
        before = self.standing
        failures = {"failed": before.failures + 1, "ok": 0}.get(result.status, before.failures)
        done = utc_now() if result.status == "ok" else before.last_ok
        self.standing = DeliveryHealth(before.destination, failures, done, result.reached or before.reached)
        with self._changed:
            self._due = self._next_moment(result, failures, utc_now() - timedelta(seconds=seconds))
            if self._again and not failures:
                self._hurry()
        self._telemetry.delivered(result, seconds)
        work.notifier.fed(result, before.failures, failures, utc_now())
        self._log_result(work, result, seconds)

    def _log_result(self, work: Work, result: FeedResult, seconds: float) -> None:
        facts = {"destination": result.destination, "status": result.status, "seconds": round(seconds, 3)}
        facts |= {"rows": sum(result.rows.values())}
        if result.error is None:
            self._log.info("feed_finished", **facts)
            return
        text = work.app.redact(": ".join(str(e) for e in (result.error, result.error.__cause__) if e))
        hint = hint_of(result.error)
        self._log.error("feed_failed", error=type(result.error).__name__, message=text, hint=hint, **facts)

    def _next_moment(self, result: FeedResult, failures: int, begun: datetime) -> datetime | None:
        if result.status == "failed":
            rest: float = min(RETRY, self.destination.every or RETRY) * 2.0 ** min(failures - 1, 20)
            return utc_now() + timedelta(seconds=min(rest, LONGEST_RETRY))
        if result.status == "skipped":
            return utc_now() + timedelta(seconds=HELD)
        return self._scheduled_moment(begun)

    def _scheduled_moment(self, begun: datetime | None) -> datetime | None:
        """The next delivery by the clock; the first one is at once, but a cron line means what it says."""
        if self.destination.cron is not None:
            return next_fire(self.destination.cron, self.destination.timezone, utc_now())
        if begun is None:
            return utc_now()
        every = self.destination.every
        return None if every is None else max(utc_now(), begun + timedelta(seconds=every))

    def _hurry(self) -> None:
        soon = utc_now() + timedelta(seconds=GATHER)
        self._due = soon if self._due is None else min(self._due, soon)
        self._changed.notify_all()


def longest_delivery_interval(destination: Destination, syncs: float, moment: datetime) -> float:
    """The longest time in seconds between two deliveries; `syncs` is that between two syncs."""
    if destination.after_sync:
        return min(syncs, destination.every or syncs)
    plan = Schedule(every=destination.every, cron=destination.cron, timezone=destination.timezone)
    return plan.slowest_interval(moment)
