"""The databases under test: made, watched from outside, read for the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from etl.db.engine import make_engine
from harness.processes import until
from tests.support.databases import Server, mariadb_server, postgres_server

FAMILIES = ("sqlite", "postgresql", "mariadb")


@dataclass
class Store:
    """One database. `engine` is for looking only."""

    family: str
    name: str
    url: str
    server: Server | None
    path: Path | None

    def __post_init__(self) -> None:
        self.engine = make_engine(self.url)
        self._watch: sa.Engine | None = None
        if self.server is not None:
            admin = self.server.url("postgres" if self.family == "postgresql" else "mysql")
            self._watch = make_engine(admin)

    def close(self) -> None:
        for engine in (self.engine, self._watch):
            if engine is not None:
                engine.dispose()

    def mark(self) -> tuple[int, int]:
        """SQLite's write-ahead log: it changes while a transaction is written."""
        assert self.path is not None
        try:
            found = self.path.with_name(self.path.name + "-wal").stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_size, found.st_mtime_ns)

    def at_work(self, before: tuple[int, int] | None = None) -> bool:
        """A transaction of somebody else is open; for SQLite: something was written since `before`."""
        if self._watch is None:
            now = self.mark()
            return now[0] > 0 and now != before
        return self._count(_AT_WORK[self.family]) > 0

    def settle(self) -> None:
        """Wait until the server has done with what dead clients left."""
        self.engine.dispose()
        if self._watch is not None:
            until(lambda: self._count(_CONNECTED[self.family]) == 0, "the end of the dead's transactions")

    def _count(self, query: str) -> int:
        assert self._watch is not None
        with self._watch.connect() as conn:
            return int(conn.execute(sa.text(query), {"name": self.name}).scalar_one())


_CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND backend_type = 'client backend'"
_CONNECTED = {
    "postgresql": _CLIENTS,
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE db = :name",
}
_AT_WORK = {
    "postgresql": f"{_CLIENTS} AND backend_xid IS NOT NULL",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p"
    " ON p.id = t.trx_mysql_thread_id WHERE p.db = :name AND t.trx_rows_modified > 0",
}


@contextmanager
def server(family: str, *settings: str) -> Iterator[Server | None]:
    """The server of a family, with further settings; SQLite has none."""
    if family == "sqlite":
        yield None
        return
    starter = postgres_server if family == "postgresql" else mariadb_server
    with starter(*settings) as running:
        yield running


@contextmanager
def store(family: str, running: Server | None, folder: Path, name: str) -> Iterator[Store]:
    """A new, empty database."""
    if running is None:
        path = folder / f"{name}.db"
        made = Store(family, name, f"sqlite:///{path}", None, path)
    else:
        made = Store(family, name, running.create(name), running, None)
    try:
        yield made
    finally:
        made.close()
