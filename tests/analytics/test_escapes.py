"""What people try in order to change something through `sql`, on the real servers, as the mightiest account.

A second connection looks afterwards: rows, tables, settings, locks, files and other sessions are as before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.adhoc_sql import run_statement
from etl.db.engine import make_engine
from etl.errors import EtlError
from etl.schema import migrate
from tests.support.databases import Server

SQLITE = [
    "DELETE FROM prices",
    "WITH x AS (SELECT 1) DELETE FROM prices",
    "PRAGMA query_only = OFF",
    "PRAGMA user_version = 7",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "ATTACH DATABASE '{file}' AS x",
    "VACUUM INTO '{file}'",
    "SELECT load_extension('{file}')",
    "SELECT fts3_tokenizer('simple')",
    "EXPLAIN SELECT 1; DELETE FROM prices",
    "SELECT writefile('{file}', 'x')",
    "CREATE TEMP TABLE x (y)",
    "/* /* */ DELETE FROM prices /* */ SELECT 1 */",
]
MARIADB = [
    "/*! BEGIN NOT ATOMIC COMMIT; DELETE FROM prices; COMMIT; END */",
    "/*! BEGIN NOT ATOMIC COMMIT; DELETE FROM prices; COMMIT; */ SELECT 1 /*! ; END */",
    "/*M! BEGIN NOT ATOMIC COMMIT; DELETE FROM prices; COMMIT; */ SELECT 1 /*M! ; END */",
    "/*!50000 BEGIN NOT ATOMIC COMMIT; CREATE TABLE stolen (x INT); */ SELECT 1 /*! ; END */",
    "/*!100100 SET GLOBAL max_connections = 77, @x = */ (SELECT 1)",
    "/*M!100100 SET GLOBAL max_connections = 77, @x = */ (SELECT 1)",
    "/* a comment */ /*! SET GLOBAL max_connections = 77, @x = */ (SELECT 1)",
    "/*! SET SESSION TRANSACTION READ WRITE */",
    "BEGIN NOT ATOMIC COMMIT; DELETE FROM prices; END",
    "-- /*\nBEGIN NOT ATOMIC COMMIT; DELETE FROM prices; COMMIT; END -- */ SELECT 1",
    "-- x\rSELECT\nBEGIN NOT ATOMIC COMMIT; DELETE FROM prices; COMMIT; END",
    "# SELECT\nBEGIN NOT ATOMIC COMMIT; DELETE FROM prices; COMMIT; END",
    "SET STATEMENT max_statement_time = 0 FOR DELETE FROM prices",
    "EXECUTE IMMEDIATE 'DELETE FROM prices'",
    "SELECT 1; DELETE FROM prices",
    "SELECT 1; COMMIT; DELETE FROM prices",
    "SELECT 1 INTO OUTFILE '{file}'",
    "SELECT 1 INTO /* here */ OUTFILE '{file}'",
    "SELECT 1 INTO -- here\n DUMPFILE '{file}'",
    "SELECT 1 INTO DUMPFILE '{file}'",
    "WITH x AS (SELECT 1) SELECT * FROM x INTO OUTFILE '{file}'",
    "(SELECT 1) UNION (SELECT 2) INTO OUTFILE '{file}'",
    "VALUES (1) INTO OUTFILE '{file}'",
    "SELECT LOAD_FILE('{readable}')",
    "SELECT `load_file` /* a */ ('{readable}')",
    "SELECT LOAD_FILE -- a\n ('{readable}')",
    "SELECT GET_LOCK('bifrost-etl', 0)",
    "SELECT NEXT VALUE FOR counter",
    "SELECT NEXTVAL(counter)",
    "SELECT SETVAL(counter, 50)",
    "SELECT thief()",
    "SELECT `thief`()",
    "CALL thieves()",
    "DO thief()",
    "KILL 1",
    "FLUSH TABLES WITH READ LOCK",
    "SELECT * FROM prices FOR UPDATE",
    "SELECT * FROM prices LOCK IN SHARE MODE",
    "EXPLAIN DELETE FROM prices",
    "ANALYZE DELETE FROM prices",
    "HANDLER prices OPEN",
    "LOAD DATA LOCAL INFILE '{readable}' INTO TABLE prices",
    "XA START 'x'",
]
POSTGRES = [
    "WITH x AS (DELETE FROM prices RETURNING 1) SELECT * FROM x",
    "EXPLAIN ANALYZE DELETE FROM prices",
    "SELECT * INTO stolen FROM prices",
    "SELECT 1; COMMIT; DELETE FROM prices",
    "/* /* */ SELECT 1 */ COPY (SELECT 1) TO '{file}'",
    "/* /* */ SELECT 1 */ COPY (SELECT 1) TO PROGRAM 'cat > {file}'",
    "COPY (SELECT 1) TO PROGRAM 'cat > {file}'",
    "-- x\rCOPY (SELECT 1) TO PROGRAM 'cat > {file}'\n; SELECT 1",
    "-- x\rCOPY (SELECT 1) TO PROGRAM 'cat > {file}' --\nSELECT 1",
    "DO $$ BEGIN PERFORM pg_reload_conf(); END $$",
    "/* /* */ SELECT 1 */ DO $$ BEGIN PERFORM pg_reload_conf(); END $$",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT set_config('role', 'none', false)",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity",
    "SELECT pg_reload_conf()",
    "SELECT PG_RELOAD_CONF /* /* deep */ still */ ()",
    "SELECT pg_reload_conf -- x\n ()",
    'SELECT "pg_reload_conf"()',
    'SELECT U&"pg\\005freload_conf"()',
    "SELECT U&\"pg!005freload_conf\" UESCAPE '!' ()",
    "SELECT pg_catalog.pg_reload_conf()",
    'SELECT pg_catalog . "pg_reload_conf" ()',
    "SELECT * FROM pg_reload_conf()",
    "SELECT query_to_xml('SELECT pg_reload_conf()', true, true, '')",
    "SELECT query_to_xml('SELECT pg_re' || 'load_conf()', true, true, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(pg_re' || 'load_conf()::text)')",
    "SELECT pg_read_file('{readable}')",
    "SELECT pg_read_binary_file('{readable}')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_export(lo_from_bytea(0, 'x'), '{file}')",
    "SELECT lo_import('{readable}')",
    "SELECT nextval('counter')",
    "SELECT setval('counter', 50)",
    "SELECT pg_advisory_lock(7)",
    "SELECT pg_try_advisory_xact_lock(7)",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_stat_reset()",
    "SELECT pg_notify('a', 'b')",
    "SELECT pg_create_physical_replication_slot('stolen', true)",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT thief()",
    "SELECT dblink_exec('dbname=x', 'DELETE FROM prices')",
    "SELECT * FROM prices FOR UPDATE",
    "LOCK TABLE prices",
    "TABLE prices FOR UPDATE",
    "SET transaction_read_only = off",
    "LISTEN x",
]
CASES = [
    (family, text)
    for family, texts in (("sqlite", SQLITE), ("mariadb", MARIADB), ("postgresql", POSTGRES))
    for text in texts
]
HARMLESS_IF_ANSWERED = ("EXPLAIN DELETE FROM prices",)  # MariaDB explains without doing

_FURNITURE = {
    "sqlite": [],
    "postgresql": [
        "CREATE SEQUENCE counter",
        "CREATE FUNCTION thief() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_reload_conf(); RETURN 1; END $$",
    ],
    "mariadb": [
        "CREATE SEQUENCE counter",
        "CREATE FUNCTION thief() RETURNS int BEGIN DO GET_LOCK('stolen', 0); RETURN 1; END",
        "CREATE PROCEDURE thieves() BEGIN COMMIT; DELETE FROM prices; COMMIT; END",
    ],
}
_STATE = {
    "sqlite": ["PRAGMA user_version", "PRAGMA journal_mode"],
    "postgresql": [
        "SELECT last_value, is_called FROM counter",
        "SELECT pg_conf_load_time()",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
        "SELECT count(*) FROM pg_replication_slots",
        "SELECT count(*) FROM pg_largeobject_metadata",
    ],
    "mariadb": [
        "SELECT next_not_cached_value FROM counter",
        "SELECT @@global.max_connections",
        "SELECT IS_USED_LOCK('stolen'), IS_USED_LOCK('bifrost-etl')",
    ],
}


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1][:60]}")
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


class Attacked:
    """A database with prices, a sequence, and functions that do what their callers may not."""

    def __init__(self, url: str, folder: Path) -> None:
        self.engine, self.witness = make_engine(url), make_engine(url)
        folder.chmod(0o777)
        self.file, self.readable = folder / "stolen", folder / "readable"
        self.readable.write_text("x")
        self.readable.chmod(0o644)
        migrate.upgrade_schema(self.witness)
        self.family = self.witness.dialect.name
        with self.witness.connect() as connection:
            for text in _FURNITURE[self.family]:
                connection.exec_driver_sql(text)
            connection.commit()
        self.bystander = self.witness.connect()
        self.bystander.exec_driver_sql("SELECT 1")

    def state(self) -> list[Any]:
        with self.witness.connect() as connection:
            asked = [*_STATE[self.family], "SELECT COUNT(*) FROM prices"]
            found = [tuple(connection.exec_driver_sql(text).one()) for text in asked]
        self.bystander.exec_driver_sql("SELECT 1")
        tables = sorted(sa.inspect(self.witness).get_table_names())
        return [found, tables, self.file.exists()]

    def close(self) -> None:
        self.bystander.close()
        self.engine.dispose()
        self.witness.dispose()


@pytest.fixture(scope="module")
def houses(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Attacked]]:
    made: dict[str, Attacked] = {}

    def house(family: str) -> Attacked:
        if family not in made:
            folder = _open_folder(tmp_path_factory)
            url = f"sqlite:///{folder / 'etl.db'}"
            if family != "sqlite":
                server: Server = request.getfixturevalue("postgres" if family == "postgresql" else family)
                url = server.create("attacked")
            made[family] = Attacked(url, folder)
        return made[family]

    yield house
    for family, attacked in made.items():
        attacked.close()
        if family != "sqlite":
            request.getfixturevalue("postgres" if family == "postgresql" else family).drop("attacked")


def _open_folder(factory: pytest.TempPathFactory) -> Path:
    """Where a server's own account may write."""
    folder = factory.mktemp("attacked")
    for place in (folder, *folder.parents):
        if place.is_relative_to(tempfile.gettempdir()) and place != Path(tempfile.gettempdir()):
            place.chmod(place.stat().st_mode | 0o055)
    return folder


