"""What administrators, clusters and failovers do to a server in use: named by what passes and what not."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from etl import errors
from etl.db.engine import make_engine, storage_errors, write_transaction
from etl.schema.tables import sources
from tests.db.test_engine import SOURCE, count, session_of


@pytest.fixture
def twin(engine_url):
    twin = make_engine(engine_url)
    yield twin
    twin.dispose()


@pytest.mark.parametrize(
    ("database", "became_a_standby"),
    [
        ("postgresql", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
        ("mariadb", "SET SESSION TRANSACTION READ ONLY"),
    ],
    indirect=["database"],
)
def test_a_server_that_takes_no_more_writes_is_left(engine, became_a_standby):
    """After a failover the address leads to the new server, and old connections to the old one, for ever."""
    with write_transaction(engine) as connection:
        old = session_of(connection)
        connection.exec_driver_sql(became_a_standby)
    with (
        pytest.raises(errors.DatabaseRefused, match=r"(?i)read.only"),
        write_transaction(engine) as connection,
    ):
        connection.execute(sa.insert(sources), SOURCE)
    with write_transaction(engine) as connection:
        assert session_of(connection) != old
        connection.execute(sa.insert(sources), SOURCE)
    assert count(engine) == 1


@pytest.mark.parametrize(
    ("number", "kind", "hint"),
    [
        (1047, errors.DatabaseUnavailable, "running"),
        (1160, errors.DatabaseUnavailable, "running"),
        (3032, errors.DatabaseUnavailable, "running"),
        (1213, errors.DatabaseBusy, "may succeed"),
        (3101, errors.DatabaseBusy, "may succeed"),
        (1317, errors.DatabaseBusy, "ended a statement"),
        (1038, errors.DatabaseRefused, "sort_buffer_size"),
        (1665, errors.DatabaseRefused, "binlog_format"),
    ],
)
def test_what_a_server_of_a_cluster_or_of_another_administrator_says(number, kind, hint):
    import pymysql

    with pytest.raises(kind, match="said") as found, storage_errors(" (database d at h)"):
        raise pymysql.err.OperationalError(number, "said")
    assert hint in found.value.hint


def test_what_cut_the_connection_is_told_and_not_that_no_rollback_passed():
    import pymysql

    lost = pymysql.err.OperationalError(2006, "gone away")
    statement = sa.exc.OperationalError("INSERT " + "x" * (2 << 20), None, lost)
    with pytest.raises(errors.DatabaseRefused) as found, storage_errors(" (database d at h)"):
        try:
            raise statement
        except sa.exc.OperationalError:
            raise sa.exc.OperationalError(None, None, lost)  # noqa: B904 (as SQLAlchemy's rollback does)
    assert "max_allowed_packet" in found.value.hint


def test_a_pooler_that_pools_statements_is_told_of():
    import psycopg

    said = psycopg.errors.ProtocolViolation("transaction blocks not allowed in statement pooling mode")
    with pytest.raises(errors.DatabaseRefused) as found, storage_errors(" (database d at h)"):
        raise said
    assert "pool_mode = transaction" in found.value.hint


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_statement_that_somebody_ended_is_busy(engine, twin):
    """KILL QUERY, as administrators and watchdogs send it."""
    with pytest.raises(errors.DatabaseBusy), write_transaction(engine) as connection:
        session = session_of(connection)
        ended = threading.Event()
        killer = threading.Thread(target=_end_statements_of, args=(twin, session, ended))
        killer.start()
        try:
            connection.exec_driver_sql("SELECT SLEEP(60)")
            connection.exec_driver_sql("SELECT BENCHMARK(10000000000, SHA2('x', 512))")
        finally:
            ended.set()
            killer.join()
    assert count(engine) == 0


def _end_statements_of(engine: sa.Engine, session: int, ended: threading.Event) -> None:
    """Until one has failed: MariaDB may let SLEEP() end early without an error."""
    with engine.connect() as connection:
        for function in ("SLEEP", "BENCHMARK"):
            asked = sa.text(
                "SELECT count(*) FROM information_schema.processlist WHERE id = :id AND info LIKE :info"
            )
            while not connection.scalar(asked, {"id": session, "info": f"SELECT {function}%"}):
                if ended.is_set():
                    return
                connection.exec_driver_sql("SELECT SLEEP(0.05)")
            connection.exec_driver_sql(f"KILL QUERY {session}")
