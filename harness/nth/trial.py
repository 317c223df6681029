"""One scenario on one database, undisturbed and with one call failing; each time as a source of its own."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack

from etl.db.engine import make_engine
from etl.schema import migrate
from harness.nth.calls import DATABASE, HTTP, KILLED, Calls, numbered
from harness.nth.facts import Facts, differences, facts, left_over
from harness.nth.outcome import Outcome, Reference
from harness.nth.scenarios import AT, SCENARIOS, Scenario
from harness.worlds.gateway import Gateway
from harness.worlds.product import LEASE, Fate, Process, replaced
from harness.worlds.stored import state_of


class Bench:
    """A database with the product on it. `take` a scenario, then `trial` it."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        migrate.upgrade_schema(self.engine)
        self.calls = Calls(self.engine)
        self._stack = ExitStack()
        self._stack.enter_context(numbered(self.calls))
        self._names = (f"source-{number}" for number in itertools.count())

    def close(self) -> None:
        self._stack.close()
        self.engine.dispose()

    def take(self, name: str) -> None:
        self.scenario, self.reference = SCENARIOS[name](), Reference()
        outcome = self._told(self.reference, -1, "")
        self.reference.findings += outcome.findings

    def ways(self) -> Iterator[tuple[int, str]]:
        """Every call in every way that it can fail."""
        for at, name in enumerate(self.reference.calls):
            yield from ((at, how) for how in (HTTP if name == "http" else DATABASE))

    def trial(self, at: int, how: str) -> Outcome:
        return self._told(None, at, how)

    def _told(self, reference: Reference | None, at: int, how: str) -> Outcome:
        name, world = next(self._names), self.scenario.world()
        gateway = Gateway(world)
        gateway.calm = True
        rng = random.Random(1)
        fate = Fate()
        before = Process(self.engine, fate, gateway, world.settings, rng, name)
        with replaced(gateway, world.settings, before, rng):
            for action in self.scenario.before:
                before.run(action.kind, kill=action.kill)
                gateway.now += LEASE + 1
            gateway.now = AT
            process = Process(self.engine, self.calls, gateway, world.settings, rng, name)  # type: ignore[arg-type]
            self.calls.gateway = gateway
            status = self._run(process, at, how)
            if reference is not None:
                reference.calls = self.calls.names
            for number in range(self.scenario.after):
                gateway.now = AT + 3600 * (number + 1)
                again = self._status(process)
        found = facts(self.engine, name)
        said = left_over(self.engine, name) + _untrue(gateway, found, self.scenario)
        if reference is not None:
            reference.facts, reference.statuses = found, (status, again)
            return Outcome(status, said)
        if again != self.reference.statuses[1]:
            said.append(f"the run after it is {again}, not {self.reference.statuses[1]}")
        return Outcome(status, said + differences(found, self.reference.facts))

    def _run(self, process: Process, at: int, how: str) -> str:
        if how == "kill":
            return self._killed(process, at)
        with self.calls.failing(at, how):
            return self._status(process)

    def _status(self, process: Process) -> str:
        result = process.run(self.scenario.kind, accept=self.scenario.accept)
        assert result is not None
        return result.status

    def _killed(self, process: Process, at: int) -> str:
        """In a forked process, on connections of its own, which die with it."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                self.engine.dispose(close=False)
                with self.calls.failing(at, "kill"):
                    process.run(self.scenario.kind, accept=self.scenario.accept)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        return "killed" if code == KILLED else f"missed ({code})"


def _untrue(gateway: Gateway, found: Facts, scenario: Scenario) -> list[str]:
    """Whatever the product thinks: what is listed is stored as listed, unless nobody could read it."""
    if scenario.name == "reconcile, refused":
        return []
    said = []
    for job in gateway.listed(gateway.now):
        if job.odd or job.poison is not None:
            continue
        stored = found["jobs"].get(gateway.id_of(job))
        told = state_of(gateway.shown(job, gateway.now))
        if stored is None:
            said.append(f"{job.name} is listed and not stored")
        elif (stored[0], stored[8], stored[9]) != (told[0], told[7], told[8]):
            said.append(f"{job.name} is stored as {stored[0]}, is {told[0]}")
    return said
