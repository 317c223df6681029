"""A process that is paused past its lease, while another one does its work, writes nothing when it wakes."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl.db.engine import make_engine
from etl.schema.tables import leases, metadata
from etl.simulator import Simulator, World
from tests.support.command import Command
from tests.support.databases import Server
from tests.support.running import TOKEN, configure, pass_leases, source, until


class Frozen:
    """A `sync` that was stopped in the middle of a first load, between two of its transactions."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.gateway = Simulator(World(seed=98, jobs=3000), token=TOKEN, latency=0.5)
        self.engine = make_engine(url)

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        configure(self.folder, self.url, [source(self.gateway)], lease={"seconds": "1h"})
        done = Command(self.folder)("db", "upgrade")
        assert done.code == 0, done.all
        self.process: subprocess.Popen[str] = Command(self.folder).start("sync")

    def freeze(self) -> None:
        until(lambda: self.count("list_pages") > 2, "it loads")
        with self._nobody_writing():
            self.process.send_signal(signal.SIGSTOP)
        self.gateway.gateway.latency = 0.0

    def count(self, table: str) -> int:
        with self.engine.connect() as conn:
            return conn.scalar(sa.select(sa.func.count()).select_from(metadata.tables[table])) or 0

    def everything(self) -> dict[str, list[Any]]:
        with self.engine.connect() as conn:
            tables = metadata.sorted_tables
            return {table.name: sorted(map(repr, conn.execute(sa.select(table)))) for table in tables}

    @contextmanager
    def _nobody_writing(self) -> Iterator[None]:
        """Frozen inside a transaction, it would hold SQLite's lock for ever; a server ends such a session."""
        if self.engine.dialect.name == "sqlite":
            with closing(sqlite3.connect(self.engine.url.database or "", isolation_level=None)) as lock:
                lock.execute("PRAGMA busy_timeout = 30000")
                lock.execute("BEGIN IMMEDIATE")
                yield
        else:
            with self.engine.begin() as conn:
                conn.execute(sa.select(leases).with_for_update())
                yield

    def __enter__(self) -> Frozen:
        self.gateway.__enter__()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)
        self.engine.dispose()
        self.gateway.__exit__(None, None, None)


@pytest.mark.slow
def test_a_paused_sync_writes_nothing_when_it_wakes(tmp_path: Path, postgres: Server) -> None:
    url = postgres.create("frozen")
    with Frozen(tmp_path / "a", f"sqlite:///{tmp_path}/a/etl.db") as a, Frozen(tmp_path / "b", url) as b:
        for frozen in (a, b):
            frozen.freeze()
        for frozen in (a, b):
            _another_takes_over(frozen)
        for frozen in (a, b):
            before = frozen.everything()
            frozen.process.send_signal(signal.SIGCONT)
            out, err = frozen.process.communicate(timeout=60)
            assert frozen.process.returncode == 1, out + err
            assert "nothing was written" in err and "Traceback" not in err, err
            assert frozen.everything() == before
    postgres.drop("frozen")


def _another_takes_over(frozen: Frozen) -> None:
    """Not before the lease has run out; then the other ends with everything."""
    assert _sync(frozen) == "skipped"
    pass_leases(frozen.engine)
    assert _sync(frozen) == "ok"
    assert frozen.count("video_jobs") == frozen.gateway.world.created_count()


def _sync(frozen: Frozen) -> str:
    done = Command(frozen.folder)("sync", "--json")
    assert done.code == 0, done.all
    status: str = done.json["sources"][0]["status"]
    return status
