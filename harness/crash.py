"""Kill the program with SIGKILL at random instants, over and over, and compare what is left with the truth.

    python -m harness.crash --database all --kills 100 --seed 1

A simulated gateway grows, changes, deletes, and holds records that nobody can read. `sync`, `reconcile` and
`run` are started as processes and killed: in their first moments, at their n-th request, inside transactions.
Between kills the world may move on. Some moments are also read to the end, by us and by a twin that is never
disturbed. In the end both are compared with what the gateway showed, and with each other.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.simulator.items import INTRUDERS
from harness import aims, histories, report, sabotage, truth
from harness.forked import Forked
from harness.observed import Observed
from harness.processes import Gateway, Stuck, configure, end
from harness.stores import FAMILIES, Store, server, store
from harness.tally import COMMANDS, Tally, table

SOURCE = "main"
ODDITIES = tuple(f"bad_item:rate=0.04,kind={kind}" for kind in ("null", "empty", "duplicate"))
HARMS = ("reset:rate=0.01", "truncated:rate=0.01", "upstream_503:rate=0.01", "queue_full:rate=0.01")
#: A run that has used up its retries is started again, so many times.
TRIES = 12
#: Exit code of a run that went well, while a record that the gateway cannot read stays unread.
BLIND = 3
#: Kills per round; each round has a new world and a new database, so that first loads are hit too.
ROUND = 50
#: One job a second comes. Two unreadable records in one stretch that nobody has read yet hide from everybody
#: what lies between them; so they stand farther apart than what comes between two undisturbed reads.
STRETCH, APART = 700.0, 800


def poison(jobs: int) -> tuple[int, int, int]:
    """Records that the gateway itself cannot read: one amid the history, two among what comes later.

    What lies between two of them can be asked for only by who knows a job there. So they are far apart, and
    the second one comes when the first load is surely over.
    """
    return jobs // 4, jobs + APART, jobs + 2 * APART


class Scene:
    """A gateway, a database that is hurt, and its twin that is not."""

    def __init__(
        self, folder: Path, gateway: Gateway, ours: Store, twin: Store, seed: int, tally: Tally
    ) -> None:
        self.folder, self.gateway, self.ours, self.twin = folder, gateway, ours, twin
        self.rng = random.Random(seed)
        self.tally = tally
        self.observed = Observed(gateway.world, poison(gateway.plan["jobs"]))
        self.archive = histories.Archive()
        self.dead: set[int] = set()
        self.unread = 0.0  # seconds of the world since somebody read to the end
        self.usual = dict.fromkeys(COMMANDS, aims.Usual())
        for made in (ours, twin):
            configure(folder, f"{made.name}.yaml", made.url, [self._source()])
        self.observed.look()

    def _source(self) -> dict[str, Any]:
        pace = {"every": "1s", "reconcile": {"every": "4s"}}
        return {
            "name": SOURCE,
            "base_url": self.gateway.base_url,
            "open_job_patience": "1h",
            "schedule": pace,
        }

    def start(self, made: Store, *arguments: str) -> Forked:
        log = self.folder / f"{made.name}.log"
        return Forked(self.folder, ("--config", f"{made.name}.yaml", *arguments), log)

    def strike(self) -> None:
        """Start something and kill it; what it left is noted, and nothing else is done about it."""
        command = self.rng.choices(tuple(COMMANDS), (6, 2, 2))[0]
        aim = aims.draw(self.rng, self.usual[command])
        newest, served = self._newest_run(), self.gateway.served()
        process = self.start(self.ours, *COMMANDS[command])
        try:
            aims.wait(aim, process, self.gateway, self.ours)
            writing = self.ours.family != "sqlite" and process.alive and self.ours.at_work()
        finally:
            hit = process.kill()
        self.ours.settle()
        if not hit:
            self.tally.missed += 1
            self._complete_upgrade()
            return
        self.tally.kills += 1
        self.tally.in_first_load += not self._loaded
        self.tally.in_transaction += writing
        self.tally.by_command[command] += 1
        self.tally.by_aim[aim.how] += 1
        self.tally.by_stage[self._stage(newest, self.gateway.served() - served)] += 1

    def _newest_run(self) -> tuple[int, str]:
        with contextlib.suppress(Exception), self.ours.engine.connect() as conn:
            row = conn.exec_driver_sql(
                "SELECT id, status FROM sync_runs ORDER BY id DESC LIMIT 1"
            ).one_or_none()
            return (0, "") if row is None else (row[0], row[1])
        return (0, "")  # not even tables yet

    def _stage(self, before: tuple[int, str], served: int) -> str:
        run, status = self._newest_run()
        if run == before[0]:
            return "before its first commit" if served else "at its start"
        if status != "running":
            return "after its last commit"
        self.dead.add(run)
        return "between commits"

    @property
    def _loaded(self) -> bool:
        """Some run has read the list to its end."""
        query = sa.text("SELECT count(*) FROM sync_runs WHERE status = 'ok'")
        with contextlib.suppress(sa.exc.SQLAlchemyError), self.ours.engine.connect() as conn:
            return bool(conn.execute(query).scalar_one())
        return False

    def complete(self) -> None:
        """Read this moment to its end, here and in the twin."""
        commands = ["sync", "reconcile"] if self.rng.random() < 0.3 else ["sync"]
        for command in commands:
            self.undisturbed(command)
        self.observed.was_read()
        self.unread = 0.0
        self.tally.findings += self.archive.check(truth.Tables(self.ours.engine, SOURCE))

    def undisturbed(self, command: str) -> None:
        served, began = self.gateway.served(), time.monotonic()
        self._run_to_end(self.ours, command)
        requests = self.gateway.served() - served
        self.usual[command] = aims.Usual(time.monotonic() - began, requests)
        if command == "sync":  # the service does what a sync does, and then goes on
            self.usual["run"] = aims.Usual(3 * (time.monotonic() - began), 2 * requests)
        self._run_to_end(self.twin, command)
        self.tally.undisturbed_runs += 1

    def _run_to_end(self, made: Store, command: str) -> None:
        for _ in range(TRIES):
            process = self.start(made, *COMMANDS[command])
            try:
                code = process.wait()
            finally:
                end(process)
            if code in (0, BLIND):
                return
            self._complete_upgrade()
        raise Stuck(f"{command} failed {TRIES} times, undisturbed; see {self.folder / made.name}.log")

    def _complete_upgrade(self) -> None:
        """MariaDB commits each change of a table by itself: who killed an upgrade is told to repeat it."""
        if "db upgrade" in (self.folder / f"{self.ours.name}.log").read_text()[-2000:]:
            self.tally.upgrades_completed += self.start(self.ours, "db", "upgrade").wait() == 0

    def move(self, seconds: float) -> None:
        self.gateway.advance(seconds)
        self.observed.look()
        self.unread += seconds
        self.tally.moments += 1

    def verdict(self) -> None:
        """Everything at rest, compared with the truth and with the twin."""
        self.gateway.ask("clear")
        for spec in _standing(self.gateway.plan["jobs"]):
            self.gateway.ask("fault", spec=spec)
        for command in ("sync", "reconcile", "sync"):
            self.undisturbed(command)
        self.observed.was_read()
        told = [*self.archive.check(truth.Tables(self.ours.engine, SOURCE)), *self.compare()]
        self.tally.findings += [f"round {self.tally.rounds}: {text}" for text in told]
        ours = truth.Tables(self.ours.engine, SOURCE)
        self.tally.jobs += sum(1 for _ in ours.rows("video_jobs", "list_position"))
        self.tally.versions += sum(1 for _ in ours.rows("video_job_versions", "change_seq"))
        self.tally.interrupted_runs += len(self.dead)

    def compare(self) -> list[str]:
        """Both databases with the truth, and with each other."""
        ours, twin = (truth.Tables(made.engine, SOURCE) for made in (self.ours, self.twin))
        payloads = set(INTRUDERS.values())
        told = truth.everything(ours, self.observed, killed=self.dead, payloads=payloads)
        told += truth.needless_gaps(ours, self.observed)
        others = truth.everything(twin, self.observed, killed=set(), payloads=payloads)
        return told + [f"twin: {text}" for text in others] + histories.same_story(ours, twin)


def _standing(jobs: int) -> list[str]:
    """Faults that are there from the first moment to the last."""
    return ["drift", *(f"poison:index={index}" for index in poison(jobs))]


@contextlib.contextmanager
def scene(tally: Tally, seed: int, folder: Path, jobs: int) -> Iterator[Scene]:
    family = tally.database
    plan = {"seed": seed, "jobs": jobs, "start": int(time.time()), "rate": 3600.0, "deletions": 0.03}
    plan |= {"stuck": 0.003, "failures": 0.1, "latency": 0.008}
    faults = [*_standing(jobs), *ODDITIES, *HARMS]
    options = [part for fault in faults for part in ("--fault", fault)]
    with (
        server(family) as running,
        store(family, running, folder, "ours") as ours,
        store(family, running, folder, "twin") as twin,
        Gateway(folder, "gateway", plan, *options) as gateway,
    ):
        yield Scene(folder, gateway, ours, twin, seed, tally)


def play(
    family: str,
    kills: int,
    seed: int,
    folder: Path,
    jobs: int = 600,
    *,
    spoil: bool = False,
    seconds: float = float("inf"),
) -> Tally:
    """Rounds, until so many kills have hit a living process, or the time is over: the last round gets its
    verdict all the same. `spoil`: try the verdict itself afterwards."""
    began = time.monotonic()
    tally = Tally(family, seed)
    while tally.kills < kills and time.monotonic() < began + seconds:
        tally.rounds += 1
        place = folder / str(tally.rounds)
        place.mkdir()
        with scene(tally, seed + 1000 * tally.rounds, place, jobs) as on:
            _round(on, min(kills, tally.kills + ROUND), began + seconds)
            on.verdict()
            if spoil:
                tally.findings += sabotage.unnoticed(on.ours.engine, on.compare)
    tally.seconds = round(time.monotonic() - began, 1)
    return tally


def _round(on: Scene, kills: int, deadline: float) -> None:
    rng = on.rng
    while on.tally.kills < kills and time.monotonic() < deadline:
        for _ in range(rng.randint(1, 6)):
            on.strike()
        report.say(f"{on.ours.family}: {on.tally.kills} kills, {on.tally.in_mid_work} in mid-work")
        seconds = rng.choice((5.0, 60.0, 300.0, 600.0))
        if on.unread + seconds > STRETCH or rng.random() < 0.5:
            on.complete()
        on.move(seconds)


def main() -> int:
    options = _parser().parse_args()
    families = FAMILIES if options.database == "all" else (options.database,)
    tallies = []
    for family in families:
        with report.folder(options.keep, f"crash-{family}") as folder:
            numbers = (options.kills, options.seed, folder, options.jobs)
            tallies.append(play(family, *numbers, spoil=options.sabotage, seconds=options.seconds))
    print(table(tallies))
    if options.json:
        told = [{**vars(tally), "in_mid_work": tally.in_mid_work} for tally in tallies]
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return report.judged(finding for tally in tallies for finding in tally.findings)


def _parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m harness.crash", description=__doc__)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    cli.add_argument("--database", choices=(*FAMILIES, "all"), default="sqlite")
    cli.add_argument("--kills", type=int, default=100, help="of living processes, per database (%(default)s)")
    cli.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long, per database")
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--jobs", type=int, default=600, help="in the list at the start (%(default)s)")
    cli.add_argument("--keep", type=Path, help="folder for databases and logs (a temporary one)")
    cli.add_argument("--json", type=Path, metavar="FILE", help="write all figures and findings there")
    cli.add_argument("--sabotage", action="store_true", help="then damage rows: the verdict must notice")
    return cli


if __name__ == "__main__":
    sys.exit(main())
