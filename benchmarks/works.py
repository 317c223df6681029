"""What is measured: each work once per round, by us and by the others, each pair beside its own yardstick."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import requests

from benchmarks import process
from benchmarks.gateways import TOKEN
from benchmarks.process import OURS, Used
from benchmarks.stores import Store, Stores
from benchmarks.worlds import numbers_spoilt

TICKS = 20
STARTS = 10
_QUERIED = ("sqlite", "postgresql")


@dataclass
class Sample:
    """One measurement. `yardstick` is R in seconds, measured just before on the same gateway; its
    processor time is what to compare where others use the machine too. `server` is the database server's
    processor time meanwhile, in seconds."""

    work: str
    who: str
    database: str
    jobs: int
    seconds: float
    user: float = 0.0
    system: float = 0.0
    peak_mb: float = 0.0
    yardstick: float | None = None
    yardstick_processor: float | None = None
    world: str = "plain"
    server: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


class Bench:
    """Takes measurements and keeps them. `base_url`, `jobs` and `world` are the gateway's of the moment;
    `versions` are the checkouts whose command is measured, by name."""

    def __init__(self, stores: Stores, wanted: Callable[[str, str], bool], others: tuple[str, ...]) -> None:
        self.stores, self.wanted, self.others = stores, wanted, others
        self.versions: dict[str, Path] = {"ours": process.ROOT}
        self.with_queries = False
        self.samples: list[Sample] = []
        self.base_url, self.jobs, self.world = "", 0, "plain"
        self._yardstick: tuple[float | None, float | None] = (None, None)

    def raw(self) -> list[dict[str, Any]]:
        return [asdict(sample) for sample in self.samples]

    def keep(
        self, work: str, who: str, database: str, measure: Callable[[], Used], *, alone: bool = False
    ) -> tuple[Sample, str]:
        """Take one measurement, show it, and return it with the command's output. `alone`: without R."""
        server = self.stores.server(database)
        before = process.processor_seconds(server.pid) if server else 0.0
        with showing(f"{work} {database} {who}"):
            used = measure()
        sample = Sample(work, who, database, self.jobs, *used[:4], world=self.world)
        sample.server = process.processor_seconds(server.pid) - before if server else 0.0
        if not alone:
            sample.yardstick, sample.yardstick_processor = self._yardstick
        self.samples.append(sample)
        say(line(sample))
        return sample, used.output

    def yardstick(self, latency: bool = False) -> None:
        """R, against which everything until the next one is held."""
        name = "R20" if latency else "R"
        command = ("yardstick", self.base_url, TOKEN)
        sample, output = self.keep(name, "R", "", lambda: process.module(*command), alone=True)
        _must(int(output) == self.jobs, f"R saw {output.strip()} jobs of {self.jobs}")
        self._yardstick = (sample.seconds, sample.user + sample.system)

    # ours

    def ours(
        self, work: str, database: str, command: str, config: str, *, who: str = "ours", updated: int = 0
    ) -> None:
        """A sync or a reconcile; what it says it did must be what there was to do."""
        run = (*OURS, command, "--config", config, "--json")
        root = self.versions[who]
        sample, output = self.keep(work, who, database, lambda: process.run(*run, root=root))
        done = json.loads(output)["sources"][0]
        _must(done["status"] == "ok" and done["jobs_updated"] == updated, output)
        spoilt = len(numbers_spoilt(self.jobs)) if self.world == "dirty" else 0
        new = self.jobs - spoilt if work.startswith("first") else 0
        _must(done["jobs_inserted"] == new and (command == "sync" or done["jobs_seen"] >= self.jobs), output)
        sample.facts = {name: done[name] for name in ("requests", "pages", "jobs_seen")}

    def tick(self, database: str, config: str, who: str = "ours") -> None:
        """The whole command once, and ticks inside one process."""
        self.ours("tick command", database, "sync", config, who=who)
        command, root = ("tick", config, str(TICKS)), self.versions[who]
        ticks = functools.partial(process.module, *command, root=root)
        sample, output = self.keep("tick", who, database, ticks, alone=True)
        sample.facts = {"ticks": json.loads(output)}

    def starts(self) -> None:
        """--help, and status of a database whose only source was never synced: it exits with 1."""
        with self.stores.empty("sqlite") as store:
            config = store.config("http://127.0.0.1:9")
            process.run(*OURS, "db", "upgrade", "--config", config)
            for name, rest in (("--help", ("--help",)), ("status", ("status", "--config", config))):
                process.run(
                    *OURS, *rest, codes=(0, 1)
                )  # compiled files and the disk's cache are warm from here on
                for _ in range(STARTS):
                    start = functools.partial(process.run, *OURS, *rest, codes=(0, 1))
                    self.keep(f"start {name}", "ours", "sqlite", start, alone=True)

    def queries(self, database: str, url: str) -> None:
        """Views and reports over what is stored."""
        command = ("queries", url)
        sample, output = self.keep("queries", "ours", database, lambda: process.module(*command), alone=True)
        sample.facts = {"queries": json.loads(output)}

    # groups

    def plain(self, database: str) -> None:
        """Without latency: first load, re-read, ticks, a re-read after changes; then the others."""
        if any(self.wanted(work, database) for work in ("first", "reread", "tick", "changed", "queries")):
            self.yardstick()
            for who in self.versions:
                self._ours_plain(database, who)
        for other in self.others if self.world == "reference" else ():
            if other == "dlt" or database in ("sqlite", "postgresql"):
                self._other(other, database)

    def _ours_plain(self, database: str, who: str) -> None:
        with self.stores.empty(database) as store:
            config = store.config(self.base_url)
            self.ours("first", database, "sync", config, who=who)
            if self.wanted("reread", database):
                self.ours("reread", database, "reconcile", config, who=who)
            if self.wanted("tick", database) and self.world != "dirty":
                self.tick(database, config, who)
            if self.wanted("changed", database) and self.world == "reference":
                changed = int(requests.get(f"{self.base_url}/change", timeout=60).text)
                self.ours("changed", database, "reconcile", config, who=who, updated=changed)
            if self.with_queries and database in _QUERIED and self.wanted("queries", database):
                self.queries(database, store.url)

    def delayed(self, database: str) -> None:
        """With latency: first load, and a reconcile with eight requests at once."""
        if not any(self.wanted(work, database) for work in ("first20", "reconcile20")):
            return
        self.yardstick(latency=True)
        for who in self.versions:
            with self.stores.empty(database) as store:
                self.ours("first20", database, "sync", store.config(self.base_url), who=who)
                for work, at_once in (("reconcile20", 8), ("reconcile20 default", None)):
                    if self.wanted("reconcile20", database):
                        config = store.config(self.base_url, concurrency=at_once)
                        self.ours(work, database, "reconcile", config, who=who)

    def _other(self, who: str, database: str) -> None:
        again = self.wanted("reread", database)
        if not (again or self.wanted("first", database)) or (who == "dlt" and database == "mariadb"):
            return
        self.yardstick()
        with self.stores.empty(database) as store:
            for work in ("first", "reread") if again else ("first",):
                _, output = self.keep(work, who, database, lambda: _their(who, self.base_url, store))
                _must(int(output.split()[-1]) == self.jobs, f"{who}: {output}")


