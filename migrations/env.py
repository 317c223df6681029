"""Alembic's entry: migrates on the connection that etl.schema.migrate hands over.

Called from Alembic's own command line (only to write a new revision), it compares the models with a scratch
SQLite database that the migrations so far have built.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.rewriter import Rewriter
from alembic.ddl.mysql import MySQLImpl
from alembic.operations import ops

from etl.db import types
from etl.db.engine import make_engine
from etl.schema import migrate, price_book
from etl.schema.tables import complete_tables, metadata
from etl.schema.views.create import create_views, drop_views, missing_views

_NAMED = ("BigKey",)
_OURS = (types.Bytes, types.JsonText, types.Text, types.UtcDateTime)
again = Rewriter()


class RepeatableMySQL(MySQLImpl):
    """MySQL knows no CREATE INDEX IF NOT EXISTS and no DROP INDEX IF EXISTS; MariaDB, which has an
    implementation of its own, knows both."""

    __dialect__ = "mysql"

    def create_index(self, index: sa.Index, **kw: Any) -> None:
        table = index.table
        if table is None or not sa.inspect(self.connection).has_index(table.name, index.name):
            super().create_index(index, **(kw | {"if_not_exists": None}))

    def drop_index(self, index: sa.Index, **kw: Any) -> None:
        table = index.table
        if table is None or sa.inspect(self.connection).has_index(table.name, index.name):
            super().drop_index(index, **(kw | {"if_exists": None}))


@again.rewrites(ops.DowngradeOps)
def _tables_take_their_indexes(_context: Any, _revision: Any, op: ops.DowngradeOps) -> ops.DowngradeOps:
    """MariaDB will not drop an index that a foreign key of a table still uses."""
    dropped = {part.table_name for part in op.ops if isinstance(part, ops.DropTableOp)}
    op.ops = [p for p in op.ops if not (isinstance(p, ops.ModifyTableOps) and p.table_name in dropped)]
    return op


@again.rewrites(ops.CreateTableOp)
@again.rewrites(ops.CreateIndexOp)
def _repeatable(_context: Any, _revision: Any, op: Any) -> Any:
    """MariaDB commits each statement: a second run after a crash must find its way through."""
    op.if_not_exists = True
    return op


@again.rewrites(ops.DropTableOp)
def _repeatable_drop(_context: Any, _revision: Any, op: ops.DropTableOp) -> ops.DropTableOp:
    op.if_exists = True
    return op


def _render(kind: str, item: Any, autogen: AutogenContext) -> str | bool:
    """Types of etl.db.types keep their names; everything else is written out, so history stays as it was."""
    name = next((name for name in _NAMED if getattr(types, name) is item), None)
    if kind == "type" and isinstance(item, _OURS):
        name = f"{type(item).__name__}()"
    if name is None:
        return False
    autogen.imports.add(f"from etl.db.types import {name.removesuffix('()')}")
    return name


def _run(connection: sa.Connection, act: Callable[[sa.Connection], None]) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=migrate.VERSION_TABLE,
        transactional_ddl=connection.dialect.name in ("sqlite", "postgresql"),
        render_item=_render,
        process_revision_directives=again,
    )
    with context.begin_transaction():
        act(connection)


def _migrate(connection: sa.Connection) -> None:
    """Only the newest schema has views: they would hold on to the columns that a migration alters.

    Views that are as they should be are left alone, with the rights that were granted on them.
    """
    goal = context.get_revision_argument()
    if goal == migrate._read_revision(connection) and not missing_views(connection):
        return
    drop_views(connection)
    context.run_migrations()
    if goal == migrate.head_revision():
        create_views(connection)
        price_book.seed_prices(connection)
        if recount := context.config.attributes["recount"]:
            for source_id in connection.scalars(sa.select(metadata.tables["sources"].c.id)).all():
                recount(connection, source_id)


#: Step by step, as a new database is made from the models at once; in a process of its own, as Alembic cannot
#: run inside itself.
_STEPS = """
import sys
from etl.schema import migrate
from etl.db.engine import make_engine
with migrate._migration_transaction(make_engine(sys.argv[1])) as (connection, _):
    migrate._run_alembic("upgrade", connection, "head")
"""


def _scratch() -> None:
    complete_tables("mariadb")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/scratch.db"
        subprocess.run([sys.executable, "-c", _STEPS, url], check=True)  # noqa: S603 (our own words)
        engine = make_engine(url)
        with engine.connect() as connection:
            _run(connection, lambda _: context.run_migrations())
        engine.dispose()


if "connection" in context.config.attributes:
    _run(context.config.attributes["connection"], _migrate)
else:
    _scratch()
