"""Servers and databases as other people set them up: whatever somebody types works, or says why not.

Most settings are those of a database, an account or a session of the common servers; what only a server can
have has a server of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.databases import PASSWORD, Server, mariadb_server
from tests.support.whole_commands import WholeCommands, listing_gateway, whole_commands

pytestmark = pytest.mark.slow

#: Of the database, or of the role: what PostgreSQL gives each new session.
OF_POSTGRESQL = {
    "dates_and_zone": ("datestyle='SQL, DMY'", "timezone='Asia/Kathmandu'", "intervalstyle='sql_standard'"),
    "isolation": ("default_transaction_isolation='serializable'", "synchronous_commit=off"),
    "limits": (
        "statement_timeout='100ms'",
        "lock_timeout='5ms'",
        "idle_in_transaction_session_timeout='20ms'",
    ),
    "texts": ("standard_conforming_strings=off", "backslash_quote=off", "client_encoding='SQL_ASCII'"),
    "values": ("bytea_output='escape'", "extra_float_digits=-5", "transform_null_equals=on"),
}
#: What MariaDB gives each new session of an account without rights on the server.
OF_MARIADB = {
    "modes": "sql_mode='ORACLE,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH'",
    "loose": "sql_mode='', NAMES latin1, time_zone='-05:30', autocommit=0",
    "isolation": "SESSION tx_isolation='SERIALIZABLE', SESSION completion_type=1",
    "release": "SESSION completion_type=2",
    "limits": "sql_safe_updates=1, sql_select_limit=100, sql_big_selects=0, max_join_size=1000,"
    " max_statement_time=0.5",
}


@contextmanager
def server_gives(server: Server, setting: str, value: str, usual: str = "''") -> Iterator[None]:
    server.execute(f"SET GLOBAL {setting} = {value}")
    try:
        yield
    finally:
        server.execute(f"SET GLOBAL {setting} = {usual}")


@pytest.mark.parametrize("settings", OF_POSTGRESQL.values(), ids=OF_POSTGRESQL)
def test_what_postgresql_gives_each_session(
    postgres: Server, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    url = postgres.create("strange")
    for setting in settings:
        postgres.execute(f"ALTER DATABASE strange SET {setting}")
    whole_commands(tmp_path, url)
    postgres.drop("strange")


def test_a_schema_of_our_own_beside_other_tables(postgres: Server, tmp_path: Path) -> None:
    """Its owner may do nothing else; the database's name needs quotes."""
    url = postgres.create('"Shared-DB"').replace('"', "").replace("etl:", "tenant:")
    postgres.execute("CREATE ROLE tenant LOGIN")
    with psycopg.connect(postgres.url("Shared-DB"), autocommit=True) as admin:
        admin.execute("CREATE SCHEMA mirror AUTHORIZATION tenant")
        admin.execute("CREATE TABLE public.sources (whose TEXT)")
        admin.execute("ALTER ROLE tenant SET search_path = mirror, public")
    whole_commands(tmp_path, url)
    postgres.drop('"Shared-DB"')
    postgres.execute("DROP ROLE tenant")


def test_a_schema_named_in_the_url(postgres: Server, tmp_path: Path) -> None:
    url = postgres.create("named")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA mirror")
    whole_commands(tmp_path, f"{url}?options=-csearch_path%3Dmirror")
    postgres.drop("named")


def test_a_schema_that_is_not_there(postgres: Server, tmp_path: Path) -> None:
    refused(tmp_path, f"{postgres.create('nowhere')}?options=-csearch_path%3Dnowhere", "create the schema")
    postgres.drop("nowhere")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text(postgres: Server, tmp_path: Path, encoding: str) -> None:
    postgres.execute(f"CREATE DATABASE narrow ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    refused(tmp_path, postgres.url("narrow"), encoding, "UTF-8")
    postgres.drop("narrow")


def test_a_database_that_only_reads_by_default(postgres: Server, tmp_path: Path) -> None:
    """As a provider sets it when the disk is nearly full: we do not overrule that."""
    url = postgres.create("barred")
    postgres.execute("ALTER DATABASE barred SET default_transaction_read_only = on")
    refused(tmp_path, url, "read-only", "default_transaction_read_only")
    postgres.drop("barred")


def refused(folder: Path, url: str, *words: str) -> None:
    """By `check`, `db upgrade` and `sync` alike, with the cause."""
    with listing_gateway(20) as gateway:
        commands = WholeCommands(folder, url, gateway)
        for arguments in (("check",), ("db", "upgrade"), ("sync",)):
            done = commands.run(*arguments)
            assert done.code == 1, done.all
            assert [word for word in words if word not in done.all] == [], done.all


@pytest.mark.parametrize("settings", OF_MARIADB.values(), ids=OF_MARIADB)
def test_what_mariadb_gives_each_session(mariadb: Server, tmp_path: Path, settings: str) -> None:
    url = _limited(mariadb)
    with server_gives(mariadb, "init_connect", '"SET ' + settings.replace('"', '\\"') + '"'):
        whole_commands(tmp_path, url)
    mariadb.drop("strange")


def _limited(server: Server) -> str:
    """A database of an account that may do nothing else; `init_connect` holds for such accounts only."""
    url = server.create("strange")
    server.execute(f"CREATE OR REPLACE USER limited@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    server.execute("GRANT ALL ON strange.* TO limited@'127.0.0.1'")
    return url.replace("etl:", "limited:")


@pytest.mark.parametrize("local_infile", [0, 1])
def test_long_prompts_in_small_messages(mariadb: Server, tmp_path: Path, local_infile: int) -> None:
    """A page of them is 8 MB; the server takes 1 MB at once."""
    url = _limited(mariadb)
    with ExitStack() as stack:
        stack.enter_context(server_gives(mariadb, "max_allowed_packet", "1048576", "16777216"))
        stack.enter_context(server_gives(mariadb, "local_infile", str(local_infile), "1"))
        whole_commands(tmp_path, url, count=150, long=32_000)
    mariadb.drop("strange")


def test_a_server_whose_defaults_are_another_world_s(tmp_path: Path) -> None:
    odd = (
        *(
            "--lower-case-table-names=1",
            "--default-storage-engine=MyISAM",
            "--explicit-defaults-for-timestamp=0",
        ),
        *("--character-set-server=latin1", "--collation-server=latin1_swedish_ci", "--innodb-strict-mode=0"),
        *("--skip-character-set-client-handshake", "--transaction-isolation=REPEATABLE-READ", "--sql-mode="),
        *("--default-time-zone=+09:30", "--autocommit=0", "--group-concat-max-len=64", "--local-infile=0"),
        *("--log-bin", "--binlog-format=ROW", "--server-id=1", "--div-precision-increment=0"),
    )
    with mariadb_server(*odd) as server:
        whole_commands(tmp_path, _limited(server))
