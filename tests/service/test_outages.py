"""A source that fails is told once, whoever ran it, and so is its recovery."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from etl.app import App
from etl.config import Notify, Secret
from etl.observer import Silent
from etl.scheduler.notify import Message, Notifier
from etl.scheduler.ticks import TickRunner
from etl.scheduler.work import Work
from etl.simulator import World
from etl.worker import utc_now
from tests.support.rig import Rig, rig
from tests.support.running import until

FAILURE, RECOVERY = "failure: main failed 3 times in a row", "recovery: main works again"
DISABLED = "failure: main is refused, and disabled until its settings change"


class Quiet(Silent):
    """Telemetry that nobody reads."""

    def ended(self, *_: object) -> None: ...

    skipped = misfired = delivered = ended


class OneService:
    """What a service does at a tick that is due, and what it told people."""

    def __init__(self, rig: Rig, *, works: bool = True) -> None:
        self.told: list[str] = []
        self._works, self._rig = works, rig
        notifier = Notifier(Notify(urls=(Secret("x"),)), rig.app.redact, send=self._take)
        self.work = Work(App(rig.config, clock=rig.now, sleep=rig.waits.append), notifier)
        self._turns = TickRunner("host:1", Quiet(), threading.Event(), lambda: None)

    def _take(self, message: Message) -> bool:
        self.told.append(message.title.removeprefix("bifrost-etl "))
        return self._works

    def run(self, times: int = 1) -> None:
        for _ in range(times):
            before = self._turns._read_health(self.work, self._rig.source)
            self._turns._run_source(self.work, self._rig.source, "incremental", before)

    def tick(self, times: int = 1) -> None:
        """A look whether it is due; what is disabled is not."""
        for _ in range(times):
            self._turns.sync(self.work, self._rig.source)

    def hear(self, title: str) -> None:
        """The message has left, and that is noted."""
        until(lambda: title in self.told and not self._waiting(), title)

    def _waiting(self) -> bool:
        return bool(self._rig.rows("alerts") and self._rig.rows("alerts")[0]["claimed_at"])

    def restart(self) -> OneService:
        """Everything that is kept in memory is gone."""
        self.work.close()
        return OneService(self._rig)


@contextmanager
def outage(url: str) -> Iterator[Rig]:
    with rig(World(seed=2, jobs=30), url) as gateway:
        gateway.ok()
        gateway.sim.fault("upstream_500")
        yield gateway


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_failed_sync_by_hand_swallows_no_message(before: int, database_url: str):
    with outage(database_url) as gateway:
        service = OneService(gateway)
        service.run(before)
        assert gateway.sync().status == "failed"
        service.run(4 - before)
        service.hear(FAILURE)
        gateway.sim.clear_faults()
        service.run(2)
        service.work.close()
        assert service.told == [FAILURE, RECOVERY]


def test_a_recovery_by_hand_is_told_too(database_url: str):
    with outage(database_url) as gateway:
        service = OneService(gateway)
        service.run(3)
        service.hear(FAILURE)
        service = service.restart()
        gateway.sim.clear_faults()
        gateway.ok()
        service.run(2)
        service.work.close()
        assert service.told == [RECOVERY]


def test_of_two_services_one_tells(database_url: str):
    with outage(database_url) as gateway:
        one, other = OneService(gateway), OneService(gateway)
        for _ in range(3):
            one.run()
            other.run()
        until(lambda: FAILURE in one.told + other.told, FAILURE)
        until(lambda: gateway.rows("alerts")[0]["told_at"], "noted")
        gateway.sim.clear_faults()
        one.run()
        other.run()
        one.work.close()
        other.work.close()
        assert sorted(one.told + other.told) == [FAILURE, RECOVERY]


def test_a_source_that_a_sync_by_hand_disabled_is_told_once(migrated_url: str):
    world = World(seed=2, jobs=30, start=utc_now().timestamp())  # a refusal of long ago would be asked again
    with rig(world, migrated_url) as gateway:
        gateway.ok()
        gateway.sim.fault("unauthorized")
        one, other = OneService(gateway), OneService(gateway)
        one.run(2)
        assert gateway.sync().status == "failed"
        assert gateway.rows("sync_state")[0]["disabled_at"] is not None
        one.tick(3)
        one.hear(DISABLED)
        other.tick(2)
        again = one.restart()
        again.tick(2)
        gateway.sim.clear_faults()
        gateway.ok()
        again.run(2)
        again.work.close()
        other.work.close()
        assert (one.told, other.told, again.told) == ([DISABLED], [], [RECOVERY])


def test_a_restart_tells_nothing_again(database_url: str):
    with outage(database_url) as gateway:
        service = OneService(gateway)
        service.run(4)
        again = service.restart()
        again.run(2)
        again.work.close()
        assert (service.told, again.told) == ([FAILURE], [])
