"""A schema that somebody altered is named, part by part; what an analyst adds is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from etl.check import require_declared
from etl.db.engine import make_engine
from etl.errors import SchemaMismatch
from etl.schema import compare, migrate, repartition
from etl.schema.trial import try_writing

_ALTERED = {
    "sqlite": [
        ("DROP INDEX ix_video_jobs_created_at", "index ix_video_jobs_created_at"),
        ("ALTER TABLE leases DROP COLUMN holder", "column leases.holder is missing"),
        ("ALTER TABLE leases ADD COLUMN strange TEXT", None),
        ("DROP TABLE coverage_gaps", "table coverage_gaps is missing"),
        ("CREATE INDEX mine ON video_jobs (model)", None),
        ("CREATE TABLE others (id INTEGER)", None),
    ],
    "postgresql": [
        ("DROP INDEX ix_video_jobs_created_at", "index ix_video_jobs_created_at"),
        ("ALTER TABLE leases DROP COLUMN holder", "column leases.holder is missing"),
        ("ALTER TABLE leases ALTER token TYPE integer", "column leases.token is integer instead of bigint"),
        ("ALTER TABLE leases ALTER token DROP NOT NULL", "column leases.token takes nulls"),
        ("ALTER TABLE sync_state ALTER failures DROP DEFAULT", "sync_state.failures has another default"),
        ("ALTER TABLE sources DROP CONSTRAINT uq_sources_name", "unique key uq_sources_name"),
        ("ALTER TABLE video_jobs DROP CONSTRAINT pk_video_jobs", "video_jobs has another primary key"),
        ("ALTER TABLE leases ADD strange text NOT NULL", "leases.strange is not ours"),
        ("CREATE INDEX mine ON video_jobs (model)", None),
    ],
    "mariadb": [
        ("DROP INDEX ix_video_jobs_created_at ON video_jobs", "index ix_video_jobs_created_at"),
        ("ALTER TABLE leases DROP COLUMN holder", "column leases.holder is missing"),
        ("ALTER TABLE leases MODIFY token INTEGER NOT NULL", "column leases.token is integer"),
        ("ALTER TABLE leases MODIFY token BIGINT NULL", "column leases.token takes nulls"),
        ("ALTER TABLE sources DROP INDEX uq_sources_name", "uq_sources_name on sources is missing"),
        (
            "ALTER TABLE video_jobs MODIFY job_id VARCHAR(512) COLLATE utf8mb4_general_ci NOT NULL",
            "video_jobs.job_id has the collation utf8mb4_general_ci",
        ),
        ("CREATE INDEX mine ON video_jobs (created_at, completed_at)", None),
    ],
}
_CASES = [(family, *case) for family, cases in _ALTERED.items() for case in cases]


@pytest.mark.parametrize(("database", "statement", "told"), _CASES, indirect=["database"])
def test_what_was_altered_is_named(engine: sa.Engine, statement: str, told: str | None) -> None:
    assert compare.find_differences(engine) == []
    with engine.begin() as connection:
        _without_views(connection)
        connection.exec_driver_sql(statement)
    found = compare.find_differences(engine)
    assert len(found) == (told is not None), found
    assert told is None or told in found[0]


def _without_views(connection: sa.Connection) -> None:
    """PostgreSQL keeps what a view reads."""
    cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
    for name in sa.inspect(connection).get_view_names():
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}{cascade}")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_history_in_months_is_as_declared(engine: sa.Engine) -> None:
    repartition.partition_history(engine, datetime(2026, 1, 1, tzinfo=UTC))
    require_declared(engine)
    try_writing(engine)
    repartition.unpartition_history(engine)
    require_declared(engine)


def test_a_view_that_is_gone(engine: sa.Engine) -> None:
    require_declared(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP VIEW remix_trees")
    with pytest.raises(SchemaMismatch, match="view remix_trees is missing"):
        require_declared(engine)
    migrate.upgrade_schema(engine)
    require_declared(engine)


def test_from_the_first_revision_comes_what_a_new_database_has(database_url: str) -> None:
    old = make_engine(database_url)
    with migrate._migration_transaction(old) as (connection, _):
        migrate._run_alembic("upgrade", connection, "0001")
    migrate.upgrade_schema(old)
    stepwise = described(old)
    migrate.downgrade_schema(old, "base")
    with old.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {migrate.VERSION_TABLE}")
    migrate.upgrade_schema(old)
    assert described(old) == stepwise
    assert compare.find_differences(old) == []
    old.dispose()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_database_made_with_varchar_gets_text(engine: sa.Engine) -> None:
    """As the releases before revision 0008 made new databases."""
    new = described(engine)
    with engine.begin() as connection:
        _without_views(connection)
        connection.exec_driver_sql(
            "ALTER TABLE video_jobs ALTER prompt TYPE varchar, ALTER model TYPE varchar"
        )
        connection.exec_driver_sql("UPDATE bifrost_etl_revision SET version_num = '0007'")
    assert described(engine) != new
    migrate.upgrade_schema(engine)
    assert described(engine) == new


def described(engine: sa.Engine) -> dict[str, Any]:
    """Each column in the database's own words."""
    ask = sa.inspect(engine)
    return {
        f"{table}.{column['name']}": (str(column["type"]), column["nullable"], column["default"])
        for table in ask.get_table_names()
        for column in ask.get_columns(table)
    }


_PROMISED = {  # what migrations rely on: a type that must change gets a new name
    "sqlite": ("TEXT", "BLOB", "TEXT", "DATETIME", "INTEGER"),
    "postgresql": ("TEXT", "BYTEA", "JSONB", "TIMESTAMP WITH TIME ZONE", "BIGINT"),
    "mysql": ("LONGTEXT", "LONGBLOB", "LONGTEXT", "DATETIME(6)", "BIGINT"),
}


@pytest.mark.parametrize("family", _PROMISED)
def test_the_types_that_migrations_name_do_not_change(family: str) -> None:
    from etl.db.types import BigKey, Bytes, JsonText, Text, UtcDateTime

    names = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    dialect = sa.create_engine(f"{names.get(family, family)}://").dialect
    types = (Text(), Bytes(), JsonText(), UtcDateTime(), BigKey)
    assert tuple(str(dialect.type_compiler_instance.process(t)) for t in types) == _PROMISED[family]
