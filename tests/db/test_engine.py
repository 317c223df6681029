"""Engines: what a URL becomes, what a session is like, and what errors turn into."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

import etl.db.engine
from etl import errors
from etl.db.engine import make_engine, storage_errors, write_transaction
from etl.schema.tables import leases, sources
from tests.support.databases import PASSWORD, Server

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SOURCE = {"name": "a", "base_url": "http://gateway", "created_at": NOW}


def only(kind: str):
    return pytest.mark.parametrize("database", [kind], indirect=True)


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr(etl.db.engine, "LOCK_WAIT", 1)


@pytest.fixture
def twin(engine_url, short_waits):
    """A second engine on the same database, for the other process, that does not wait long."""
    twin = make_engine(engine_url)
    yield twin
    twin.dispose()


def count(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(sources)) or 0


# --- URLs


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bifrost.db",
        "oracle://u:hunter2@h/d",
        "postgresql+psycopg2://u:hunter2@h/d",
        "postgresql://u:hunter2@h:x/d",
        "mysql://u:hunter2@h",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
    ],
)
def test_unusable_urls_say_what_to_write(url):
    with pytest.raises(errors.ConfigError) as error:
        make_engine(url)
    assert error.value.hint
    assert "hunter2" not in f"{error.value}{error.value.hint}{error.value.__cause__}"


@pytest.mark.parametrize(("url", "extra"), [("postgres://h/d", "postgres"), ("mariadb://h/d", "mysql")])
def test_a_missing_driver_names_the_extra(url, extra, monkeypatch):
    monkeypatch.setattr(etl.db.engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.ConfigError) as error:
        make_engine(url)
    assert error.value.hint == f"{sys.executable} -m pip install 'bifrost-etl[{extra}]'"


def test_the_url_may_set_its_own_timeouts(postgres):
    engine = make_engine(postgres.url("postgres") + "?application_name=mine&connect_timeout=3")
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW application_name")) == "mine"
    engine.dispose()


def test_sqlite_folders_are_created(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/a/b/etl.db")
    with engine.connect():
        assert (tmp_path / "a/b/etl.db").exists()
    engine.dispose()


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_the_server_decides_between_mariadb_and_mysql(mariadb, scheme):
    engine = make_engine(mariadb.url("mysql").replace("mariadb:", f"{scheme}:"))
    with engine.connect() as connection:
        assert connection.dialect.name == "mariadb"
        assert connection.dialect.is_mariadb
    engine.dispose()


# --- Sessions


def settings(engine: sa.Engine, sql: str) -> list[str]:
    with engine.connect() as connection:
        return [str(connection.exec_driver_sql(part).scalar()).lower() for part in sql.split(";")]


@only("sqlite")
def test_sqlite_session(engine):
    asked = "journal_mode;synchronous;foreign_keys;busy_timeout;temp_store"
    pragmas = ";".join(f"PRAGMA {name}" for name in asked.split(";"))
    assert settings(engine, pragmas) == ["wal", "1", "1", "30000", "2"]


@only("postgresql")
def test_postgres_session(engine):
    asked = (
        "SHOW timezone;SHOW transaction_isolation;SHOW idle_in_transaction_session_timeout;SHOW lock_timeout"
    )
    assert settings(engine, asked) == ["utc", "read committed", "1min", "30s"]
    assert settings(engine, "SHOW application_name;SHOW client_encoding") == ["bifrost-etl", "utf8"]
    # An export's statement lasts as long as its file, a migration's as long as the table.
    assert settings(engine, "SHOW statement_timeout") == ["0"]


@only("mariadb")
def test_mariadb_session(engine):
    asked = "time_zone;tx_isolation;idle_transaction_timeout;innodb_lock_wait_timeout;character_set_client"
    found = settings(engine, ";".join(f"SELECT @@{name}" for name in asked.split(";")))
    assert found == ["+00:00", "read-committed", "60", "30", "utf8mb4"]
    assert "strict_trans_tables" in settings(engine, "SELECT @@sql_mode")[0]
    assert float(settings(engine, "SELECT @@max_statement_time")[0]) == 0


def test_instants_and_astral_text_survive(engine):
    with write_transaction(engine) as connection:
        connection.execute(sa.insert(sources), SOURCE | {"provider": "🎬 ünï"})
        row = connection.execute(sa.select(sources.c.created_at, sources.c.provider)).one()
    assert tuple(row) == (NOW, "🎬 ünï")


# --- Transactions


def test_the_connection_used_last_is_used_again(engine):
    with engine.connect() as usual:
        mine = usual.connection.driver_connection
        with engine.connect() as heartbeat:
            assert heartbeat.connection.driver_connection is not mine
    for _ in range(3):
        with engine.connect() as again:
            assert again.connection.driver_connection is mine


def test_writing_commits_or_rolls_back_as_a_whole(engine):
    with pytest.raises(KeyError), write_transaction(engine) as connection:
        connection.execute(sa.insert(sources), SOURCE)
        raise KeyError
    assert count(engine) == 0
    with write_transaction(engine) as connection:
        connection.execute(sa.insert(sources), SOURCE)
        assert count(engine) == 0, "visible before the commit"
    assert count(engine) == 1


def test_foreign_keys_are_enforced(engine):
    with pytest.raises(errors.StorageError), write_transaction(engine) as connection:
        connection.execute(sa.insert(leases), {"source_id": 7, "token": 1})


def test_ddl_and_savepoints_obey_the_transaction(engine):
    with write_transaction(engine) as connection:
        with pytest.raises(KeyError), connection.begin_nested():
            connection.execute(sa.insert(sources), SOURCE)
            raise KeyError
        connection.execute(sa.insert(sources), SOURCE | {"name": "b"})
    assert count(engine) == 1


def test_a_writer_waits_for_another(engine):
    with write_transaction(engine) as first:
        first.execute(sa.insert(sources), SOURCE)
        second = threading.Thread(target=_insert, args=(engine, "b"))
        second.start()
    second.join(30)
    assert count(engine) == 2


def test_many_may_create_one_sqlite_file(tmp_path):
    """Each of a hundred times, four connections race for the switch to WAL."""
    together = threading.Barrier(4, timeout=60)
    failures: list[Exception] = []

    def create() -> None:
        for number in range(100):
            engine = make_engine(f"sqlite:///{tmp_path}/{number}.db")
            together.wait()
            try:
                with storage_errors(), engine.connect() as connection:
                    assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            except Exception as error:  # noqa: BLE001 - carried to the test's own thread
                failures.append(error)
            engine.dispose()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def _insert(engine: sa.Engine, name: str) -> None:
    with write_transaction(engine) as connection:
        connection.execute(sa.insert(sources), SOURCE | {"name": name})


# --- Errors


def test_a_held_lock_is_busy(engine, twin):
    _insert(engine, "a")
    rename = sa.update(sources).values(base_url="x")
    with write_transaction(engine) as first:
        first.execute(rename)
        with pytest.raises(errors.DatabaseBusy) as error, write_transaction(twin) as second:
            second.execute(rename)
    assert error.value.hint


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_deadlock_is_busy(engine, twin):
    for name in "ab":
        _insert(engine, name)
    met = threading.Barrier(2, timeout=30)
    outcomes: list[type] = []

    def update(which: sa.Engine, names: str) -> None:
        try:
            with write_transaction(which) as connection:
                for name in names:
                    connection.execute(sa.update(sources).values(key_name="x").where(sources.c.name == name))
                    if name == names[0]:
                        met.wait()
            outcomes.append(type(None))
        except errors.StorageError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=update, args=pair) for pair in ((engine, "ab"), (twin, "ba"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors.DatabaseBusy in outcomes
    assert set(outcomes) <= {errors.DatabaseBusy, type(None)}


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_nobody_listening_is_unavailable(scheme):
    engine = make_engine(f"{scheme}://etl:hunter2@127.0.0.1:1/jobs")
    with pytest.raises(errors.DatabaseUnavailable, match=r"database jobs at 127\.0\.0\.1:1") as error:
        count_under_errors(engine)
    assert "hunter2" not in f"{error.value}{error.value.__cause__}{engine!r}"


def count_under_errors(engine: sa.Engine) -> int:
    with storage_errors():
        return count(engine)


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_an_unknown_database_is_refused(server, request):
    found: Server = request.getfixturevalue(server)
    engine = make_engine(found.url("nowhere"))
    with pytest.raises(errors.DatabaseRefused, match="nowhere") as error:
        count_under_errors(engine)
    assert PASSWORD not in str(error.value)


def test_a_wrong_password_is_refused(mariadb):
    engine = make_engine(mariadb.url("mysql").replace("etl:", "etl:hunter2"))
    with pytest.raises(errors.DatabaseRefused, match="Access denied") as error:
        count_under_errors(engine)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("database", "kill"),
    [("postgresql", "SELECT pg_terminate_backend({})"), ("mariadb", "KILL CONNECTION {}")],
    indirect=["database"],
)
def test_a_cut_connection_is_unavailable_and_the_next_one_works(engine, twin, kill):
    with pytest.raises(errors.DatabaseUnavailable), write_transaction(engine) as connection:
        connection.execute(sa.insert(sources), SOURCE)
        with twin.connect() as other:
            other.exec_driver_sql(kill.format(session_of(connection)))
        connection.execute(sa.select(sa.literal(1)))
    assert count(engine) == 0


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_frozen_transaction_is_cut_by_the_server(engine_url, engine):
    impatient = make_engine(engine_url, idle_transaction_timeout=1)
    with (
        write_transaction(engine),
        pytest.raises(errors.DatabaseUnavailable),
        write_transaction(impatient) as frozen,
    ):
        frozen.execute(sa.insert(sources), SOURCE)
        _until_gone(engine, session_of(frozen))
        frozen.execute(sa.select(sa.literal(1)))
    assert count(engine) == 0
    impatient.dispose()


def session_of(connection: sa.Connection) -> int:
    asked = "pg_backend_pid()" if connection.dialect.name == "postgresql" else "CONNECTION_ID()"
    return connection.scalar(sa.text(f"SELECT {asked}"))


def _until_gone(engine: sa.Engine, session: int) -> None:
    """Polls the server's own list of sessions; each look is a statement, and there are finitely many."""
    postgres = engine.dialect.name == "postgresql"
    nap = "SELECT pg_sleep(0.1)" if postgres else "SELECT SLEEP(0.1)"
    table, column = ("pg_stat_activity", "pid") if postgres else ("information_schema.processlist", "id")
    for _ in range(300):
        with engine.connect() as connection:
            connection.exec_driver_sql(nap)
            if not connection.scalar(sa.text(f"SELECT count(*) FROM {table} WHERE {column} = {session}")):
                return
    pytest.fail("the server never cut the frozen session")


