"""Which schema a database has, and how to bring it to the one that this code was written for.

Alembic is imported only when something has to be migrated; a new database is made in one step. SQLite and
PostgreSQL upgrade in one transaction, all or nothing. MariaDB and MySQL commit every DDL statement by itself:
an upgrade that dies half-way there leaves some tables, and running it again completes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from etl.db.engine import LOCK_WAIT, read_transaction, write_transaction
from etl.db.versions import can_drop_columns, name_version
from etl.errors import (
    ConfigError,
    DatabaseBusy,
    DatabaseRefused,
    DatabaseUnavailable,
    SchemaMismatch,
    StorageError,
)

if TYPE_CHECKING:
    from alembic.config import Config

#: Counts the jobs of one source, by its id, in the caller's transaction.
Recount = Callable[[sa.Connection, int], int]
#: Where Alembic notes the revision; its usual name may belong to another program in the same database.
VERSION_TABLE = "bifrost_etl_revision"
_UPGRADE = "run: bifrost-etl db upgrade"
_LOCK = 0x6269_6672_6F73_74  # "bifrost", for PostgreSQL's advisory lock


def head_revision() -> str:
    """The revision that this code was written for."""
    return max(_known_revisions())


def current_revision(engine: sa.Engine) -> str | None:
    """The database's revision; None when there is none."""
    try:
        with read_transaction(engine) as connection:
            return _find_revision(connection)
    except (DatabaseBusy, DatabaseUnavailable):
        raise
    except StorageError:  # most likely there is no such table
        with read_transaction(engine) as connection:
            return _read_revision(connection)


def check_schema(engine: sa.Engine) -> None:
    """Raises SchemaMismatch unless the database is at `head_revision()`."""
    _require_revision(current_revision(engine))


def ensure_schema(engine: sa.Engine) -> None:
    """Creates the schema in a database that has none, or completes one whose making was cut off; raises
    SchemaMismatch when it has another one."""
    revision = current_revision(engine)
    if revision is None or _was_cut_off(engine, revision):
        upgrade_schema(engine)
    else:
        _require_revision(revision)


def _was_cut_off(engine: sa.Engine, revision: str) -> bool:
    """An older revision in which nothing was ever stored: MariaDB keeps each step of making tables."""
    if revision == head_revision() or revision not in _known_revisions():
        return False
    with read_transaction(engine) as connection:
        return connection.execute(sa.text("SELECT 1 FROM sources LIMIT 1")).first() is None


def upgrade_schema(engine: sa.Engine, recount: Recount | None = None) -> str:
    """Brings the schema to `head_revision()` and returns that. Two processes may do so at once: one waits.

    `recount` counts a source's jobs anew when tables were changed; without it the views count for themselves.

    Raises SchemaMismatch for a newer database, or one with other tables of our names; DatabaseBusy when
    another upgrade takes longer than the lock wait.
    """
    with _migration_transaction(engine) as (connection, revision):
        _refuse_unknown(revision)
        _refuse_strangers(connection)
        if _is_new(connection):
            create_new(connection)
        else:
            _run_alembic("upgrade", connection, "head", recount)  # also creates views that somebody dropped
    return head_revision()


def create_new(connection: sa.Connection) -> None:
    """The schema of `head_revision()` in a database that has none, in the caller's transaction."""
    from etl.schema.new_database import create_schema

    create_schema(connection, VERSION_TABLE, head_revision())


def downgrade_schema(engine: sa.Engine, revision: str) -> None:
    """Goes back to `revision`, or to nothing with "base". Drops what later revisions added, with its data."""
    if revision not in (*_known_revisions(), "base"):
        raise ConfigError(
            f"no revision {revision!r}", hint=f"one of: base, {', '.join(sorted(_known_revisions()))}"
        )
    with _migration_transaction(engine) as (connection, found):
        _refuse_unknown(found)
        if not can_drop_columns(connection):
            hint = "use an SQLite of 3.35 or newer for it; a Python from elsewhere may bring one"
            raise DatabaseRefused(f"{name_version(connection)} cannot take columns away", hint=hint)
        if found is not None:
            _run_alembic("downgrade", connection, revision)


