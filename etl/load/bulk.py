"""Many rows at once, each database's fastest way. Rows are plain tuples in the order of the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

Row = Sequence[Any]


def insert(conn: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows that are known not to exist."""
    if not rows:
        return
    if conn.dialect.name == "postgresql":
        _copy(conn, table, columns, rows)
    else:
        conn.exec_driver_sql(_insert_sql(conn.dialect.name, table, columns), _tuples(rows))


def insert_one(conn: sa.Connection, table: sa.Table, values: dict[str, Any]) -> int:
    """Insert a row and return its generated key."""
    key = conn.execute(sa.insert(table), values).inserted_primary_key
    assert key is not None
    return int(key[0])


def update(
    conn: sa.Connection, table: sa.Table, columns: tuple[str, ...], keys: tuple[str, ...], rows: Sequence[Row]
) -> None:
    """Set `columns` where `keys` match; each row holds the columns' values, then the keys'."""
    if rows:
        conn.exec_driver_sql(_update_sql(conn.dialect.name, table, columns, keys), _tuples(rows))


def storable(text: str | None) -> str | None:
    """The text as every database takes it: cursors and messages come from the gateway unseen."""
    return None if text is None else text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def adapter(dialect: str) -> Callable[[datetime | None], Any]:
    """How this database's driver wants an instant that does not pass through SQLAlchemy's types."""
    if dialect == "postgresql":
        return _same
    return _sqlite_text if dialect == "sqlite" else _naive


def _same(moment: datetime | None) -> datetime | None:
    return moment


@lru_cache(maxsize=8192)  # a page's own time comes with each of its jobs
def _sqlite_text(moment: datetime | None) -> str | None:
    # What SQLAlchemy's own type writes: fixed width, so that text sorts as time.
    return None if moment is None else moment.isoformat(" ", "microseconds")[:26]


@lru_cache(maxsize=8192)
def _naive(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def _tuples(rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    return [row if type(row) is tuple else tuple(row) for row in rows]


def _copy(conn: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
    raw: Any = conn.connection.driver_connection
    with raw.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


@lru_cache(maxsize=64)
def _insert_sql(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> str:
    marks = ", ".join([_mark(dialect)] * len(columns))
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 (our own names)


@lru_cache(maxsize=64)
def _update_sql(dialect: str, table: sa.Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> str:
    mark = _mark(dialect)
    sets = ", ".join(f"{name} = {mark}" for name in columns)
    where = " AND ".join(f"{name} = {mark}" for name in keys)
    return f"UPDATE {table.name} SET {sets} WHERE {where}"  # noqa: S608 (our own names)


def _mark(dialect: str) -> str:
    return "?" if dialect == "sqlite" else "%s"
