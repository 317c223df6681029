"""Statements that somebody typed, run where they cannot change anything.

PostgreSQL and MariaDB: a read-only transaction, one statement at a time, always rolled back. SQLite: an
authorizer that lets through reading only. A statement that starts with another word than a question's is
refused before it is sent, so that nobody can leave the transaction.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.analytics.columns import Column
from etl.analytics.queries import Table
from etl.db.engine import storage_errors
from etl.errors import ConfigError, StorageError

_QUESTIONS = ("select", "with", "values", "table", "explain", "show", "describe", "desc", "pragma")
_COMMENT = re.compile(r"\s*(--[^\n]*(\n|$)|/\*.*?\*/)", re.S)
_PRAGMAS = ("table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list")
_READING = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)


def ask(engine: sa.Engine, statement: str, *, timeout: float = 60, limit: int | None = None) -> Table:
    """The answer to one statement, which can only read. `timeout` in seconds; `limit` rows at most.

    Raises ConfigError for what is no question, StorageError for what the database refuses or does not
    finish in time.
    """
    text = statement.strip().rstrip(";").strip()
    _require_question(text)
    started = time.monotonic()
    try:
        with storage_errors(), _reading(engine, timeout) as connection:
            return _answer(connection, engine.dialect.name, text, limit)
    except StorageError as exc:
        if time.monotonic() - started < timeout:
            raise
        raise StorageError(
            f"the statement took longer than {timeout:g}s", hint="--timeout allows more"
        ) from exc


def _require_question(text: str) -> None:
    bare = text
    while found := _COMMENT.match(bare):
        bare = bare[found.end() :]
    word = re.match(r"[\s(]*(\w*)", bare)
    if word is None or word[1].lower() not in _QUESTIONS:
        raise ConfigError(
            "only questions are run here: this database is opened to read",
            hint=f"a statement begins with {', '.join(w.upper() for w in _QUESTIONS)}",
        )


def _answer(connection: sa.Connection, family: str, text: str, limit: int | None) -> Table:
    raw: Any = connection.connection.driver_connection
    cursor = raw.cursor()
    try:
        # psycopg prepares it, and a prepared statement is one statement.
        cursor.execute(text, **({"prepare": True} if family == "postgresql" else {}))
        if cursor.description is None:
            return Table("answer", "Answer", (), (), ranged=False)
        rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
        columns = tuple(Column(str(head[0]), "any", "") for head in cursor.description)
    finally:
        cursor.close()
    cut = limit is not None and len(rows) > limit
    kept = tuple(tuple(_plain(value) for value in row) for row in rows[:limit])
    return Table("answer", "Answer", columns, kept, cut=cut, ranged=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return (
        value if isinstance(value, str | int | float | bytes) or hasattr(value, "isoformat") else _text(value)
    )


def _text(value: Any) -> str | None:
    """JSON comes decoded from PostgreSQL."""
    import json

    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return None if value is None else str(value)


@contextmanager
def _reading(engine: sa.Engine, timeout: float) -> Iterator[sa.Connection]:
    with engine.connect() as connection:
        family = connection.dialect.name  # only a connection tells MariaDB from MySQL
        try:
            if family == "sqlite":
                with _guarded_sqlite(connection, timeout):
                    yield connection
            else:
                for setting in _settings(family, timeout):
                    connection.exec_driver_sql(setting)
                yield connection
        finally:
            connection.rollback()
            connection.invalidate()  # what was set for it goes with it


def _settings(family: str, timeout: float) -> list[str]:
    milliseconds = max(1, round(timeout * 1000))
    if family == "postgresql":
        return ["SET TRANSACTION READ ONLY", f"SET LOCAL statement_timeout = {milliseconds}"]
    limit = (
        f"max_statement_time = {timeout:g}" if family == "mariadb" else f"max_execution_time = {milliseconds}"
    )
    return [f"SET SESSION {limit}", "COMMIT", "START TRANSACTION READ ONLY"]


@contextmanager
def _guarded_sqlite(connection: sa.Connection, timeout: float) -> Iterator[None]:
    raw: Any = connection.connection.driver_connection
    connection.exec_driver_sql("SELECT 1")  # SQLAlchemy's BEGIN, before the guard is up
    raw.set_authorizer(_authorize)
    alarm = threading.Timer(timeout, raw.interrupt)
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
        raw.set_authorizer(None)


def _authorize(action: int, first: str | None, _second: str | None, *_rest: str | None) -> int:
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