def _their(who: str, base_url: str, store: Store) -> Used:
    name, rest = ("with_dlt", [str(store.folder / "dlt")]) if who == "dlt" else ("handwritten", [])
    return process.module(name, base_url, TOKEN, store.url, *rest)


def line(sample: Sample) -> str:
    """One measurement for people who wait."""
    beside = f"{sample.seconds / sample.yardstick:6.2f} R" if sample.yardstick else " " * 8
    processor = sample.user + sample.system
    multiple = f"{processor / sample.yardstick_processor:5.2f} R" if sample.yardstick_processor else " " * 7
    used = f"processor {processor:6.2f} s {multiple}, server {sample.server:6.2f} s {sample.peak_mb:6.1f} MB"
    what = f"{sample.world:9} {sample.work:14} {sample.database:10} {sample.who:11}"
    return f"{what} {sample.seconds:7.2f} s {beside} {used}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class showing:
    """What is being measured, on a terminal only, until it is."""

    def __init__(self, what: str) -> None:
        self._what, self._shown = what, sys.stderr.isatty()

    def __enter__(self) -> None:
        if self._shown:
            sys.stderr.write(f"\r{time.strftime('%H:%M:%S')} {self._what} …")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise RuntimeError(f"a measured command did not do its work: {otherwise[-2000:]}")
