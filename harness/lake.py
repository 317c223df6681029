"""Kill feeds and syncs at random while both go on, and compare the lake with the database.

    python -m harness.lake --kills 200 --seed 1

Two machines' worth of processes, each with a home and a folder of its own, share one PostgreSQL, some sources
and three destinations: Parquet files, Delta tables and a DuckDB file. On each of them a service syncs and
delivers, and the commands `sync` and `feed` run over and over. Any of them, and any delivery that a service
has begun, is killed with SIGKILL while something is being delivered; the world moves on meanwhile. In the end
one undisturbed round follows, and readers that are not ours (DuckDB, deltalake) must find in the lake what
stands in the database, row by row.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.db.engine import make_engine
from etl.schema import migrate
from etl.schema.tables import video_job_versions, video_jobs
from etl.simulator import Simulator, World
from harness.processes import DYING_WITH_US, PATIENCE, PROGRAM, ROOT, TOKEN, Stuck, configure, until
from tests.support.databases import Server, postgres_server
from tests.support.reading_back import assert_equal, destination

KINDS = ("filesystem", "delta", "duckdb")
ROLES = {"service": ("run",), "sync": ("sync",), "feed": ("feed",)}
CONFIG = "bifrost-etl.yaml"


class Machine:
    """Processes that share a home. `keep` starts those that are missing."""

    def __init__(self, folder: Path, sources: list[dict[str, Any]], database: str, lake: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir()
        places = [destination(kind, lake) for kind in KINDS]
        feed = [
            {"name": f"to-{place.type}", "type": place.type, "url": place.url.reveal(), "after_sync": True}
            for place in places
            if place.url is not None
        ]
        configure(folder, CONFIG, database, sources, feed={"destinations": feed})

    def keep(self) -> None:
        for role in ROLES:
            process = self.processes.get(role)
            if process is None or process.poll() is not None:
                self.processes[role] = self.start(*ROLES[role])

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [*DYING_WITH_US, *PROGRAM, "--config", CONFIG, *arguments],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def victims(self) -> dict[int, str]:
        """What could be killed now: process id → what it is."""
        alive = {p.pid: role for role, p in self.processes.items() if p.poll() is None}
        services = [pid for pid, role in alive.items() if role == "service"]
        return alive | {child: "delivery" for pid in services for child in _children(pid)}

    def settle(self, *arguments: str) -> None:
        """Run a command until it says that all is well: a source may still be reserved for a dead process."""
        deadline = time.monotonic() + PATIENCE
        while self.start(*arguments).wait(PATIENCE) != 0:
            if time.monotonic() > deadline:
                raise Stuck(f"{' '.join(arguments)}: see {self.folder}")

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(PATIENCE)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def activity(lake: Path) -> tuple[int, float]:
    """Changes whenever something is delivered."""
    found: list[float] = []
    for path in lake.rglob("*"):
        with contextlib.suppress(OSError):  # gone since it was listed
            found.append(path.stat().st_mtime)
    return len(found), max(found, default=0.0)


def rage(
    machines: list[Machine], worlds: list[World], lake: Path, kills: int, rng: random.Random
) -> Counter[str]:
    """So many kills, each somewhere else; returns what was hit."""
    hit: Counter[str] = Counter()
    while hit.total() < kills:
        for machine in machines:
            machine.keep()
        rng.choice(worlds).advance(rng.uniform(30, 300))
        before = activity(lake)
        until(lambda: activity(lake) != before, "a delivery")  # noqa: B023 (asked at once)
        time.sleep(rng.uniform(0.0, 1.0))
        victims = rng.choice(machines).victims()
        kind = rng.choice(sorted(set(victims.values())) or ["nobody"])
        for pid in rng.sample([p for p, what in victims.items() if what == kind], k=bool(victims)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                hit[kind] += 1
    return hit


@contextlib.contextmanager
def scene(server: Server, folder: Path, sources: int = 3) -> Iterator[tuple[list[Machine], list[World], str]]:
    """The machines, the worlds behind their sources, and the database."""
    url = server.create("lake")
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    engine.dispose()
    worlds = [World(seed=n, jobs=1500, rate=3600.0, failures=0.1) for n in range(sources)]
    with contextlib.ExitStack() as stack:
        gateways = [
            stack.enter_context(Simulator(world, token=TOKEN, faults=["cached:rate=0.02"]))
            for world in worlds
        ]
        listed = [
            {"name": f"source-{n}", "base_url": gateway.base_url, "schedule": {"every": "400ms"}}
            for n, gateway in enumerate(gateways)
        ]
        machines = [Machine(folder / name, listed, url, folder / "lake") for name in ("one", "two")]
        for machine in machines:
            stack.callback(machine.end)
        yield machines, worlds, url


def compare(url: str, worlds: list[World], lake: Path) -> tuple[int, int]:
    """Raises AssertionError unless lake, database and worlds agree; returns how many jobs and versions."""
    engine = make_engine(url)
    try:
        for kind in KINDS:
            assert_equal(engine, kind, lake)
        with engine.connect() as conn:
            jobs, versions = (
                conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for table in (video_jobs, video_job_versions)
            )
        assert jobs == sum(world.created_count() for world in worlds), "jobs are missing in the database"
        return jobs, versions
    finally:
        engine.dispose()


def play(server: Server, folder: Path, kills: int, seed: int) -> tuple[Counter[str], int, int]:
    """What was killed how often, and the jobs and versions that were compared."""
    (folder / "lake").mkdir()
    with scene(server, folder) as (machines, worlds, url):
        hit = rage(machines, worlds, folder / "lake", kills, random.Random(seed))
        for machine in machines:
            machine.end()
        machines[0].settle("sync")
        machines[1].settle("feed")
        return (hit, *compare(url, worlds, folder / "lake"))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m harness.lake")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    with postgres_server() as server, tempfile.TemporaryDirectory() as folder:
        hit, jobs, versions = play(server, Path(folder), asked.kills, asked.seed)
    what = ", ".join(f"{count} {kind}" for kind, count in sorted(hit.items()))
    print(f"{hit.total()} kills ({what}) in {time.monotonic() - began:.0f} s")
    print(f"{jobs:,} jobs, {versions:,} versions: {', '.join(KINDS)} equal the database, row by row")


if __name__ == "__main__":
    main(sys.argv[1:])
