"""The calls of one run, numbered as they come; one of them is made to fail, in a way that has a name.

HTTP: 503 | refused | reset | timeout | cut (half a body) | garbage.
Database: busy (another's lock) | slow (a statement's time-out) | full (its disk) | before (the connection is
cut on the way there) | after (it took effect, the connection is cut on the way back).
Both: kill, in a forked process.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

import sqlalchemy as sa

from etl.load import bulk_mysql, bulk_postgres
from harness.worlds.gateway import Gateway

HTTP = ("503", "refused", "reset", "timeout", "cut", "garbage", "kill")
DATABASE = ("busy", "slow", "full", "before", "after", "kill")
KILLED = 9
#: A run of more calls is taken for endless.
ENDLESS = 20_000


class Endless(BaseException):
    """A run that calls and calls."""


class Calls:
    """`names` are the calls of the run under way: http or database. Stands where a world's `Fate` does."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.family = engine, engine.dialect.name
        self.gateway: Gateway | None = None
        self.names: list[str] = []
        self.stop, self.requests = threading.Event(), 0
        self._at, self._how, self._counting = -1, "", False

    def begin(self, _kill: tuple[str, int] | None, _stop: int | None) -> None:
        """Nothing: `failing` says what becomes of a run."""

    @contextmanager
    def failing(self, at: int = -1, how: str = "") -> Iterator[None]:
        """Number the calls; the one numbered `at` fails."""
        self.names, self._at, self._how, self._counting = [], at, how, True
        try:
            yield
        finally:
            self._counting = False

    def requested(self, _number: int) -> None:
        if self._is_struck("http"):
            assert self.gateway is not None
            self.gateway.next_trouble = self._how

    def _is_struck(self, name: str) -> bool:
        if not self._counting:
            return False
        self.names.append(name)
        if len(self.names) > ENDLESS:
            raise Endless
        struck = len(self.names) - 1 == self._at
        if struck and self._how == "kill":
            os._exit(KILLED)
        return struck

    def around(self, raw: Any, work: Callable[[], Any]) -> Any:
        """One call to the database over the driver's connection `raw`."""
        if not self._is_struck("database"):
            return work()
        if self._how in ("busy", "slow", "full"):
            raise _said(self.family, self._how)
        if self._how == "before" and self.family != "sqlite":
            cut(self.family, raw)
            return work()
        if self._how == "after":
            work()
            cut(self.family, raw)
            if self.family == "postgresql":
                raw.execute("SELECT 1")  # the driver finds out, and says so itself
        raise _said(self.family, "cut")


def cut(family: str, raw: Any) -> None:
    """As a network does it: the driver finds out when it next reads or writes."""
    if family == "sqlite":
        return
    with suppress(OSError):
        if family == "postgresql":
            with socket.socket(fileno=os.dup(raw.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)
        else:
            raw._sock.shutdown(socket.SHUT_RDWR)


def _said(family: str, how: str) -> Exception:
    """The driver's own error."""
    if family == "sqlite":
        error = sqlite3.OperationalError(how)
        codes = {"busy": sqlite3.SQLITE_BUSY, "full": sqlite3.SQLITE_FULL, "cut": sqlite3.SQLITE_IOERR}
        error.sqlite_errorcode = codes.get(how, sqlite3.SQLITE_BUSY)
        return error
    if family == "postgresql":
        from psycopg import errors

        kinds: dict[str, type[Exception]] = {
            "busy": errors.LockNotAvailable,
            "slow": errors.QueryCanceled,
            "full": errors.DiskFull,
            "cut": errors.AdminShutdown,
        }
        return kinds[how](how)
    from pymysql.err import OperationalError

    numbers = {"busy": 1205, "slow": 1969, "full": 1021, "cut": 2013}
    lost: Exception = OperationalError(numbers[how], how)
    return lost


@contextmanager
def numbered(calls: Calls) -> Iterator[None]:
    """Every statement, commit and bulk load of the engine goes through `calls`."""
    engine, dialect = calls.engine, calls.engine.dialect
    commit = dialect.do_commit

    def execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        calls.around(_raw(cursor), lambda: cursor.execute(statement, parameters))
        return True

    def execute_bare(cursor: Any, statement: str, _context: Any) -> bool:
        calls.around(_raw(cursor), lambda: cursor.execute(statement))
        return True

    def execute_many(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        calls.around(_raw(cursor), lambda: cursor.executemany(statement, parameters))
        return True

    def commit_numbered(connection: Any) -> None:
        calls.around(getattr(connection, "driver_connection", connection), lambda: commit(connection))

    events: tuple[tuple[str, Any], ...] = (
        ("do_execute", execute),
        ("do_execute_no_params", execute_bare),
        ("do_executemany", execute_many),
    )
    for name, listener in events:
        sa.event.listen(engine, name, listener)
    with (
        mock.patch.object(dialect, "do_commit", commit_numbered),
        mock.patch.object(bulk_postgres, "copy_rows", _bulk(calls, bulk_postgres.copy_rows)),
        mock.patch.object(bulk_mysql, "_send_load_data", _bulk(calls, bulk_mysql._send_load_data)),
    ):
        yield
    for name, listener in events:
        sa.event.remove(engine, name, listener)


def _raw(cursor: Any) -> Any:
    return cursor.connection


def _bulk(calls: Calls, real: Callable[..., Any]) -> Callable[..., Any]:
    def bulk(conn: sa.Connection, *rest: Any) -> Any:
        return calls.around(conn.connection.driver_connection, lambda: real(conn, *rest))

    return bulk
