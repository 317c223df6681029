"""History from one table into a partition per month, and back: PostgreSQL, one transaction, all or nothing.

Rows are copied, so it needs the table's size once more on disk, and syncs wait until it is done. Views on the
table, anybody's, are bound to the new one; what was granted on it is granted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.errors import ConfigError
from etl.schema.migrate import check_schema, exclude_migrations
from etl.schema.partitions import (
    ENDS,
    LIKE,
    REST,
    TABLE,
    Month,
    add_keys,
    coming_months,
    is_partitioned,
    run_ddl,
)
from etl.schema.tables import video_job_versions

_OLD = f"{TABLE}_old"
_VIEWS = """
SELECT DISTINCT c.oid::regclass::text AS name, c.relkind::text AS kind, pg_get_viewdef(c.oid) AS body,
  array_to_string(c.reloptions, ', ') AS options
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid = to_regclass(:name)
"""
_GRANTS = """
SELECT privilege_type AS what, is_grantable AS onward,
  CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS whom
FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = to_regclass(:name) AND grantee <> relowner
"""


def partition_history(engine: sa.Engine, now: datetime) -> int:
    """Put history into months; returns the rows moved.

    Raises ConfigError on another database than PostgreSQL, or when history stands in months already;
    StorageError.
    """
    with _reshape_transaction(engine, partitioned=False) as conn:
        query = f"SELECT DISTINCT date_trunc('month', valid_from) FROM {TABLE}"  # noqa: S608 (our own name)
        months = {Month.of(moment) for moment in conn.scalars(sa.text(query))} | set(coming_months(now))
        names = [*(month.name for month in sorted(months)), REST]

        def make() -> None:
            run_ddl(conn, f"CREATE TABLE {TABLE} (LIKE {_OLD} {LIKE}) PARTITION BY RANGE (valid_from)")
            for month in sorted(months):
                run_ddl(conn, f"CREATE TABLE {month.name} PARTITION OF {TABLE} FOR VALUES {month.bounds}")
            run_ddl(conn, f"CREATE TABLE {REST} PARTITION OF {TABLE} DEFAULT")

        def finish() -> None:
            for name in names:
                add_keys(conn, name, name)

        return _rebuild_table(conn, make, finish)


def unpartition_history(engine: sa.Engine) -> int:
    """Back to one table; returns the rows moved. Raises as `partition_history`."""
    with _reshape_transaction(engine, partitioned=True) as conn:
        return _rebuild_table(
            conn,
            lambda: run_ddl(conn, f"CREATE TABLE {TABLE} (LIKE {_OLD} {LIKE})"),
            lambda: add_keys(conn, TABLE, f"{TABLE}_source_id_job_id_version"),
        )


@contextmanager
def _reshape_transaction(engine: sa.Engine, *, partitioned: bool) -> Iterator[sa.Connection]:
    if engine.dialect.name != "postgresql":
        raise ConfigError(
            "only PostgreSQL can keep history in months", hint="elsewhere, use bifrost-etl prune"
        )
    check_schema(engine)
    with write_transaction(engine) as conn, exclude_migrations(conn):
        if is_partitioned(conn) != partitioned:
            raise ConfigError(f"history is already kept in {'one table' if partitioned else 'months'}")
        _bind_views(
            conn, _views_of_table(conn)
        )  # locks them before the table, as queries do: nobody waits in a circle
        run_ddl(conn, f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        yield conn


def _rebuild_table(conn: sa.Connection, make: Callable[[], None], finish: Callable[[], None]) -> int:
    """A new table of the same name and content. `make` creates it, `finish` gives it its keys."""
    views = _views_of_table(conn)
    grants = conn.execute(sa.text(_GRANTS), {"name": TABLE}).all()
    run_ddl(conn, f"ALTER TABLE {TABLE} RENAME TO {_OLD}")
    _free_names(conn)
    make()
    moved = conn.exec_driver_sql(f"INSERT INTO {TABLE} SELECT * FROM {_OLD}").rowcount  # noqa: S608 (our own names)
    finish()
    run_ddl(conn, f"DROP INDEX {ENDS}")
    run_ddl(conn, f"CREATE INDEX {ENDS} ON {TABLE} (source_id, change_seq)")
    sequence = conn.scalar(sa.text(f"SELECT pg_get_serial_sequence('{_OLD}', 'change_seq')"))
    run_ddl(conn, f"ALTER SEQUENCE {sequence} OWNED BY {TABLE}.change_seq")
    comment = str(video_job_versions.comment).replace("'", "''")
    run_ddl(conn, f"COMMENT ON TABLE {TABLE} IS '{comment}'")
    _bind_views(conn, views)
    for grant in grants:
        onward = " WITH GRANT OPTION" if grant.onward else ""
        run_ddl(conn, f"GRANT {grant.what} ON {TABLE} TO {grant.whom}{onward}")
    run_ddl(conn, f"DROP TABLE {_OLD}")
    run_ddl(conn, f"ANALYZE {TABLE}")
    return moved


def _views_of_table(conn: sa.Connection) -> list[sa.Row[Any]]:
    """The views that read the table. Raises ConfigError for materialized ones: they cannot be bound anew."""
    views = list(conn.execute(sa.text(_VIEWS), {"name": TABLE}))
    if frozen := sorted(view.name for view in views if view.kind != "v"):
        raise ConfigError(
            f"materialized views depend on {TABLE}: {', '.join(frozen)}",
            hint="drop them, and create them anew afterwards",
        )
    return sorted(views, key=lambda view: str(view.name))


def _bind_views(conn: sa.Connection, views: list[sa.Row[Any]]) -> None:
    """Each view reads the table that has the name now; who may read the view stays as it was."""
    for view in views:
        options = f" WITH ({view.options})" if view.options else ""
        run_ddl(conn, f"CREATE OR REPLACE VIEW {view.name}{options} AS {view.body}".replace("%", "%%"))


def _free_names(conn: sa.Connection) -> None:
    """The old table's constraints give their names to the new one's."""
    query = "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:name) AND contype IN ('p', 'u')"
    for number, name in enumerate(conn.scalars(sa.text(query), {"name": _OLD}).all()):
        run_ddl(conn, f'ALTER TABLE {_OLD} RENAME CONSTRAINT "{name}" TO {_OLD}_{number}')
