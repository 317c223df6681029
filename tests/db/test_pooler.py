"""Behind PgBouncer in transaction mode, every transaction may meet another of the server's sessions."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from etl.analytics.adhoc_sql import run_statement
from etl.analytics.read_only import reading_engine
from etl.config import Destination, SecretUrl
from etl.db.engine import make_engine, write_transaction
from etl.errors import ConfigError, StorageError
from etl.feed.locks import only_one
from etl.schema import migrate
from etl.schema.tables import sources
from etl.simulator import World
from tests.conftest import unavailable
from tests.support.databases import PASSWORD, Server
from tests.support.rig import rig
from tests.support.whole_commands import whole_commands

POOLER = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
SETTINGS = ("default_transaction_read_only", "statement_timeout", "lock_timeout", "jit")


@pytest.fixture
def pooled(postgres: Server, tmp_path: Path) -> Iterator[str]:
    """The URL of a new database behind a pooler that has two of the server's sessions to hand out."""
    if not Path(POOLER).exists():
        unavailable("pgbouncer is not installed (Debian: pgbouncer)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    direct = postgres.create("pooled")
    with _pooler(postgres, tmp_path, port):
        yield direct.replace(f":{postgres.port}/", f":{port}/")
    postgres.drop("pooled")


@contextlib.contextmanager
def _pooler(postgres: Server, folder: Path, port: int) -> Iterator[None]:
    users, settings = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"etl" "{PASSWORD}"\n')
    settings.write_text(
        f"""[databases]
* = host=127.0.0.1 port={postgres.port} user=etl password='{PASSWORD}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 2
max_client_conn = 50
"""
    )
    for path in (folder, users, settings):
        path.chmod(0o755)
    command = [POOLER, "-u", "nobody", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(f"postgresql://etl@127.0.0.1:{port}/postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the pooler did not start"


def test_a_mirror_is_filled_and_kept(pooled: str) -> None:
    with rig(World(seed=5, jobs=400, rate=200), pooled) as r:
        r.ok()
        for _ in range(8):  # psycopg prepares what it is asked for the fifth time
            r.world.clock.advance(60)
            r.ok()
        assert r.reconcile().status == "ok"
        r.assert_equals_gateway()
        r.assert_accounts()


@pytest.mark.slow
def test_whatever_somebody_types_works(pooled: str, tmp_path: Path) -> None:
    whole_commands(tmp_path, pooled)


def test_nothing_stays_with_the_servers_sessions(pooled: str) -> None:
    """Whoever shares the pooler finds the sessions as the server made them."""
    with rig(World(seed=6, jobs=50, rate=0), pooled) as r:
        r.ok()
    reader = reading_engine(pooled, 7.0)
    run_statement(reader, "SELECT count(*) FROM video_jobs")
    with reader.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    reader.dispose()
    for _ in range(4):
        with psycopg.connect(pooled, autocommit=True) as other:
            values = [other.execute(f"SHOW {name}").fetchone() for name in SETTINGS]
            assert values == [("off",), ("0",), ("0",), ("on",)]


def test_reading_connections_cannot_write(pooled: str) -> None:
    engine = make_engine(pooled)
    migrate.upgrade_schema(engine)
    reader = reading_engine(pooled, 7.0)
    with reader.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="read-only"):
        connection.execute(sa.insert(sources).values(name="x", base_url="u"))
    for text in ("DELETE FROM sources", "SELECT 1; DELETE FROM sources", "SELECT pg_sleep(30)"):
        with pytest.raises((StorageError, ConfigError)):
            run_statement(reader, text, timeout=0.5)
    reader.dispose()
    engine.dispose()


def test_the_limits_hold_in_every_transaction(pooled: str) -> None:
    engine = make_engine(pooled)
    for _ in range(3):
        with write_transaction(engine) as connection:
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "30s"
    engine.dispose()


def test_one_place_has_one_feed(pooled: str, tmp_path: Path) -> None:
    """A lock of a session is whoever's the pooler gives that session to, or nobody's for ever."""
    place = Destination(name="lake", type="delta", url=SecretUrl(f"file://{tmp_path}/lake"))
    first, second = make_engine(pooled), make_engine(pooled)
    for _ in range(3):
        with only_one(first, place) as ours:
            assert ours
            with only_one(second, place) as theirs:
                assert not theirs
    with only_one(second, place) as theirs:
        assert theirs
    with psycopg.connect(pooled) as other:
        locks = other.execute("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert locks == (0,)
    for engine in (first, second):
        engine.dispose()
