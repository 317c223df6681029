"""A new database in one step: what all revisions together make (tests compare the two).

Alembic needs 0.3 s and 13 MB more, and nearly every first load begins with an empty database.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from etl.errors import DatabaseRefused
from etl.schema import price_book
from etl.schema.tables import complete_tables, metadata
from etl.schema.views.create import create_views


def create_schema(connection: sa.Connection, version_table: str, revision: str) -> None:
    """Tables, indexes, views and the published prices, in the caller's transaction.

    MariaDB commits table by table. So the table that Alembic looks for comes first, and its row last: after a
    crash between the two the revisions complete what is missing.
    """
    _require_unicode(connection)
    version = sa.Column("version_num", sa.String(32), nullable=False)
    key = sa.PrimaryKeyConstraint("version_num", name=f"{version_table}_pkc")  # as Alembic has it
    noted = sa.Table(version_table, sa.MetaData(), version, key)
    noted.create(connection, checkfirst=False)
    complete_tables(connection.dialect.name)
    _create_tables(connection)
    create_views(connection)
    price_book.seed_prices(connection)
    connection.execute(sa.insert(noted).values(version_num=revision))


def _require_unicode(connection: sa.Connection) -> None:
    """MariaDB's and MySQL's tables say their own encoding; SQLite has no other."""
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise DatabaseRefused(
            f"the database's encoding is {encoding}, which cannot hold every prompt",
            hint="create it as UTF-8: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        )


def _create_tables(connection: sa.Connection) -> None:
    """PostgreSQL takes 450 statements, most of them comments, in one message: half the time of one by one.
    MariaDB and MySQL write to the disk for each statement, and make a table anew for each of its indexes."""
    if connection.dialect.name == "sqlite":
        metadata.create_all(connection, checkfirst=False)
        return
    if connection.dialect.name != "postgresql":
        for table in metadata.sorted_tables:
            connection.exec_driver_sql(_table_with_indexes(table, connection.dialect))
        return
    said: list[str] = []
    mock: Any = sa.create_mock_engine(
        connection.engine.url, lambda ddl, *_, **__: said.append(str(ddl.compile(dialect=mock.dialect)))
    )
    metadata.create_all(mock, checkfirst=False)
    script = ";".join(said).replace("%%", "%")  # doubled for a driver that looks for parameters
    connection.exec_driver_sql(script, execution_options={"no_parameters": True})


def _table_with_indexes(table: sa.Table, dialect: sa.Dialect) -> str:
    """CREATE TABLE as MariaDB and MySQL take it."""
    columns, end, options = str(CreateTable(table).compile(dialect=dialect)).rpartition("\n)")
    quote = dialect.identifier_preparer.quote
    keys = [
        f"{'UNIQUE ' if index.unique else ''}INDEX {quote(str(index.name))}"
        f" ({', '.join(quote(column.name) for column in index.columns)})"
        for index in sorted(table.indexes, key=lambda index: str(index.name))
    ]
    return f"{', '.join([columns.rstrip(), *keys])}{end}{options}".replace("%%", "%")
