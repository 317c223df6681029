"""Other sessions in the way: deadlocks, locks held too long, sessions killed, SQLite's one writer."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

import etl.db.engine
from etl.errors import DatabaseBusy
from etl.schema.tables import leases, sync_state
from etl.simulator import World
from tests.support.rig import Rig, rig
from tests.support.running import until

SERVERS = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
WAITING = {
    "postgresql": "SELECT pid FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()",
    # InnoDB's own list of waits is as old as its last reader leaves it.
    "mariadb": "SELECT id FROM information_schema.processlist"
    " WHERE db = DATABASE() AND info LIKE 'UPDATE sync_state%%' AND time_ms > 20",
}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL CONNECTION {}"}
DEADLOCKS = {
    "postgresql": "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    "mariadb": "SELECT variable_value FROM information_schema.global_status"
    " WHERE variable_name = 'innodb_deadlocks'",
}


class Rival:
    """A session that holds the row which every commit of a run writes last."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.kind = engine, engine.dialect.name
        self._conn, self._gate = engine.connect(), engine.connect()
        if self.kind == "postgresql":
            self._conn.exec_driver_sql("SET LOCAL deadlock_timeout = '1min'")  # the other finds out first
        else:  # the one that has written less is chosen to lose
            numbers = "WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 900) "
            self._conn.exec_driver_sql(f"INSERT INTO weight {numbers} SELECT i FROM n")
        self._conn.execute(sa.update(sync_state).values(failures=sync_state.c.failures))

    def waiting(self) -> list[int]:
        """The sessions that wait for a lock."""
        with self.engine.connect() as other:
            return list(other.exec_driver_sql(WAITING[self.kind]).scalars())

    def victim(self) -> int:
        """The session that waits for us, as soon as one does."""
        return until(self.waiting, "a run that waits for us")[0]

    def bar_the_way(self) -> None:
        """Stop a run between the first row it writes and the last (PostgreSQL looks for deadlocks only once,
        a second after it began to wait: by then both must stand in each other's way)."""
        if self.kind == "postgresql":
            self._gate.exec_driver_sql("LOCK TABLE list_pages IN SHARE MODE")

    def embrace(self) -> None:
        """Want what the run holds, while it wants what we hold."""
        self.victim()
        with meanwhile(lambda: self._conn.execute(sa.update(leases).values(token=leases.c.token))):
            if self.kind == "postgresql":
                until(lambda: len(self.waiting()) == 2, "both wait")
            self._gate.close()

    def kill(self) -> None:
        victim = self.victim()
        with self.engine.connect() as other:
            other.exec_driver_sql(KILL[self.kind].format(victim))

    def leave(self) -> None:
        self._gate.close()
        self._conn.close()


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - carried to the test's own thread
            failed.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    yield
    thread.join(60)
    assert not failed and not thread.is_alive(), failed


@pytest.fixture
def lock_wait() -> float:
    """Seconds that a run waits for a lock."""
    return 30


@pytest.fixture
def told(
    engine: sa.Engine, engine_url: str, lock_wait: float, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rig]:
    """A source with a history and news, about to be synced."""
    if engine.dialect.name != "postgresql":
        with engine.begin() as conn:
            conn.exec_driver_sql("CREATE TABLE weight (i INT)")
    monkeypatch.setattr(etl.db.engine, "LOCK_WAIT", lock_wait)
    world = World(seed=95, jobs=300, rate=60)
    with rig(world, engine_url) as made:
        made.ok()
        world.advance(3600.0)
        yield made


def right_after_a_retry(told: Rig, most: int = 1) -> None:
    told.ok()
    assert 1 <= len(told.waits) <= most, "one try too many, or none"
    assert told.waits[0] == 0.05
    told.assert_equals_gateway()
    told.assert_accounts()
    assert [run["status"] for run in told.rows("sync_runs")] == ["ok", "ok"]


@SERVERS
def test_a_deadlock_is_lost_and_tried_again(told: Rig, engine: sa.Engine) -> None:
    def deadlocks() -> int:
        with engine.connect() as conn:
            return int(conn.exec_driver_sql(DEADLOCKS[rival.kind]).scalar_one())

    rival = Rival(engine)
    rival.bar_the_way()
    before = deadlocks()

    def act() -> None:
        rival.embrace()
        rival.leave()

    with meanwhile(act):
        # PostgreSQL may give the row to the next try before it wakes the rival: then they embrace again.
        right_after_a_retry(told, most=4)
    until(lambda: deadlocks() == before + len(told.waits), "the server's count of deadlocks")


@SERVERS
def test_a_session_killed_in_mid_transaction_is_replaced(told: Rig, engine: sa.Engine) -> None:
    rival = Rival(engine)

    def act() -> None:
        rival.kill()
        rival.leave()

    with meanwhile(act):
        right_after_a_retry(told)


@SERVERS
@pytest.mark.parametrize("lock_wait", [1])
def test_a_lock_held_too_long_is_tried_again(told: Rig, engine: sa.Engine) -> None:
    rival = Rival(engine)

    def wait(seconds: float) -> None:
        told.waits.append(seconds)
        rival.leave()

    told.app.worker._sleep = wait
    right_after_a_retry(told)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_passes_is_tried_again(told: Rig, engine: sa.Engine) -> None:
    """Serialisation failure, deadlock, shutdown, too many connections: one after the other."""
    with engine.begin() as conn:
        for statement in FAILING_FOUR_TIMES:
            conn.exec_driver_sql(statement)
    told.ok()
    assert told.waits == [0.05, 0.2, 0.5, 1.0]
    told.assert_equals_gateway()
    told.assert_accounts()


FAILING_FOUR_TIMES = (
    "CREATE SEQUENCE tries",  # no rollback takes its numbers back
    """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE state text := (ARRAY['40001', '40P01', '57P01', '53300'])[nextval('tries')];
    BEGIN
        IF state IS NOT NULL THEN RAISE EXCEPTION 'not now' USING ERRCODE = state; END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER fail AFTER UPDATE ON sync_state FOR EACH STATEMENT EXECUTE FUNCTION fail()",
)


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etl.db.engine, "LOCK_WAIT", 0.05)


def test_a_sqlite_file_that_stays_locked_is_named(tmp_path: Path, impatient: None) -> None:
    path = tmp_path / "etl.db"
    with rig(World(seed=96, jobs=300, rate=0), f"sqlite:///{path}") as told:
        told.ok()
        with locked(path):
            result = told.sync()
        assert isinstance(result.error, DatabaseBusy) and "another process is writing" in result.error.hint
        assert "database is locked" in str(result.error) and str(path) in str(result.error)
        assert result.status == "failed" and sum(told.waits) > 30, told.waits
        told.ok()
        told.assert_accounts()


def test_a_sqlite_file_that_is_given_free_in_time(tmp_path: Path, impatient: None) -> None:
    path = tmp_path / "etl.db"
    world = World(seed=97, jobs=300, rate=60)
    with rig(world, f"sqlite:///{path}") as told:
        told.ok()
        world.advance(3600.0)
        with locked(path) as other:

            def wait(seconds: float) -> None:
                told.waits.append(seconds)
                if len(told.waits) == 4:
                    other.execute("ROLLBACK")

            told.app.worker._sleep = wait
            told.ok()
        assert len(told.waits) == 4
        told.assert_equals_gateway()
        told.assert_accounts()
