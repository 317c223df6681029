"""Statements that somebody typed, run where they cannot change anything.

The connection can only read (etl.analytics.read_only), one statement is sent at a time, and its transaction
is rolled back. What a question of a mighty account could do all the same is refused before it is sent
(etl.analytics.sql_guard).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.analytics.queries import Table
from etl.analytics.read_only import forbid_writing_server, forbid_writing_sqlite
from etl.analytics.sql_guard import require_only_reading_calls, require_question
from etl.analytics.unknown_names import hint_of_unknown
from etl.db.engine import storage_errors
from etl.db.postgres import for_reading, is_pooled
from etl.errors import StorageError
from etl.schema.views.columns import Column


def run_statement(
    engine: sa.Engine, statement: str, *, timeout: float = 60, limit: int | None = None
) -> Table:
    """The answer to one statement, which can only read. `timeout` in seconds; `limit` rows at most.

    Raises ConfigError for what is no question, StorageError for what the database refuses or does not
    finish in time.
    """
    text = statement.strip().rstrip(";").strip()
    started = time.monotonic()
    try:
        with storage_errors(), _read_only_connection(engine, timeout) as connection:
            require_question(text, connection.dialect.name)
            require_only_reading_calls(connection, text)
            return _fetch_table(connection, engine.dialect.name, text, limit)
    except StorageError as exc:
        if time.monotonic() - started < timeout:
            exc.hint = exc.hint or hint_of_unknown(str(exc))
            raise
        raise StorageError(
            f"the statement took longer than {timeout:g}s", hint="--timeout allows more"
        ) from exc


def _fetch_table(connection: sa.Connection, family: str, text: str, limit: int | None) -> Table:
    raw: Any = connection.connection.driver_connection
    cursor = raw.cursor()
    try:
        _send_statement(connection, cursor, text)
        if cursor.description is None:
            return Table("answer", "Answer", (), (), ranged=False)
        rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
        columns = tuple(Column(str(head[0]), "any", "") for head in cursor.description)
    finally:
        cursor.close()
    cut = limit is not None and len(rows) > limit
    kept = tuple(tuple(_plain_value(value) for value in row) for row in rows[:limit])
    return Table("answer", "Answer", columns, kept, cut=cut, ranged=False, asked=len(columns))


def _send_statement(connection: sa.Connection, cursor: Any, text: str) -> None:
    """As one statement: psycopg prepares it, or sends it in a pipeline behind a pooler. Neither takes two."""
    if connection.dialect.name != "postgresql":
        cursor.execute(text)
    elif is_pooled(connection.info):
        with connection.connection.driver_connection.pipeline():  # type: ignore[union-attr]
            cursor.execute(text)
    else:
        cursor.execute(text, prepare=True)


def _plain_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return (
        value
        if isinstance(value, str | int | float | bytes) or hasattr(value, "isoformat")
        else _json_text(value)
    )


def _json_text(value: Any) -> str | None:
    """JSON comes decoded from PostgreSQL."""
    import json

    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return None if value is None else str(value)


@contextmanager
def _read_only_connection(engine: sa.Engine, timeout: float) -> Iterator[sa.Connection]:
    """A connection that can only read, in a transaction that is rolled back; never given to anybody else."""
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        try:
            if connection.dialect.name == "sqlite":
                forbid_writing_sqlite(raw)
                with _time_limited(raw, timeout):
                    yield connection
            elif for_reading(connection.info, timeout):
                with connection.begin():
                    yield connection
            else:  # only a connection tells MariaDB from MySQL
                forbid_writing_server(raw, connection.dialect.name, timeout)
                yield connection
        finally:
            connection.rollback()
            connection.invalidate()  # what was set for it goes with it


@contextmanager
def _time_limited(raw: Any, timeout: float) -> Iterator[None]:
    alarm = threading.Timer(timeout, raw.interrupt)
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
