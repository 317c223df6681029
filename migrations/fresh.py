"""A new database in one step: what all revisions together make (tests compare the two).

Alembic needs 0.3 s and 13 MB more, and nearly every first load begins with an empty database.
"""

from __future__ import annotations

import sqlalchemy as sa

from etl.analytics import prices, views
from etl.db.models import metadata, name_charsets


def create(connection: sa.Connection, version_table: str, revision: str) -> None:
    """Tables, indexes, views and the published prices, in the caller's transaction.

    MariaDB commits table by table. So the table that Alembic looks for comes first, and its row last: after a
    crash between the two the revisions complete what is missing.
    """
    version = sa.Column("version_num", sa.String(32), nullable=False)
    key = sa.PrimaryKeyConstraint("version_num", name=f"{version_table}_pkc")  # as Alembic has it
    noted = sa.Table(version_table, sa.MetaData(), version, key)
    noted.create(connection, checkfirst=False)
    if connection.dialect.name in ("mysql", "mariadb"):
        name_charsets()
    _name_conditions(connection.dialect.name)
    metadata.create_all(connection, checkfirst=False)
    views.create(connection)
    prices.seed(connection)
    connection.execute(sa.insert(noted).values(version_num=revision))


def _name_conditions(dialect: str) -> None:
    """Conditions of partial indexes, which the models note aside."""
    for table in metadata.tables.values():
        for index in table.indexes:
            if dialect in index.info.get("where", {}):
                index.dialect_options[dialect]["where"] = sa.text(index.info["where"][dialect])
