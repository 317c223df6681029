"""What an account may do to its server besides reading tables: said where somebody is let in to ask."""

from __future__ import annotations

import re

import sqlalchemy as sa

from etl.db.engine import Engine, read_transaction

#: How to make an account that can only read; the rest stands in docs/sql.md.
HINT = "ask as an account that may only SELECT: see 'An account that can only read' in docs/sql.md"
#: Rights on a whole MariaDB or MySQL server that reach beyond tables; `ALL PRIVILEGES` holds them all.
_MYSQL = (
    *("ALL PRIVILEGES", "SUPER", "FILE", "PROCESS", "RELOAD", "SHUTDOWN", "CREATE USER", "GRANT OPTION"),
    *("SET USER", "CONNECTION ADMIN", "BINLOG ADMIN", "READ_ONLY ADMIN"),  # MariaDB's words, and MySQL's
    *("SET_USER_ID", "SET_ANY_DEFINER", "CONNECTION_ADMIN", "BINLOG_ADMIN", "ROLE_ADMIN", "BACKUP_ADMIN"),
    *("SYSTEM_VARIABLES_ADMIN", "PERSIST_RO_VARIABLES_ADMIN"),
)
_WRITING = ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER")
_POSTGRES_ROLES = (
    *("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program", "pg_signal_backend"),
    *("pg_checkpoint", "pg_maintain", "pg_write_all_data"),
)


def server_rights(engine: Engine) -> tuple[str, ...]:
    """Rights that reach beyond the tables: files, settings, other sessions. Raises StorageError's tree."""
    with read_transaction(engine) as connection:
        if connection.dialect.name == "sqlite":
            return ()
        if connection.dialect.name == "postgresql":
            return _postgres_rights(connection)
        return tuple(right for right in _MYSQL if right in _mysql_rights(connection, on_server=True))


def may_write(engine: Engine) -> bool:
    """Whether the account may change rows. An SQLite file's rights are its file's: always True there."""
    with read_transaction(engine) as connection:
        if connection.dialect.name == "sqlite":
            return True
        if connection.dialect.name == "postgresql":
            asked = sa.text("SELECT has_table_privilege('video_jobs', 'INSERT, UPDATE, DELETE')")
            return bool(connection.scalar(asked))
        rights = _mysql_rights(connection, on_server=False)
        return bool(rights & {"ALL PRIVILEGES", *_WRITING})


def _postgres_rights(connection: sa.Connection) -> tuple[str, ...]:
    if connection.scalar(sa.text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")):
        return ("SUPERUSER",)
    asked = sa.text(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(:names) "
        "AND pg_has_role(current_user, oid, 'USAGE') ORDER BY rolname"
    )
    return tuple(connection.scalars(asked, {"names": list(_POSTGRES_ROLES)}))


def _mysql_rights(connection: sa.Connection, *, on_server: bool) -> set[str]:
    """Rights on everything, or on anything: `GRANT SELECT, FILE ON *.* TO ... WITH GRANT OPTION`."""
    found: set[str] = set()
    for grant in connection.exec_driver_sql("SHOW GRANTS").scalars():
        told = re.match(r"GRANT (.*?) ON (\S+) TO", grant)
        if told is None or (on_server and told[2] != "*.*"):
            continue
        found.update(right.strip() for right in re.sub(r"\([^)]*\)", "", told[1]).split(","))
        if "WITH GRANT OPTION" in grant:
            found.add("GRANT OPTION")
    return found
