"""What a sync would be refused, `check` is refused too; what it tries leaves nothing."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.check import Finding, check_database
from etl.db.engine import make_engine
from etl.schema import migrate
from tests.support.databases import PASSWORD, Server, mariadb_server


def findings(url: str) -> dict[str, Finding]:
    return {finding.what: finding for finding in check_database(url)}


def counts(url: str) -> dict[str, int]:
    engine = make_engine(url)
    with engine.connect() as connection:
        tables = sa.inspect(connection).get_table_names()
        found = {t: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {t}").scalar_one() for t in tables}
    engine.dispose()
    return found


def test_a_good_database_stays_as_it_is(engine: sa.Engine, engine_url: str) -> None:
    before = counts(engine_url)
    found = findings(engine_url)
    assert found["writing"].good and found["tables"].good, found
    assert counts(engine_url) == before


def test_an_empty_database_stays_empty(database: str, database_url: str, tmp_path: Path) -> None:
    if database == "sqlite":
        (tmp_path / "etl.db").touch()
    writing = findings(database_url)["writing"]
    assert writing.good and "created" in writing.detail, "it does not write into tables that are not there"
    assert counts(database_url) == {}


def fresh(server: Server, name: str) -> str:
    server.drop(name)
    return server.create(name)


def red(url: str, *words: str) -> None:
    found = findings(url)["writing"]
    assert found.good is False and found.hint, found
    for word in words:
        assert word in found.detail + str(found.hint)


@pytest.mark.parametrize("filled", [False, True])
def test_postgresql_that_only_reads(postgres: Server, _postgres_template: str, filled: bool) -> None:
    url = postgres.create("only_reads", template=_postgres_template if filled else None)
    postgres.execute("ALTER DATABASE only_reads SET default_transaction_read_only = on")
    red(url, "read-only")
    postgres.drop("only_reads")


def test_postgresql_in_latin1(postgres: Server) -> None:
    postgres.execute("CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    red(postgres.url("narrow"), "LATIN1", "UTF-8")
    assert counts(postgres.url("narrow")) == {}
    postgres.drop("narrow")


@pytest.mark.parametrize("filled", [False, True])
def test_a_postgresql_account_without_rights(postgres: Server, _postgres_template: str, filled: bool) -> None:
    url = postgres.create("barred", template=_postgres_template if filled else None)
    postgres.execute("CREATE ROLE barred LOGIN")
    if filled:
        admin = make_engine(url)
        with admin.begin() as connection:
            connection.exec_driver_sql(
                "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO barred"
            )
            connection.exec_driver_sql("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO barred")
        admin.dispose()
    red(url.replace("etl:", "barred:"), "permission denied", "grant")
    postgres.drop("barred")
    postgres.execute("DROP ROLE barred")


@pytest.mark.parametrize("rights", ["SELECT", "SELECT, INSERT, UPDATE", "SELECT, CREATE, DROP, INDEX"])
@pytest.mark.parametrize("filled", [False, True])
def test_a_mariadb_account_without_rights(mariadb: Server, rights: str, filled: bool) -> None:
    url = fresh(mariadb, "barred")
    if filled:
        upgrade(url)
    before = counts(url)
    mariadb.execute(f"CREATE OR REPLACE USER barred@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    mariadb.execute(f"GRANT {rights} ON barred.* TO barred@'127.0.0.1'")
    red(url.replace("etl:", "barred:"), "denied", "grant")
    assert counts(url) == before
    mariadb.drop("barred")


def upgrade(url: str) -> None:
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    engine.dispose()


@contextmanager
def globally(server: Server, name: str, value: str, usual: str) -> Iterator[None]:
    server.execute(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        server.execute(f"SET GLOBAL {name} = {usual}")


def test_mariadb_with_compact_rows(mariadb: Server) -> None:
    """Our tables name their format, so this default is no longer an obstacle."""
    url = fresh(mariadb, "compact")
    with globally(mariadb, "innodb_default_row_format", "compact", "dynamic"):
        assert findings(url)["writing"].good
        upgrade(url)
        assert findings(url)["writing"].good
    mariadb.drop("compact")


@pytest.mark.parametrize("filled", [False, True])
def test_mariadb_that_takes_small_messages(mariadb: Server, filled: bool) -> None:
    url = fresh(mariadb, "small")
    if filled:
        upgrade(url)
    with globally(mariadb, "max_allowed_packet", "16384", "16777216"):
        red(url, "max_allowed_packet")
    mariadb.drop("small")


def test_mariadb_that_only_reads(mariadb: Server) -> None:
    url = fresh(mariadb, "standby")
    upgrade(url)
    mariadb.execute(f"CREATE OR REPLACE USER plain@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    mariadb.execute("GRANT ALL ON standby.* TO plain@'127.0.0.1'")
    with globally(mariadb, "read_only", "1", "0"):
        red(url.replace("etl:", "plain:"), "read-only")
    mariadb.drop("standby")


def test_mariadb_with_odd_settings() -> None:
    """Settings that a sync copes with: it sets its own, or needs none."""
    odd = ("--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "--local-infile=0", "--innodb-force-primary-key=1")
    with mariadb_server(
        *odd, "--character-set-server=latin1", "--innodb-default-row-format=compact"
    ) as server:
        url = server.create("odd")
        assert findings(url)["writing"].good
        upgrade(url)
        found = findings(url)
        assert found["writing"].good and found["tables"].good, found


def test_a_new_file_is_its_owner_s(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'etl.db'}"
    upgrade(url)
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        connection.exec_driver_sql("SELECT COUNT(*) FROM prices")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("etl.db*")}
    engine.dispose()
    assert modes["etl.db"] == 0o600 and set(modes.values()) == {0o600}, modes
