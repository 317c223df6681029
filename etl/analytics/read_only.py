"""A connection that can only read: for the dashboard, for reports, and for what people type.

PostgreSQL, MariaDB, MySQL: each transaction of the session is read-only, and a question cannot end the one it
is in: one statement is sent at a time. SQLite: an authorizer lets through reading only.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import sqlalchemy as sa

from etl.db.engine import is_sqlite, make_engine
from etl.db.postgres import for_reading

_PRAGMAS = (
    *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"),
    "foreign_key_list",
)
_READING = (
    *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION),
)
#: Statements of SQLite's machine between two looks at the clock.
_STEPS = 20_000
_DOERS = ("load_extension", "fts3_tokenizer", "writefile", "readfile", "edit")


def reading_engine(url: str, timeout: float) -> sa.Engine:
    """An engine whose connections can only read, each question for at most `timeout` seconds."""
    engine = make_engine(url, pool_size=8)
    forbid_writing(engine, timeout)
    if is_sqlite(engine):
        sa.event.listen(engine, "checkout", _deadline_guard(timeout))
    return engine


def _deadline_guard(timeout: float) -> Any:
    def take(connection: Any, _record: Any, _proxy: Any) -> None:
        end = time.monotonic() + timeout
        connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)

    return take


def lift_time_limit(conn: sa.Connection) -> None:
    """Takes the time limit off a connection, which must not go back to the pool."""
    if conn.dialect.name == "sqlite":
        raw: Any = conn.connection.driver_connection
        raw.set_progress_handler(None, 0)
    elif conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
    else:
        name = "max_statement_time" if conn.dialect.name == "mariadb" else "max_execution_time"
        conn.exec_driver_sql(f"SET SESSION {name} = 0")


def forbid_writing(engine: sa.Engine, timeout: float | None = None) -> None:
    """Every connection that `engine` makes from now on can only read. `timeout`: seconds for one question, on
    a server; for SQLite see `reading_engine`. Without it a question takes as long as it takes."""

    @sa.event.listens_for(engine, "connect")
    def _connected(raw: Any, record: Any) -> None:
        if is_sqlite(engine):
            forbid_writing_sqlite(raw)
        elif not for_reading(record.info, timeout):
            forbid_writing_server(raw, engine.dialect.name, timeout)


def forbid_writing_sqlite(raw: Any) -> None:
    """`raw` is a sqlite3.Connection."""
    raw.execute("PRAGMA query_only = ON")
    raw.set_authorizer(_authorize_sqlite)


def forbid_writing_server(raw: Any, family: str, timeout: float | None) -> None:
    """`raw` is the driver's connection, in no transaction; a question ends after `timeout` seconds."""
    with raw.cursor() as cursor:
        for setting in _session_settings(family, timeout):
            cursor.execute(setting)
    raw.commit()


def _session_settings(family: str, timeout: float | None) -> tuple[str, ...]:
    if family == "postgresql":
        reads = "SET default_transaction_read_only = on"
    else:
        reads = "SET SESSION TRANSACTION READ ONLY"
    return (reads,) if timeout is None else (reads, _limit_statement(family, timeout))


def _limit_statement(family: str, timeout: float) -> str:
    milliseconds = max(1, round(timeout * 1000))
    if family == "postgresql":
        return f"SET statement_timeout = {milliseconds}"
    if family == "mariadb":
        return f"SET SESSION max_statement_time = {timeout:g}"
    return f"SET SESSION max_execution_time = {milliseconds}"


def _authorize_sqlite(action: int, first: str | None, second: str | None, *_rest: str | None) -> int:
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and str(second).lower() not in _DOERS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and str(first).lower() in _PRAGMAS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
