"""What a database was asked, and how much it had to read for it, in its own words.

SQLite tells through its trace and progress handlers, PostgreSQL through its log and statistics, MariaDB
through its general log and counters. No clock is read.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
import sqlalchemy as sa

from tests.support.databases import Server

_LITERALS = re.compile(r"'(?:[^']|'')*'|\bNULL\b|\b[0-9][0-9.e+-]*\b|\$[0-9]+|%s|\?")
_LISTS = re.compile(r"\?(?:\s*,\s*\?)+")
_ROWS = re.compile(r"\(\?\)(?:\s*,\s*\(\?\))+")
_LOGGED = re.compile(r"^\S+ \S+ \S+ \[\d+\] LOG: {2}(?:statement|execute [^:]*): ", re.M)
_NEXT = re.compile(r"^\S+ \S+ \S+ \[\d+\] ", re.M)
WRITES = ("INSERT", "UPDATE", "DELETE", "COPY", "REPLACE", "LOAD")


class Counter(Protocol):
    """Counts one engine's work. `statements` and `effort` are the totals so far."""

    def statements(self) -> list[str]: ...

    def effort(self) -> int:
        """Rows that were looked at; for SQLite steps of its machine, which grow with them."""
        ...


class SqliteCounter:
    _STEPS = 10

    def __init__(self, engine: sa.Engine) -> None:
        self._seen: list[str] = []
        self._calls = 0
        sa.event.listen(engine, "checkout", self._watch)

    def _watch(self, connection: sqlite3.Connection, *_: Any) -> None:
        connection.set_trace_callback(self._seen.append)
        connection.set_progress_handler(self._step, self._STEPS)

    def _step(self) -> int:
        self._calls += 1
        return 0

    def statements(self) -> list[str]:
        return list(self._seen)

    def effort(self) -> int:
        return self._calls * self._STEPS


class PostgresCounter:
    def __init__(self, engine: sa.Engine, server: Server) -> None:
        self._engine, self._server = engine, server
        assert engine.url.database is not None
        self._name = engine.url.database
        server.execute(f"ALTER DATABASE {self._name} SET log_statement = 'all'")
        # A small table is read whole, and rightly so; here it is to be planned as a large one is.
        server.execute(f"ALTER DATABASE {self._name} SET enable_seqscan = off")
        engine.dispose()  # for sessions from here on
        self._start = server.log.stat().st_size

    def statements(self) -> list[str]:
        with self._server.log.open("rb") as log:
            log.seek(self._start)
            text = log.read().decode()
        found = []
        for match in _LOGGED.finditer(text):
            end = _NEXT.search(text, match.end())
            found.append(text[match.end() : end.start() if end else None].strip())
        return found

    def effort(self) -> int:
        """Sessions hand their counts in when they end."""
        self._engine.dispose()
        active = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self._name}'"
        _until(lambda: self._ask("postgres", active) == 0)
        rows = self._ask(self._name, "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables")
        found = self._ask(self._name, "SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes")
        return rows + found

    def _ask(self, database: str, statement: str) -> int:
        import psycopg

        options = "-c log_statement=none"
        url = self._server.url(database)
        with psycopg.connect(url, autocommit=True, options=options) as connection:
            row = connection.execute(statement).fetchone()
        assert row is not None
        return int(row[0])


class MariadbCounter:
    def __init__(self, server: Server) -> None:
        self._server = server
        server.execute("SET GLOBAL log_output = 'TABLE'")
        server.execute("TRUNCATE mysql.general_log")
        server.execute("SET GLOBAL general_log = 1")

    def statements(self) -> list[str]:
        asked = (
            "SELECT argument FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')"
            " AND user_host LIKE 'etl%' ORDER BY event_time, thread_id"
        )
        return [_text(row[0]) for row in self._ask(asked)]

    def effort(self) -> int:
        rows = self._ask("SHOW GLOBAL STATUS LIKE 'Handler_read%'")
        return sum(int(value) for name, value in rows if name != "Handler_read_rnd_deleted")

    def close(self) -> None:
        self._server.execute("SET GLOBAL general_log = 0")

    def _ask(self, statement: str) -> Any:
        import pymysql

        place = str(self._server.folder / "server.sock")
        with contextlib.closing(pymysql.connect(unix_socket=place, user="root")) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall()


@contextlib.contextmanager
def counting(engine: sa.Engine, database: str, request: pytest.FixtureRequest) -> Iterator[Counter]:
    """A counter of what `engine` does from here on."""
    if database == "sqlite":
        yield SqliteCounter(engine)
    elif database == "postgresql":
        yield PostgresCounter(engine, request.getfixturevalue("postgres"))
    else:
        counter = MariadbCounter(request.getfixturevalue("mariadb"))
        try:
            yield counter
        finally:
            counter.close()


def transactions(statements: list[str], *, together: bool = True) -> list[list[str]]:
    """The statements of every transaction that wrote something and committed.

    `together`: the same statement for many rows in a row is one.
    """
    found, current = [], list[str]()
    for statement in statements:
        word = statement.lstrip().split(None, 1)[0].upper().rstrip(";") if statement.strip() else ""
        if word in ("BEGIN", "START", "ROLLBACK"):
            current = []
        elif word == "COMMIT":
            if any(shape.startswith(WRITES) for shape in current):
                found.append(current)
            current = []
        elif (shape := _shape(statement)) and (not together or not current or current[-1] != shape):
            current.append(shape)
    return found


def _shape(statement: str) -> str:
    """The statement without its values, for one row or many."""
    bare = _LITERALS.sub("?", " ".join(statement.split()))
    return _ROWS.sub("(?)", _LISTS.sub("?", bare))


def _text(argument: Any) -> str:
    return argument.decode("utf-8", "replace") if isinstance(argument, bytes) else str(argument)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "a session did not end"
        time.sleep(0.01)