def _migrations_folder() -> Path:
    """The migrations: inside the installed package, or at the top of the checkout."""
    package = Path(__file__).parents[1]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


@cache
def _known_revisions() -> frozenset[str]:
    """Every revision that this code knows; files are named REVISION_words.py."""
    return frozenset(
        path.name.partition("_")[0] for path in _migrations_folder().glob("versions/[0-9]*_*.py")
    )


def _read_revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return _find_revision(connection)


def _find_revision(connection: sa.Connection) -> str | None:
    revision: str | None = connection.scalar(
        sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))
    )
    return revision


def _require_revision(revision: str | None) -> None:
    _refuse_unknown(revision)
    if revision is None:
        raise SchemaMismatch("the database has no bifrost-etl tables yet", hint=_UPGRADE)
    if revision != head_revision():
        raise SchemaMismatch(
            f"the database is at revision {revision}; this program needs {head_revision()}", hint=_UPGRADE
        )


def _refuse_unknown(revision: str | None) -> None:
    if revision is not None and revision not in _known_revisions():
        known = head_revision()
        raise SchemaMismatch(
            f"the database was written by a newer bifrost-etl (revision {revision}, this one knows {known})",
            hint="install the newer version here, as docs/install.md says under Upgrade",
        )


def _refuse_strangers(connection: sa.Connection) -> None:
    """Tables with our names but without our revision table belong to somebody else."""
    from etl.schema.tables import metadata

    inspector = sa.inspect(connection)
    if inspector.has_table(VERSION_TABLE):
        return
    # Where ours would be made; PostgreSQL shows tables of further schemas of the search path as well.
    here = connection.scalar(sa.text("SELECT current_schema()")) if _is_postgres(connection) else None
    taken = sorted(metadata.tables.keys() & set(inspector.get_table_names(schema=here)))
    if taken:
        raise SchemaMismatch(
            f"the database already has tables of another program with our names: {', '.join(taken)}",
            hint="give bifrost-etl a database, or a PostgreSQL schema, of its own",
        )


def _is_postgres(connection: sa.Connection) -> bool:
    return connection.dialect.name == "postgresql"


@contextmanager
def _migration_transaction(engine: sa.Engine) -> Iterator[tuple[sa.Connection, str | None]]:
    """A write transaction in which nobody else migrates, and the revision found in it."""
    with write_transaction(engine) as connection, exclude_migrations(connection):
        yield connection, _read_revision(connection)


@contextmanager
def exclude_migrations(connection: sa.Connection) -> Iterator[None]:
    """While nobody else changes tables. SQLite's BEGIN IMMEDIATE excludes others already; PostgreSQL's lock
    ends with the transaction."""
    family = connection.dialect.name
    if family == "postgresql":
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    if family not in ("mysql", "mariadb"):
        yield
        return
    lock = {"name": "bifrost-etl", "wait": LOCK_WAIT}
    # MySQL has no MD5() any more, from 9.6 on.
    name = "CONCAT(:name, ' ', LEFT(SHA2(DATABASE(), 256), 32))"
    if connection.scalar(sa.text(f"SELECT GET_LOCK({name}, :wait)"), lock) != 1:
        raise DatabaseBusy("another upgrade of this database is running", hint="wait for it, then try again")
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.execute(sa.text(f"SELECT RELEASE_LOCK({name})"), lock)


def _is_new(connection: sa.Connection) -> bool:
    """Nothing of ours is there, not even from an upgrade that died."""
    return not sa.inspect(connection).has_table(VERSION_TABLE)


def _run_alembic(verb: str, connection: sa.Connection, revision: str, recount: Recount | None = None) -> None:
    from alembic import command

    getattr(command, verb)(_alembic_config(connection, recount), revision)


def _alembic_config(connection: sa.Connection, recount: Recount | None) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection, "recount": recount})
    config.set_main_option("script_location", str(_migrations_folder()).replace("%", "%%"))
    return config
