"""The product as a world needs it: on a virtual clock, on a database that begins empty, killed on demand.

What is replaced is named here and nowhere else: the connection pool, the threads that read ahead, the lease's
clock, and the two threads that only wait for the wall clock (heartbeat, copies of SQLite's log).
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from etl.config import Config, DatabaseConfig, LeaseConfig, Secret, SecretUrl, Source
from etl.db.engine import make_engine
from etl.extract import http
from etl.load import Store, lease
from etl.observer import Silent
from etl.pipeline import read_ahead, reconcile, run, sync
from etl.records import RunResult
from etl.schema import migrate
from etl.worker import Worker
from harness.worlds.gateway import Gateway
from harness.worlds.lanes import Chooser
from harness.worlds.wire import Pool
from harness.worlds.world import START, Settings

NAME = "main"
LEASE = 60.0
#: A run of more requests, in worlds of a few hundred jobs, is taken for endless.
ENDLESS = 4000


class Killed(BaseException):
    """The process is gone: nothing that it still tries to do happens."""


class Endless(BaseException):
    """A run that asks and asks."""


class Fate:
    """What becomes of the run under way: see `world.Action`."""

    def __init__(self) -> None:
        self.begin(None, None)

    def begin(self, kill: tuple[str, int] | None, stop: int | None) -> None:
        self.kill, self.stop_at = kill, stop
        self.dead, self.requests, self.commits, self.statements = False, 0, 0, 0
        self.stop = threading.Event()

    def requested(self, _number: int) -> None:
        self.requests += 1
        if self.requests > ENDLESS:
            self.dead = True
            raise Endless(f"more than {ENDLESS} requests in one run")
        if self.stop_at == self.requests:
            self.stop.set()
        self._die_if("request", self.requests)

    def committing(self, conn: sa.Connection) -> None:
        self.commits += 1
        self._die_if("before", self.commits)
        if self.kill == ("after", self.commits):
            conn.connection.commit()
            self._die_if("after", self.commits)

    def executing(self, *_: Any) -> None:
        self.statements += 1
        self._die_if("statement", self.statements)

    def _die_if(self, what: str, number: int) -> None:
        if self.dead or self.kill == (what, number):
            self.dead = True
            raise Killed


class Product:
    """One engine for many worlds: `fresh` empties its database, on connections that stay open."""

    def __init__(self, folder: Path) -> None:
        path = folder / "world.db"
        self.engine = make_engine(f"sqlite:///{path}")
        migrate.upgrade_schema(self.engine)
        self._reader = sqlite3.connect(path, isolation_level=None)
        self._reader.row_factory = sqlite3.Row
        self._at_first = _contents(self._reader)
        self.fate = Fate()
        sa.event.listen(self.engine, "commit", self.fate.committing)
        sa.event.listen(self.engine, "before_cursor_execute", self.fate.executing)

    def close(self) -> None:
        self._reader.close()
        self.engine.dispose()

    def fresh(self) -> None:
        """As a migration left it. To copy a file would cost each world its connections and their caches."""
        self._reader.execute("BEGIN IMMEDIATE")
        for table, rows in self._at_first.items():
            self._reader.execute(f"DELETE FROM {table}")
            if rows:
                places = ", ".join("?" * len(rows[0]))
                self._reader.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
        self._reader.execute("COMMIT")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Past the product: SQLite's own driver, which sees what is committed."""
        yield self._reader


def _contents(conn: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every table with its rows; SQLite's own table of numbers is one of them."""
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name = 'sqlite_sequence'"
    found = conn.execute(query).fetchall()
    return {table: [tuple(row) for row in conn.execute(f"SELECT * FROM {table}")] for (table,) in found}


class Process:
    """A process of the product, as often restarted as it dies."""

    def __init__(
        self,
        engine: sa.Engine,
        fate: Fate,
        gateway: Gateway,
        settings: Settings,
        rng: random.Random,
        name: str = NAME,
    ) -> None:
        self.engine, self.fate, self.gateway, self.rng = engine, fate, gateway, rng
        self.requests = 0  # of the last run
        self.ahead = 0.0  # our clock, of the true one
        gateway.on_request = self._requested
        self._store: Store | None = None
        self._renewed = 0.0
        suffixed = gateway.character.dialect != "openai"
        source = Source(
            name=name,
            base_url="http://gateway.test",
            provider="openai" if suffixed else None,
            api_key=Secret("key-of-the-world-7f3a"),
            max_attempts=settings.attempts,
            page_size=settings.page_size,
            first_load_lanes=settings.lanes,
            concurrency=settings.concurrency,
            open_job_patience=settings.patience,
            rereads_per_run=settings.rereads,
            probe_accounts=settings.probe,
            max_backoff=2.0,
            retry_after_cap=5.0,
        )
        url = SecretUrl(engine.url.render_as_string(hide_password=False))
        self.config = Config(
            sources=(source,), database=DatabaseConfig(url=url), lease=LeaseConfig(seconds=LEASE)
        )

    def true_time(self) -> datetime:
        return datetime.fromtimestamp(START, UTC) + timedelta(seconds=self.gateway.now)

    def clock(self) -> datetime:
        return self.true_time() + timedelta(seconds=self.ahead)

    def sleep(self, seconds: float) -> None:
        self.gateway.now += seconds

    def _requested(self, number: int) -> None:
        self.fate.requested(number)
        lease = self._store and self._store.lease
        if self._store and lease and lease.held and self.gateway.now - self._renewed > LEASE / 3:
            self._renewed = self.gateway.now
            self._store.renew()

    @contextlib.contextmanager
    def heartbeat(self, store: Store) -> Iterator[None]:
        """Stands in for the product's, which waits for the wall clock. A slow gateway costs no lease."""
        self._store, self._renewed = store, self.gateway.now
        try:
            yield
        finally:
            self._store = None

    def run(
        self, kind: str, *, kill: tuple[str, int] | None = None, stop: int | None = None, accept: bool = False
    ) -> RunResult | None:
        """None: it was killed."""
        fate = self.fate
        fate.begin(kill, stop)
        worker = Worker(self.config, self.engine, clock=self.clock, sleep=self.sleep, rng=self.rng)
        (source,), kinds = self.config.sources, {"sync": "incremental"}
        try:
            return worker.run(
                source,
                kinds.get(kind, kind),  # type: ignore[arg-type]
                progress=Silent(),
                stop=fate.stop,
                accept_suspicious=accept,
            )
        except Killed:
            return None
        finally:
            self.requests = fate.requests
            fate.begin(None, None)


@contextlib.contextmanager
def replaced(gateway: Gateway, settings: Settings, process: Process, rng: random.Random) -> Iterator[None]:
    """The product's seams, for as long as one world lasts."""
    chooser = Chooser(rng, settings.eager)
    pool = Pool(gateway)
    seams = (
        (http.Transport, "_open_pool", lambda _self: (pool, "")),
        (read_ahead, "Readers", chooser.readers),
        (lease, "database_now", lambda _conn: process.true_time()),
        (sync, "heartbeat", process.heartbeat),
        (sync, "log_copied", lambda _engine: contextlib.nullcontext()),
        (run, "PAGES_PER_BATCH", settings.batch),
        (run, "SECONDS_PER_BATCH", 1e9),
        (reconcile, "MIN_SEGMENT", settings.segment),
    )
    with contextlib.ExitStack() as stack:
        for owner, name, value in seams:
            stack.enter_context(mock.patch.object(owner, name, value))
        yield
