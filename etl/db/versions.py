"""The oldest version of each database that does all this program asks of one."""

from __future__ import annotations

import sqlalchemy as sa

#: Before these, SQLite takes too few parameters at once (3.32), MariaDB has no FOR UPDATE SKIP LOCKED, MySQL
#: cannot sort texts of any length; of PostgreSQL nothing older was ever tried.
LEAST = {"sqlite": (3, 34), "postgresql": (13,), "mariadb": (10, 6), "mysql": (8, 0, 20)}
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB", "mysql": "MySQL"}
#: Of SQLite: from here on it can take a column away, which `db downgrade` does.
DROPS_COLUMNS = (3, 35)


def name_version(connection: sa.Connection) -> str:
    """As its makers write it: MariaDB 10.11.19."""
    return f"{_NAMES[connection.dialect.name]} {_written(_version(connection)[:3])}"


def what_is_too_old(connection: sa.Connection) -> str | None:
    """That this database is older than the oldest supported one, in words; None when it is not."""
    least = LEAST[connection.dialect.name]
    if _version(connection) >= least:
        return None
    return f"{name_version(connection)} is older than {_written(least)}, the oldest that is supported"


def can_drop_columns(connection: sa.Connection) -> bool:
    return connection.dialect.name != "sqlite" or _version(connection) >= DROPS_COLUMNS


def _version(connection: sa.Connection) -> tuple[int, ...]:
    found = connection.dialect.server_version_info or ()
    return tuple(part for part in found if isinstance(part, int))


def _written(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
