"""What the dashboard reads with: an engine that cannot write, and rows as tables."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.analytics.queries import Table, convert_value
from etl.analytics.read_only import forbid_writing
from etl.db.engine import is_sqlite, make_engine, storage_errors
from etl.db.types import UtcDateTime
from etl.schema import migrate
from etl.schema.views.columns import Column, Scope
from etl.schema.views.dialects import make_dialect
from etl.schema.views.job_facts import JOB_FACTS

#: Statements of SQLite's machine between two looks at the clock.
_STEPS = 20_000


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


def has_schema(engine: sa.Engine) -> bool:
    """Whether the database has our tables. Raises SchemaMismatch, StorageError."""
    if is_sqlite(engine) and not Path(str(engine.url.database)).exists():
        return False
    if migrate.current_revision(engine) is None:
        return False
    migrate.check_schema(engine)
    return True


def bind_values(text: str, values: dict[str, Any]) -> sa.TextClause:
    """A statement with parameters; lists and instants are known as such."""
    return sa.text(text).bindparams(*(_bind_one(name, given) for name, given in values.items()))


def _bind_one(name: str, given: Any) -> sa.BindParameter[Any]:
    if isinstance(given, datetime):
        return sa.bindparam(name, given, type_=UtcDateTime())
    return sa.bindparam(name, given, expanding=isinstance(given, list))


def as_table(name: str, title: str, columns: tuple[Column, ...], rows: Any) -> Table:
    read = (
        tuple(_column_value(column, item) for column, item in zip(columns, row, strict=True)) for row in rows
    )
    return Table(name, title, columns, tuple(read))


def _column_value(column: Column, item: Any) -> Any:
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item).decode("utf-8", "replace")
    return convert_value(column.kind, item)


def facts_of(engine: sa.Engine, source: str, job_id: str) -> dict[str, Any]:
    """The job's row of job_facts; empty when it is not there."""
    with storage_errors(), engine.connect() as conn:
        d = make_dialect(conn.dialect.name)
        one = "j.job_id = :job AND j.source_id = (SELECT id FROM sources WHERE name = :source)"
        text = JOB_FACTS.sql(d, Scope(one, d.day, d.hours))
        row = conn.execute(bind_values(text, {"job": job_id, "source": source})).first()
    if row is None:
        return {}
    return {c.name: convert_value(c.kind, item) for c, item in zip(JOB_FACTS.columns, row, strict=True)}
