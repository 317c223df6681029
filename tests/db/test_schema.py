"""Migrations: they build what the models declare, on each database, from any number of processes."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from etl.db.engine import make_engine, write_transaction
from etl.errors import ConfigError, SchemaMismatch
from etl.schema import migrate
from etl.schema.tables import metadata
from etl.schema.views.create import VIEWS, view_definition

_NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def empty(database_url):
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def differences(engine: sa.Engine) -> list:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "version_table": migrate.VERSION_TABLE,
            },
        )
        return compare_metadata(context, metadata)


def test_up_down_up_equals_the_models(empty):
    assert migrate.current_revision(empty) is None
    assert migrate.upgrade_schema(empty) == migrate.head_revision() == migrate.current_revision(empty)
    assert differences(empty) == []
    migrate.downgrade_schema(empty, "base")
    assert migrate.current_revision(empty) is None
    assert sa.inspect(empty).get_table_names() == [migrate.VERSION_TABLE]
    migrate.upgrade_schema(empty)
    assert differences(empty) == []


def test_the_comparison_can_fail(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_video_jobs_created_at" + _on(engine, "video_jobs"))
        connection.exec_driver_sql("ALTER TABLE leases DROP COLUMN holder")
    assert {change[0] for change in differences(engine)} == {"add_index", "add_column"}


def test_tables_and_columns_carry_comments(engine):
    if engine.dialect.name == "sqlite":
        assert all(table.comment for table in metadata.tables.values())
        return
    inspector = sa.inspect(engine)
    for name, table in metadata.tables.items():
        assert inspector.get_table_comment(name)["text"] == table.comment
        assert all(column["comment"] for column in inspector.get_columns(name)), name


def test_ids_differ_by_case_and_trailing_blank(engine):
    rows = [{"name": name, "base_url": "", "created_at": _NOW} for name in ("a", "A", "a ")]
    with write_transaction(engine) as connection:
        connection.execute(sa.insert(metadata.tables["sources"]), rows)


def test_a_new_database_is_what_all_revisions_together_make(empty):
    migrate.upgrade_schema(empty)
    at_once = _description(empty)
    migrate.downgrade_schema(empty, "base")
    migrate.upgrade_schema(empty)  # Alembic has been here, and goes step by step
    assert _description(empty) == at_once
    with empty.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM prices").scalar_one() > 0


def _description(engine: sa.Engine) -> dict[str, str]:
    """All that can be asked of a schema, in the words of the database."""
    ask = sa.inspect(engine)
    found = {f"view {name}": str(ask.get_view_definition(name)) for name in ask.get_view_names()}
    for name in ask.get_table_names():
        keys = [ask.get_unique_constraints(name), ask.get_foreign_keys(name), ask.get_indexes(name)]
        for index in keys[2]:  # a condition is text in an object
            index["dialect_options"] = {n: str(v) for n, v in index.get("dialect_options", {}).items()}
        ordered = [sorted(map(str, part)) for part in keys]
        found[name] = f"{ask.get_columns(name)} {ask.get_pk_constraint(name)} {ordered}"
        if engine.dialect.supports_comments:
            found[name] += str(ask.get_table_comment(name))
    return found


def test_ensure_creates_without_alembic(database_url):
    script = (
        "import sys; from etl.schema import migrate; from etl.db.engine import make_engine\n"
        "engine = make_engine(sys.argv[1]); migrate.ensure_schema(engine); engine.dispose()\n"
        "print('alembic' in sys.modules)"
    )
    assert _python(script, database_url) == "False"
    assert _python(script, database_url) == "False"


def test_check_names_the_way_out(empty):
    with pytest.raises(SchemaMismatch) as error:
        migrate.check_schema(empty)
    assert "db upgrade" in (error.value.hint or "")
    migrate.upgrade_schema(empty)
    migrate.check_schema(empty)


def test_an_older_database_is_not_upgraded_silently(engine, monkeypatch):
    """One in which something is stored: who runs an older program beside this one decides when."""
    with write_transaction(engine) as connection:
        connection.execute(
            sa.insert(metadata.tables["sources"]), {"name": "a", "base_url": "http://h", "created_at": _NOW}
        )
    monkeypatch.setattr(
        migrate, "_known_revisions", lambda: frozenset({migrate.current_revision(engine), "9998"})
    )
    for act in (migrate.check_schema, migrate.ensure_schema):
        with pytest.raises(SchemaMismatch, match="9998"):
            act(engine)


def test_a_newer_database_is_refused(engine):
    with write_transaction(engine) as connection:
        connection.exec_driver_sql(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'")
    for act in (
        migrate.check_schema,
        migrate.ensure_schema,
        migrate.upgrade_schema,
        lambda e: migrate.downgrade_schema(e, "base"),
    ):
        with pytest.raises(SchemaMismatch, match="newer bifrost-etl"):
            act(engine)


def test_other_peoples_tables_are_left_alone(empty):
    _create(empty, "invoices")
    migrate.upgrade_schema(empty)
    migrate.downgrade_schema(empty, "base")
    assert sa.inspect(empty).has_table("invoices")


def test_other_peoples_tables_of_our_name_are_refused(empty):
    _create(empty, "prices")
    with pytest.raises(SchemaMismatch, match="another program with our names: prices"):
        migrate.ensure_schema(empty)


def test_downgrade_to_an_unknown_revision(engine):
    with pytest.raises(ConfigError, match="no revision '77'"):
        migrate.downgrade_schema(engine, "77")


def test_two_processes_upgrade_at_once(database_url):
    script = (
        "import sys; from etl.schema import migrate; from etl.db.engine import make_engine\n"
        "engine = make_engine(sys.argv[1]); import alembic.command\n"
        "print('ready', flush=True); sys.stdin.readline(); print(migrate.upgrade_schema(engine))\n"
        "engine.dispose()"
    )
    racers = [_start(script, database_url) for _ in range(3)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        out, err = racer.communicate(timeout=60)
        assert (out.strip(), err) == (migrate.head_revision(), "")
    engine = make_engine(database_url)
    assert differences(engine) == []
    engine.dispose()


def test_an_upgrade_that_dies_half_way_can_be_repeated(empty):
    """SQLite and PostgreSQL roll back; MariaDB keeps some tables, and the next upgrade completes them."""

    class PowerCut(Exception):
        pass

    def cut(_connection, _cursor, statement, *_rest):
        if "ix_list_pages_run_id" in statement:
            raise PowerCut

    sa.event.listen(empty, "after_cursor_execute", cut)
    with pytest.raises(PowerCut):
        migrate.upgrade_schema(empty)
    sa.event.remove(empty, "after_cursor_execute", cut)
    assert migrate.current_revision(empty) is None
    left = set(sa.inspect(empty).get_table_names())
    assert bool(left & metadata.tables.keys()) == (empty.dialect.name in ("mariadb", "mysql"))
    migrate.upgrade_schema(empty)
    assert differences(empty) == []


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_first_sync_that_was_cut_off_twice_is_completed_by_the_third(empty):
    """The second one completes revision by revision, and each is there for good."""

    class PowerCut(Exception):
        pass

    for deadly in ("CREATE TABLE list_pages", "SET version_num='0006'"):

        def cut(_connection, _cursor, statement, *_rest, deadly=deadly):
            if deadly in statement:
                raise PowerCut

        sa.event.listen(empty, "after_cursor_execute", cut)
        with pytest.raises(PowerCut):
            migrate.ensure_schema(empty)
        sa.event.remove(empty, "after_cursor_execute", cut)
    assert migrate.current_revision(empty) not in (None, migrate.head_revision())
    migrate.ensure_schema(empty)
    assert differences(empty) == []


def _on(engine: sa.Engine, table: str) -> str:
    return f" ON {table}" if engine.dialect.name in ("mariadb", "mysql") else ""


def _create(engine: sa.Engine, table: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table} (id INTEGER)")


def _start(script: str, url: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, url], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def _python(script: str, url: str) -> str:
    out, err = _start(script, url).communicate(timeout=60)
    assert err == ""
    return out.strip()


def test_newer_mysql_has_every_function_that_migrations_call(empty):
    """From 9.6 on MySQL has no MD5() and no SHA1() unless a component is installed."""
    said: list[str] = []
    sa.event.listen(empty, "before_cursor_execute", lambda *a: said.append(a[2].upper()))
    migrate.upgrade_schema(empty)
    migrate.downgrade_schema(empty, "base")
    assert said
    assert not [words for words in said if "MD5(" in words or "SHA1(" in words or "SHA(" in words]


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_mysql_is_told_of_indexes_in_words_that_it_knows(empty, monkeypatch):
    """It has no CREATE INDEX IF NOT EXISTS and no DROP INDEX IF EXISTS. MariaDB plays it here."""
    said: list[str] = []
    migrate.upgrade_schema(empty)
    migrate.downgrade_schema(empty, migrate.head_revision())  # as Alembic, which tells what each server knows
    sa.event.listen(empty, "before_cursor_execute", lambda *a: said.append(a[2].upper()))
    with write_transaction(empty) as connection:
        monkeypatch.setattr(empty.dialect, "name", "mysql")
        act = Operations(MigrationContext.configure(connection))
        for _ in range(2):
            act.create_index("ix_again", "sources", ["base_url"], if_not_exists=True, mysql_length=9)
        for _ in range(2):
            act.drop_index("ix_again", "sources", if_exists=True)
    told = [words for words in said if "INDEX IX_AGAIN" in words]
    assert len(told) == 2 and not [words for words in told if "EXISTS" in words]


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_dump_of_mysql_s_views_can_be_restored(engine):
    """What has no name is named by its text: MySQL writes it into a dump, and refuses 64 characters."""
    with engine.connect() as connection:
        for view in VIEWS:
            told = connection.exec_driver_sql(f"SHOW CREATE VIEW {view.name}").fetchone()[1]
            names = re.findall(r" AS `([^`]*)`", told, re.IGNORECASE)
            assert names and not [name for name in names if len(name) > 60]


def test_postgresql_13_knows_every_function_of_the_views():
    """There EXTRACT gives a double, which no ROUND cuts to digits: what it gives is cast at once."""
    texts = [view_definition(view, "postgresql") for view in VIEWS]
    before = [part[-5:] for text in texts for part in text.split("EXTRACT(")[:-1]]
    assert before and set(before) == {"CAST("}


def test_two_databases_of_one_server_are_upgraded_side_by_side(mariadb):
    """GET_LOCK is the server's, and its names end after 64 characters."""
    first, second = (make_engine(mariadb.create("l" * 62 + end)) for end in "ab")
    with write_transaction(first) as one, migrate.exclude_migrations(one):
        assert migrate.upgrade_schema(second) == migrate.head_revision()
    for engine in (first, second):
        engine.dispose()
        mariadb.drop(str(engine.url.database))
