"""Months in minutes: two services, several sources, and everything that can go wrong, at random.

    python -m harness.soak --database postgresql --minutes 8 --jobs 200000 --seed 1

Four simulated gateways live through simulated hours and throw every fault they know. Two `run` processes
share one database; they are killed, frozen and restarted, and so is the database. Then peace, and a verdict:
nothing lost, nothing twice, every version once true.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from harness import histories, report, truth
from harness.disorder import Disorder, Service
from harness.hostile import OURS, Counted, Deck
from harness.observed import Observed
from harness.processes import Gateway, Process, Stuck, configure, end
from harness.stores import Store, server, store
from harness.verdict import Verdict, count_log

FAMILIES = ("sqlite", "postgresql")
CONFIG = "soak.yaml"
#: Simulated seconds per second.
SPEED = 60.0
#: Seconds between two steps of the world, faults, misfortunes, looks of the operator.
STEP, FAULT_EVERY, MISFORTUNE_EVERY, OPERATOR_EVERY, CHECK_EVERY = 1.0, 0.5, 4.0, 3.0, 90.0
#: One source is stalled for so long, and the others must go on meanwhile.
SICK_SECONDS = 15.0
SHARE_AT_START = 0.75
#: So many jobs later comes the second unreadable record.
AHEAD = 20
SETTINGS = {"max_attempts": 4, "read_timeout": "3s", "max_body": "2MiB", "open_job_patience": "1m"}
LAST_TRIES = 5
#: See harness.crash.
BLIND = 3
#: Seconds that a command may take on a busy machine.
MOST = 900.0


@dataclass
class Patient:
    """One source: its gateway, what it has shown, and the faults that never leave it."""

    name: str
    gateway: Gateway
    observed: Observed
    standing: tuple[str, ...]


class Soak:
    """The main loop; everything random comes from one seed."""

    def __init__(self, folder: Path, patients: list[Patient], hurt: Store, seed: int) -> None:
        self.folder, self.patients, self.store = folder, patients, hurt
        self.rng = random.Random(seed)
        self.counted, self.deck = Counted(), Deck(self.rng)
        self.services = [Service(folder, CONFIG, name) for name in ("one", "two")]
        self.disorder = Disorder(self.rng, self.services, hurt)
        self.archives = {patient.name: histories.Archive() for patient in patients}
        self.operated: Counter[str] = Counter()
        self.busy: dict[str, Process] = {}  # commands that a person has given
        self.sick: list[tuple[str, datetime, datetime]] = []
        self.findings: list[str] = []

    def play(self, seconds: float) -> None:
        began = time.monotonic()
        deeds = [(STEP, self.step), (FAULT_EVERY, self.fault), (MISFORTUNE_EVERY, self.disorder.act)]
        deeds += [(OPERATOR_EVERY, self.operate), (CHECK_EVERY, self.check)]
        due = {deed: began + every for every, deed in deeds}
        poison_at = began + seconds / 2
        sick_at = [began + seconds * share for share in (0.4, 0.6, 0.8, 0.95)]
        self.disorder.look_after()
        while time.monotonic() < began + seconds:
            for every, deed in deeds:
                if time.monotonic() >= due[deed]:
                    deed()
                    due[deed] = time.monotonic() + every
            self.disorder.look_after()
            if time.monotonic() >= poison_at and self._loaded():
                poison_at = math.inf
                self.hide_new_ones()
            if sick_at and time.monotonic() >= sick_at[0]:
                self.one_is_sick(self.patients[-len(sick_at)])
                sick_at.pop(0)
            time.sleep(0.02)

    def step(self, seconds: float = STEP) -> None:
        """The worlds go on."""
        for patient in self.patients:
            patient.gateway.advance(seconds * SPEED)
            patient.observed.glance()

    def _loaded(self) -> bool:
        """Every source has been read to its end once."""
        query = sa.text("SELECT count(*) FROM sync_state WHERE complete_at IS NOT NULL")
        with contextlib.suppress(sa.exc.SQLAlchemyError), self.store.engine.connect() as conn:
            return int(conn.execute(query).scalar_one()) == len(self.patients)
        return False

    def hide_new_ones(self) -> None:
        """A second record that nobody can read, in each source.

        While the history is being read for the first time, two of them would hide what lies between.
        """
        for patient in self.patients:
            index = patient.gateway.world.created_count() + AHEAD
            patient.observed.hidden.add(patient.gateway.world.id_at(index))
            patient.standing = (*patient.standing, f"poison:index={index}")
            self.counted.throw(patient.gateway, patient.standing[-1])

    def fault(self) -> None:
        patient = self.rng.choice(self.patients)
        self.counted.throw(patient.gateway, self.deck.deal(spoils=patient.observed.spoilt))

    def operate(self) -> None:
        """What a person does who reads the logs: correct what was refused, and say `sync NAME`."""
        self.busy = {name: process for name, process in self.busy.items() if process.alive}
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            for name in set(self._disabled()) - self.busy.keys():
                self.busy[name] = self._start("sync", name)
                self.operated["source disabled by a refusal, enabled again by a person"] += 1

    def _disabled(self) -> list[str]:
        query = (
            "SELECT s.name FROM sources s JOIN sync_state t ON t.source_id = s.id"
            " WHERE t.disabled_at IS NOT NULL"
        )
        with self.store.engine.connect() as conn:
            return [row.name for row in conn.execute(sa.text(query))]

    def check(self) -> None:
        """Another thing a person does; the health page is asked for by nothing else."""
        patient = self.rng.choice(self.patients)
        self.counted.throw(patient.gateway, f"{OURS[0]}:times=1")
        end(*filter(None, [self.busy.pop("check", None)]))
        self.busy["check"] = self._start("check", patient.name)
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            for name, archive in self.archives.items():
                self.findings += archive.check(truth.Tables(self.store.engine, name))
        report.say(f"{self.store.family}: {sum(self.disorder.done.values())} misfortunes")

    def _start(self, *arguments: str) -> Process:
        return Process(self.folder, ("--config", CONFIG, *arguments), self.folder / "operator.log")

    def one_is_sick(self, sick: Patient) -> None:
        """A gateway that answers nobody, in otherwise quiet times: the other sources go on."""
        self.disorder.calm()
        for patient in self.patients:
            self.counted.clear(patient.gateway, patient.standing)
        self._start("sync").wait(MOST)  # nobody rests after a failure
        self.counted.throw(sick.gateway, "stall")
        began = datetime.now(UTC)
        deadline = time.monotonic() + SICK_SECONDS
        while time.monotonic() < deadline:
            self.step()
            self.disorder.look_after()
            time.sleep(STEP)
        self.sick.append((sick.name, began, datetime.now(UTC)))
        self.counted.clear(sick.gateway, sick.standing)

    def rest(self) -> None:
        """Faults off, services stopped in order, and read until nothing is new."""
        for patient in self.patients:
            self.counted.clear(patient.gateway, [s for s in patient.standing if "poison" not in s])
            patient.observed.hidden.clear()
            patient.observed.look()
        self.disorder.stop()
        for process in self.busy.values():
            process.wait(MOST)
        for arguments in (("sync",), ("reconcile",), ("sync",), ("sync",)):
            self._insist(*arguments)

    def _insist(self, *arguments: str) -> None:
        for _ in range(LAST_TRIES):
            if (code := self._start(*arguments).wait(MOST)) in (0, BLIND):
                return
        self.findings.append(f"{arguments[0]} after the storm: exit code {code}; see operator.log")

    def close(self) -> None:
        end(*self.busy.values())
        self.disorder.close()


def plans(jobs: int, minutes: float, seed: int) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], str]]:
    """Name, world, settings and standing faults of each source."""
    each = jobs // 4
    first = int(each * SHARE_AT_START)
    hours = minutes * SPEED / 60
    span = hours * 3600 / 2
    common = {"jobs": first, "start": int(time.time()), "rate": (each - first) / hours, "latency": 0.002}
    common |= {"gap": span / first, "failures": 0.1, "deletions": 0.03}
    yield "openai", {**common, "seed": seed}, {}, ""
    yield "azure", {**common, "seed": seed + 1, "provider": "azure", "retention": span * 1.5}, {}, ""
    yield "studio", {**common, "seed": seed + 2, "provider": "studio"}, {}, "order_ignored"
    yield "plain", {**common, "seed": seed + 3, "shape": "openai"}, {"provider": None}, ""


#: Sources whose items are spoilt too: what they seem to be is not what they are, for a moment.
SPOILT = ("azure", "studio")


@contextlib.contextmanager
def soak(family: str, jobs: int, minutes: float, seed: int, folder: Path) -> Iterator[Soak]:
    """Gateways, database and services of one soak; nothing of them is left afterwards."""
    with contextlib.ExitStack() as stack:
        # Confirmed means written: what a server forgets must have been its unconfirmed part.
        running = stack.enter_context(server(family, "synchronous_commit=on"))
        hurt = stack.enter_context(store(family, running, folder, "soak"))
        patients, sources = [], []
        for name, plan, settings, fault in plans(jobs, minutes, seed):
            # Who lists newest first never shows what is older than an unreadable record of the first load.
            hidden = (plan["jobs"] + jobs // 32,) if fault else (plan["jobs"] // 3,)
            standing = (*(f"poison:index={index}" for index in hidden), *([fault] if fault else []))
            options = [part for spec in standing for part in ("--fault", spec)]
            gateway = stack.enter_context(Gateway(folder, name, plan, *options))
            observed = Observed(gateway.world, hidden, spoilt=name in SPOILT, one_way=bool(fault))
            observed.look()
            patients.append(Patient(name, gateway, observed, standing))
            sources.append({"name": name, "base_url": gateway.base_url, **SETTINGS, **settings})
            sources[-1].setdefault("provider", plan.get("provider", "openai"))
        pace = {"every": "1s", "max_interval": "3s", "reconcile": {"every": "60s"}}
        more = {"service": {"port": 0, "log_format": "json", "shutdown_timeout": "15s"}}
        defaults = {"page_size": 100, "schedule": pace}
        configure(folder, CONFIG, hurt.url, [{**defaults, **source} for source in sources], **more)
        made = Soak(folder, patients, hurt, seed)
        stack.callback(made.close)
        yield made


def run(family: str, jobs: int, minutes: float, seed: int, folder: Path) -> Verdict:
    with soak(family, jobs, minutes, seed, folder) as on:
        began = datetime.now(UTC)
        on.play(minutes * 60)
        report.say(f"{family}: peace")
        on.rest()
        verdict = Verdict(family, jobs, minutes, seed)
        verdict.simulated_hours = round(minutes * SPEED / 60, 1)
        verdict.findings = on.findings + on.disorder.findings
        verdict.misfortunes = dict(on.disorder.done + on.operated)
        verdict.thrown, verdict.struck = dict(on.counted.thrown), dict(on.counted.struck)
        verdict.requests = sum(patient.gateway.served() for patient in on.patients)
        for patient in on.patients:
            verdict.judge(patient.name, truth.Tables(on.store.engine, patient.name), patient.observed)
            verdict.findings += on.archives[patient.name].check(truth.Tables(on.store.engine, patient.name))
        verdict.others_while_sick(on.store.engine, on.sick, [patient.name for patient in on.patients])
        count_log(verdict, on.services)
        verdict.seconds = round((datetime.now(UTC) - began).total_seconds(), 1)
    return verdict


def main() -> int:
    options = _parser().parse_args()
    families = FAMILIES if options.database == "all" else (options.database,)
    verdicts = []
    for family in families:
        with report.folder(options.keep, f"soak-{family}") as folder:
            try:
                verdicts.append(run(family, options.jobs, options.minutes, options.seed, folder))
            except Stuck as stuck:
                print(f"✗ {stuck}")
                return 1
    if options.json:
        options.json.write_text(json.dumps([vars(verdict) for verdict in verdicts], indent=1) + "\n")
    for verdict in verdicts:
        print(verdict.text())
    return report.judged(finding for verdict in verdicts for finding in verdict.findings)


def _parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m harness.soak", description=__doc__)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    cli.add_argument("--database", choices=(*FAMILIES, "all"), default="sqlite")
    cli.add_argument("--minutes", type=float, default=8.0, help="of disorder (%(default)s)")
    cli.add_argument("--jobs", type=int, default=200_000, help="in all, of four sources (%(default)s)")
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--keep", type=Path, help="folder for databases and logs (a temporary one)")
    cli.add_argument("--json", type=Path, metavar="FILE", help="write all figures and findings there")
    return cli


if __name__ == "__main__":
    sys.exit(main())
