"""Whether a sync could write here: one row in each table, written, changed and deleted, and all taken back.

SQLite and PostgreSQL without tables: they are created in the same transaction. MariaDB and MySQL commit every
table by itself: there a table of another name is created and dropped.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.db.engine import Engine, read_transaction, write_transaction
from etl.db.types import Bytes, JsonText, UtcDateTime
from etl.errors import DatabaseRefused
from etl.schema import migrate

#: Four bytes in UTF-8: what an encoding or a collation of three bytes refuses.
_LETTER = "🎬"
#: Characters of a long prompt, and bytes of the longest message.
_LONG = 16_000
_MESSAGE = 1 << 20
_SCRATCH = "bifrost_etl_check"


class _TakenBack(Exception):
    """Ends a transaction that must leave nothing."""


def try_writing(engine: Engine) -> str:
    """Writes what a sync writes, and takes it back: says what it did. Raises StorageError's tree: what the
    database refuses."""
    revision = migrate.current_revision(engine)
    _require_room(engine)
    if revision is None:
        return _try_creating(engine)
    with suppress(_TakenBack), write_transaction(engine) as connection:
        _try_rows(connection)
        raise _TakenBack
    return "rows were written into each table, and taken back"


def _require_room(engine: Engine) -> None:
    """MariaDB and MySQL cut the connection of whoever sends more, without a word."""
    with read_transaction(engine) as connection:
        if connection.dialect.name not in ("mysql", "mariadb"):
            return
        size = connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one()
    if size < _MESSAGE:
        raise DatabaseRefused(
            f"max_allowed_packet is {size:,} bytes: a job with a long prompt needs up to {_MESSAGE:,}",
            hint="set max_allowed_packet = 16M on the database server",
        )


def _try_creating(engine: Engine) -> str:
    with engine.connect() as connection:  # only a connection tells MariaDB from MySQL
        family = connection.dialect.name
    if family in ("mysql", "mariadb"):
        _try_scratch_table(engine)
        return f"a table {_SCRATCH} was created, a row was written into it, and it was dropped"
    with (
        suppress(_TakenBack),
        write_transaction(engine) as connection,
        migrate.exclude_migrations(connection),
    ):
        migrate.create_new(connection)
        _try_rows(connection)
        raise _TakenBack
    return "the tables were created, rows were written into each, and all of it was taken back"


def _try_rows(connection: sa.Connection) -> None:
    from etl.schema.tables import metadata

    filled: list[tuple[sa.Table, sa.ColumnElement[bool]]] = []
    keys: dict[str, Any] = {}
    first = metadata.tables["sources"]  # whose key the others name, with a foreign key or without
    for table in (first, *(other for other in metadata.sorted_tables if other is not first)):
        row = _trial_row(table, keys)
        key = connection.execute(sa.insert(table).values(row)).inserted_primary_key
        keys |= {f"{table.name}.{c.name}": k for c, k in zip(table.primary_key, key or (), strict=True)}
        same = sa.and_(*(c == k for c, k in zip(table.primary_key, key or (), strict=True)))
        filled.append((table, same))
    for table, same in reversed(filled):
        last = list(table.columns)[-1]
        connection.execute(sa.update(table).where(same).values({last.name: last}))
        connection.execute(sa.delete(table).where(same))


def _trial_row(table: sa.Table, keys: dict[str, Any]) -> dict[str, Any]:
    """A value for each column that the database does not number itself. `source_id` is the new source's."""
    row: dict[str, Any] = {}
    for column in table.columns:
        if column is table.autoincrement_column:
            continue
        row[column.name] = keys["sources.id"] if column.name == "source_id" else _trial_value(column)
        for foreign in column.foreign_keys:
            row[column.name] = keys[foreign.target_fullname]
    return row


def _trial_value(column: sa.Column[Any]) -> Any:
    kind = column.type
    if isinstance(kind, UtcDateTime):
        return datetime(2026, 1, 1, tzinfo=UTC)
    if isinstance(kind, JsonText):
        return f'{{"{_LETTER}": 1}}'
    if isinstance(kind, Bytes):
        return _LETTER.encode()
    if isinstance(kind, sa.String):
        return (_LETTER * (kind.length or 1))[: kind.length]
    if isinstance(kind, sa.Boolean):
        return True
    if isinstance(kind, sa.Date):
        return date(2026, 1, 1)
    if isinstance(kind, sa.Numeric):
        return Decimal(1)
    if isinstance(kind, sa.Integer | sa.Float):
        return 1
    return _LETTER * (_LONG if column.name == "prompt" else 1)


def _try_scratch_table(engine: Engine) -> None:
    """The widest keys we have, and a view, which no transaction of this server takes back."""
    from etl.schema.tables import complete_tables, metadata

    complete_tables(engine.dialect.name)
    table = metadata.tables["video_jobs"].to_metadata(sa.MetaData(), name=_SCRATCH)
    for constraint in list(table.foreign_key_constraints):
        table.constraints.discard(constraint)
    with write_transaction(engine) as connection, migrate.exclude_migrations(connection):
        try:
            table.create(connection, checkfirst=True)
            connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {_SCRATCH}_view AS SELECT * FROM {_SCRATCH}")  # noqa: S608
            row = _trial_row(table, {"sources.id": 1})
            connection.execute(sa.insert(table).values(row))
            connection.execute(sa.update(table).values(model=None))
            connection.execute(sa.delete(table))
        finally:
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {_SCRATCH}_view")
            table.drop(connection, checkfirst=True)
