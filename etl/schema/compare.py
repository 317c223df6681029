"""The tables as they are beside the tables as declared: a revision says what was done, not what is there."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from etl.db.engine import Engine, read_transaction
from etl.schema.partitions import TABLE, is_partitioned

_TELLERS = {
    "add_table": lambda c: f"table {c[1].name} is missing",
    "add_column": lambda c: f"column {c[2]}.{c[3].name} is missing",
    "add_index": lambda c: f"index {c[1].name} on {c[1].table.name} is missing, or has other columns",
    "add_constraint": lambda c: f"unique key {c[1].name} on {c[1].table.name} is missing",
    "add_fk": lambda c: f"foreign key {c[1].name} on {c[1].parent.name} is missing",
    "modify_type": lambda c: f"column {c[2]}.{c[3]} is {_name_of(c[5])} instead of {_name_of(c[6])}",
    "modify_nullable": lambda c: f"column {c[2]}.{c[3]} {'takes' if c[5] else 'refuses'} nulls",
    "modify_default": lambda c: f"column {c[2]}.{c[3]} has another default",
}


def find_differences(engine: Engine) -> list[str]:
    """What is missing or otherwise than declared, in words: tables, columns, types, nulls, keys, indexes.

    What somebody added, an index for instance, does no harm and is not told, unless a sync would stumble over
    it: a further column that must be filled. Raises StorageError's tree.
    """
    from alembic.autogenerate import compare_metadata

    from etl.schema.tables import metadata

    with read_transaction(engine) as connection:
        partitioned = is_partitioned(connection)
        context = _migration_context(connection)
        found = [part for change in compare_metadata(context, metadata) for part in _flatten_change(change)]
        # A history in months has its keys month by month.
        kept = [change for change in found if not (partitioned and _is_key_of_history(change))]
        gone = [change[1].name for change in kept if change[0] == "add_table"]
        told = [
            _describe_change(change)
            for change in kept
            if not (change[0] == "add_index" and _table_of_change(change) in gone)
        ]
        return [text for text in told if text] + _without_key(connection) + _wrong_collations(connection)


def _migration_context(connection: sa.Connection) -> Any:
    from alembic.migration import MigrationContext

    options = {"compare_type": True, "compare_server_default": True}
    return MigrationContext.configure(connection, opts=options)


def _flatten_change(change: Any) -> list[Any]:
    """Alembic gives changes of one column in a list of their own."""
    return change if isinstance(change, list) else [change]


def _describe_change(change: Any) -> str | None:
    if change[0] == "remove_column" and not change[3].nullable and change[3].server_default is None:
        return f"column {change[2]}.{change[3].name} is not ours, and must be filled"
    teller = _TELLERS.get(change[0])
    return teller(change) if teller else None


def _is_key_of_history(change: Any) -> bool:
    return change[0] in ("add_constraint", "add_index") and _table_of_change(change) == TABLE


def _table_of_change(change: Any) -> str:
    """The table that an index or a key belongs to."""
    return str(change[1].table.name)


def _name_of(of: Any) -> str:
    return str(of).lower()


def _without_key(connection: sa.Connection) -> list[str]:
    """Alembic does not look at primary keys."""
    from etl.schema.tables import metadata

    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    return [
        f"table {name} has another primary key"
        for name, table in metadata.tables.items()
        if name in there
        and not (name == TABLE and is_partitioned(connection))
        and set(inspector.get_pk_constraint(name)["constrained_columns"])
        != set(table.primary_key.columns.keys())
    ]


def _wrong_collations(connection: sa.Connection) -> list[str]:
    """MariaDB, MySQL: a collation that sees no difference between ids mixes jobs up."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        return []
    from etl.schema.tables import metadata

    asked = sa.text(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name IN :names AND collation_name NOT LIKE '%bin'"
    ).bindparams(sa.bindparam("names", expanding=True))
    rows = connection.execute(asked, {"names": list(metadata.tables)})
    return [f"column {table}.{column} has the collation {name}" for table, column, name in rows]