def test_no_way_out(case: tuple[str, str], houses: Callable[[str], Attacked]) -> None:
    family, text = case
    attacked = houses(family)
    before = attacked.state()
    text = text.replace("{file}", str(attacked.file)).replace("{readable}", str(attacked.readable))
    try:
        answer = run_statement(attacked.engine, text, timeout=5)
    except EtlError:
        answer = None
    assert attacked.state() == before
    assert answer is None or text in HARMLESS_IF_ANSWERED, answer


@pytest.mark.parametrize("family", ["sqlite", "postgresql", "mariadb"])
def test_questions_that_only_look_dangerous(family: str, houses: Callable[[str], Attacked]) -> None:
    engine = houses(family).engine
    for text in (
        "SELECT 'pg_reload_conf', 'load_file', 'outfile', 'for'",
        "SELECT 'a -- b', '/* c */', COUNT(*) FROM prices",
        "SELECT /* plain */ COUNT(*) FROM prices -- to look at",
        "-- first\n/* second */ SELECT COALESCE(MAX(price), 0) FROM prices",
        "WITH x AS (SELECT model_pattern FROM prices) SELECT UPPER(MAX(model_pattern)) FROM x",
        "SELECT CURRENT_TIMESTAMP",
    ):
        assert run_statement(engine, text).rows, text
    clock = {"sqlite": "random()", "postgresql": "clock_timestamp(), random()", "mariadb": "NOW(), RAND()"}
    assert run_statement(engine, f"SELECT {clock[family]}").rows
