"""Work on a whole database whose every statement fails once: an upgrade from the first revision, pruning, and
deliveries to each kind of file.

Each attempt runs in a process of its own, on a copy of the database or into an empty folder; then once more,
undisturbed. It must end as if nothing had happened.
"""

from __future__ import annotations

import itertools
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.config import Retention
from etl.db.engine import make_engine
from etl.feed.delivery import deliver_to_one
from etl.feed.prune import prune_tables
from etl.load.totals import recount_totals
from etl.schema import migrate
from etl.schema.compare import find_differences
from etl.schema.tables import metadata
from harness.nth.calls import DATABASE, KILLED, Calls, numbered
from harness.nth.outcome import Outcome, Reference
from harness.stores import Store
from tests.support.databases import mariadb_script
from tests.support.feed_history import START, Writer, add_source
from tests.support.reading_back import assert_equal, destination

FIRST = "0001"
DAY = 86_400.0
#: An attempt that takes longer hangs.
PATIENCE = 120.0
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["harness.nth.chores"])

Work = Callable[[sa.Engine, Path], None]
#: What must be the same after every way to the end; raises AssertionError.
Look = Callable[[sa.Engine, Path], Any]


@dataclass(frozen=True)
class Chore:
    """`copied`: it changes the database, and each trial gets one of its own."""

    work: Work
    look: Look
    copied: bool = True


def _upgrade(engine: sa.Engine, _folder: Path) -> None:
    migrate.upgrade_schema(engine, recount_totals)


def _whole(engine: sa.Engine, _folder: Path) -> Any:
    assert find_differences(engine) == []
    return _rows(engine)


def _prune(engine: sa.Engine, _folder: Path) -> None:
    old = Retention(versions=DAY, page_log=DAY, runs=DAY, rejects=DAY, requests=DAY)
    prune_tables(engine, old, now=START + timedelta(days=400))


def _newest_kept(engine: sa.Engine, _folder: Path) -> Any:
    rows = _rows(engine)
    jobs, versions = metadata.tables["video_jobs"].c, metadata.tables["video_job_versions"].c
    same = (versions.job_id == jobs.job_id, versions.source_id == jobs.source_id)
    kept = sa.exists().where(*same, versions.version == jobs.version)
    with engine.connect() as conn:
        lost = conn.execute(sa.select(jobs.job_id).where(~kept)).all()
    assert (rows["video_jobs"], lost) and lost == []
    return rows


def _rows(engine: sa.Engine) -> dict[str, list[str]]:
    with engine.connect() as conn:
        return {
            name: sorted(repr(tuple(row)) for row in conn.execute(sa.select(table)))
            for name, table in metadata.tables.items()
        }


def _feed(kind: str) -> Chore:
    def deliver(engine: sa.Engine, folder: Path) -> None:
        result = deliver_to_one(engine, destination(kind, folder), batch_rows=40)
        if result.error is not None:
            raise result.error

    return Chore(deliver, lambda engine, folder: assert_equal(engine, kind, folder), copied=False)


CHORES: dict[str, Chore] = {
    "upgrade": Chore(_upgrade, _whole),
    "prune": Chore(_prune, _newest_kept),
    **{f"feed, {kind}": _feed(kind) for kind in ("filesystem", "duckdb", "delta", "iceberg")},
}


