"""Every view: its name, comment, columns and SQL, and how it gets into a database.

Views belong to the newest schema only. Alembic's entry drops them before it changes a table, and creates them
from this code when it has arrived at the newest revision: no migration holds a copy, and none can be stuck on
a table that it must alter. Changing a view needs a revision of its own that notes `views_digest()`, as a test
demands. So `etl.schema.migrate.check_schema` finds old views as it finds old tables, by the revision.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from etl.errors import SchemaMismatch
from etl.schema.views.aggregates import CACHE_DAILY, DAILY_JOBS, FAILURES, LATENCY
from etl.schema.views.columns import View, scope_of_all_jobs
from etl.schema.views.dialects import make_dialect
from etl.schema.views.freshness import FRESHNESS
from etl.schema.views.job_facts import JOB_FACTS
from etl.schema.views.job_history import JOB_HISTORY
from etl.schema.views.open_jobs import EXPIRING, OPEN_JOBS
from etl.schema.views.remixes import DUPLICATES, REMIX_JOBS, REMIX_TREES
from etl.words import count_noun

VIEWS = (
    JOB_FACTS,
    DAILY_JOBS,
    FAILURES,
    LATENCY,
    CACHE_DAILY,
    OPEN_JOBS,
    EXPIRING,
    REMIX_TREES,
    REMIX_JOBS,
    DUPLICATES,
    FRESHNESS,
    JOB_HISTORY,
)


def view_definition(view: View, name: str) -> str:
    """The view's SELECT for SQLAlchemy's dialect `name`."""
    d = make_dialect(name)
    return view.sql(d, scope_of_all_jobs(d)).strip()


def create_views(connection: sa.Connection) -> None:
    """Creates every view, with comments where the database has them (PostgreSQL)."""
    for view in VIEWS:
        select = view_definition(view, connection.dialect.name)
        connection.execute(_verbatim_sql(f"CREATE VIEW {view.name} AS {select}"))
        if connection.dialect.name == "postgresql":
            _comment_view(connection, view)


def drop_views(connection: sa.Connection) -> None:
    """Drops every view that is there. Raises SchemaMismatch, and has dropped none, when other views stand on
    them: PostgreSQL would have to drop those as well."""
    _refuse_dependents(connection)
    for view in reversed(VIEWS):
        connection.execute(_verbatim_sql(f"DROP VIEW IF EXISTS {view.name}"))


#: Other people's views and materialized views on these of ours, in this schema.
_DEPENDENTS = """
SELECT DISTINCT theirs.oid::regclass::text AS name
FROM pg_depend d
JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class theirs ON theirs.oid = r.ev_class
JOIN pg_class ours ON ours.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
WHERE ours.relnamespace = current_schema()::regnamespace AND ours.relname = ANY(:ours)
  AND NOT (theirs.relnamespace = ours.relnamespace AND theirs.relname = ANY(:ours))
ORDER BY 1
"""


def _refuse_dependents(connection: sa.Connection) -> None:
    if connection.dialect.name != "postgresql":
        return
    ours = [view.name for view in VIEWS]
    names = list(connection.scalars(sa.text(_DEPENDENTS), {"ours": ours}))
    if not names:
        return
    kept = " ".join(f"-t {name}" for name in names)
    depend = count_noun(len(names), "of your views depends", "of your views depend")
    raise SchemaMismatch(
        f"{depend} on views that must be created again: {', '.join(names)}",
        hint=f"save them (pg_dump --schema-only {kept}), drop them, upgrade, and create them again",
    )


def missing_views(connection: sa.Connection) -> list[str]:
    """Names of views that the database has not."""
    found = set(sa.inspect(connection).get_view_names())
    return [view.name for view in VIEWS if view.name not in found]


def views_digest() -> str:
    """Changes whenever a view's SQL or comment does, on any database."""
    parts = [view_definition(view, name) for name in ("sqlite", "postgresql", "mysql") for view in VIEWS]
    return hashlib.sha256("\0".join((*parts, repr([v.columns for v in VIEWS]))).encode()).hexdigest()[:16]


def _comment_view(connection: sa.Connection, view: View) -> None:
    said = [_comment_statement(f"VIEW {view.name}", view.comment)]
    said += [
        _comment_statement(f"COLUMN {view.name}.{column.name}", column.comment) for column in view.columns
    ]
    connection.exec_driver_sql(";".join(said), execution_options={"no_parameters": True})


def _comment_statement(what: str, comment: str) -> str:
    text = comment.replace("'", "''")
    return f"COMMENT ON {what} IS '{text}'"


def _verbatim_sql(statement: str) -> sa.TextClause:
    """No parameters: a colon before a word is a colon."""
    return sa.text(statement.replace(":", r"\:").replace(r"\:\:", "::"))