@only("sqlite")
def test_a_full_disk_is_refused(engine):
    with pytest.raises(errors.DatabaseRefused, match="full"), write_transaction(engine) as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.execute(sa.insert(sources), SOURCE | {"base_url": "x" * 100_000})


@only("postgresql")
def test_a_read_only_database_is_refused(engine):
    with pytest.raises(errors.DatabaseRefused), write_transaction(engine) as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.execute(sa.insert(sources), SOURCE)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "notes.db").write_bytes(b"dear diary, " * 1000)
    engine = make_engine(f"sqlite:///{tmp_path}/notes.db")
    with pytest.raises(errors.DatabaseRefused, match=r"not a database.*notes\.db"):
        count_under_errors(engine)


def test_rows_are_not_quoted_in_errors(engine):
    _insert(engine, "a-private-prompt")
    with pytest.raises(errors.StorageError) as error, write_transaction(engine) as connection:
        connection.execute(
            sa.insert(sources), SOURCE | {"name": "x", "base_url": None, "provider": "private"}
        )
    assert type(error.value) is errors.StorageError
    assert "private" not in str(error.value)


def test_our_own_errors_pass_through(engine):
    with pytest.raises(errors.LeaseLost), write_transaction(engine):
        raise errors.LeaseLost("gone")


def test_raw_driver_errors_are_translated_too(engine):
    with pytest.raises(errors.StorageError), write_transaction(engine) as connection:
        connection.connection.cursor().execute("SELECT nonsense FROM nowhere")