@dataclass
class ChoreBench:
    """As `Bench`, for chores, by name."""

    store: Store
    folder: Path
    reference: Reference = field(default_factory=Reference)
    _chore: str = ""
    _made: str = ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def take(self, name: str) -> None:
        self._chore, self.reference = name, Reference()
        self._made = self._prepare(f"chore{next(self._numbers)}", older=name == "upgrade")
        told = self._told(-1, "")
        self.reference.calls, self.reference.facts = told.first["calls"], told.last
        self.reference.findings = told.findings

    def ways(self) -> Iterator[tuple[int, str]]:
        yield from itertools.product(range(len(self.reference.calls)), DATABASE)

    def trial(self, at: int, how: str) -> Outcome:
        told = self._told(at, how)
        if told.last != self.reference.facts:
            told.findings.append(f"it ends otherwise: {_unlike(told.last, self.reference.facts)}")
        return Outcome(told.first["status"], told.findings)

    def close(self) -> None:
        """Nothing is open here."""

    def _prepare(self, name: str, *, older: bool) -> str:
        """A database with two sources' history, left to nobody."""
        engine = make_engine(self._create(name))
        migrate.upgrade_schema(engine)
        for seed, source in enumerate("ab"):
            writer = Writer(engine, add_source(engine, source), seed)
            for _ in range(3):
                writer.step(new=12, changes=5)
        if older:
            migrate.downgrade_schema(engine, FIRST)
        engine.dispose()
        return name

    def _told(self, at: int, how: str) -> _Told:
        name = f"trial{next(self._numbers)}"
        folder = self.folder / name
        folder.mkdir()
        copied = CHORES[self._chore].copied
        url = self._copy(name) if copied else self._url(self._made)
        first = _attempt(url, self._chore, folder, at, how)
        last = _attempt(url, self._chore, folder)
        if copied:
            self._drop(name)
        shutil.rmtree(folder)
        found = [] if last["status"] == "ok" else [f"done again, it is {last['status']}"]
        return _Told(first, last["told"], found)

    def _url(self, name: str) -> str:
        server = self.store.server
        return f"sqlite:///{self.folder / name}.db" if server is None else server.url(name)

    def _create(self, name: str) -> str:
        return self._url(name) if self.store.server is None else self.store.server.create(name)

    def _copy(self, name: str) -> str:
        server = self.store.server
        if server is None:
            shutil.copyfile(self.folder / f"{self._made}.db", self.folder / f"{name}.db")
        elif self.store.family == "postgresql":
            server.create(name, template=self._made)
        else:
            server.create(name)
            engine = make_engine(self._url(self._made))
            with engine.connect() as conn:
                script = mariadb_script(conn, self._made)
            engine.dispose()
            server.execute(script, database=name)
        return self._url(name)

    def _drop(self, name: str) -> None:
        if self.store.server is not None:
            self.store.server.drop(name)
            return
        for path in self.folder.glob(f"{name}.db*"):
            path.unlink()


@dataclass
class _Told:
    first: dict[str, Any]
    last: Any
    findings: list[str]


def _attempt(url: str, chore: str, folder: Path, at: int = -1, how: str = "") -> dict[str, Any]:
    """How it ended, what it called, and what is there then unless it was to fail."""
    ours, theirs = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_work, args=(theirs, url, chore, folder, at, how))
    process.start()
    theirs.close()
    told: dict[str, Any] = {"status": "killed", "calls": [], "told": None}
    try:
        if ours.poll(PATIENCE):
            told = ours.recv()
    except EOFError:
        pass
    process.join(PATIENCE)
    if process.exitcode not in (0, KILLED):
        told["status"] = f"ended with {process.exitcode}"
        process.kill()
    return told


def _work(pipe: Connection, url: str, name: str, folder: Path, at: int, how: str) -> None:
    """In the forked process."""
    chore, engine = CHORES[name], make_engine(url)
    calls, status, told = Calls(engine), "ok", None
    try:
        with numbered(calls), calls.failing(at, how):
            chore.work(engine, folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        status = f"failed: {type(error).__name__}: {error}"
    try:
        told = None if how else chore.look(engine, folder)
    except AssertionError as error:
        status = f"untrue: {str(error)[:200]}"
    engine.dispose()
    pipe.send({"status": status, "calls": calls.names, "told": told})


def _unlike(found: Any, wanted: Any) -> str:
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return f"{found!r:.80}, not {wanted!r:.80}"
    names = [name for name in wanted if found.get(name) != wanted[name]]
    more = [row for name in names for row in found.get(name, []) if row not in wanted[name]]
    less = [row for name in names for row in wanted[name] if row not in found.get(name, [])]
    return f"{', '.join(names)}: too many {more[:2]}, missing {less[:2]}"
