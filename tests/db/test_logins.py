"""What keeps an account out is told by its cause: a package, a plugin, a limit."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from etl.db.engine import make_engine, read_transaction
from etl.errors import DatabaseRefused, DatabaseUnavailable, StorageError
from tests.conftest import require_module
from tests.support.databases import PASSWORD, Server


def refusal(url: str) -> StorageError:
    engine = make_engine(url)
    try:
        with pytest.raises(StorageError) as found, read_transaction(engine):
            pass
        return found.value
    finally:
        engine.dispose()


@pytest.fixture
def ed25519(mariadb: Server) -> Iterator[str]:
    """The URL of an account that logs in by ed25519."""
    with contextlib.suppress(Exception):  # it is there from an earlier test
        mariadb.execute("INSTALL SONAME 'auth_ed25519'")
    url = mariadb.create("logins")
    mariadb.execute(f"CREATE USER ed@'127.0.0.1' IDENTIFIED VIA ed25519 USING PASSWORD('{PASSWORD}')")
    mariadb.execute("GRANT ALL ON logins.* TO ed@'127.0.0.1'")
    yield url.replace("etl:", "ed:")
    mariadb.execute("DROP USER ed@'127.0.0.1'")
    mariadb.drop("logins")


def test_a_login_whose_package_is_missing(ed25519: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nacl", None)
    monkeypatch.setattr("pymysql._auth._nacl_bindings", False)
    error = refusal(ed25519)
    assert isinstance(error, DatabaseRefused)
    assert "pynacl" in str(error) and "bifrost-etl[mysql-login]" in str(error.hint)


def test_a_login_whose_package_is_there(ed25519: str) -> None:
    require_module("nacl")
    engine = make_engine(ed25519)
    with read_transaction(engine) as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
    engine.dispose()


@contextlib.contextmanager
def mysql_that_asks(*answers: bytes) -> Iterator[str]:
    """As much of a MySQL server as a login sees: its greeting, then each answer to what the client sends."""
    greeting = (
        b"\x0a8.0.40\0" + (7).to_bytes(4, "little") + b"12345678\0" + (0xF7FF).to_bytes(2, "little")
        + b"\xff\x02\0" + (0x00DF).to_bytes(2, "little") + bytes([21]) + bytes(10) + b"901234567890\0"
        + b"caching_sha2_password\0"
    )  # fmt: skip
    greeting = greeting.replace((0xF7FF).to_bytes(2, "little"), (0xF7FF & ~0x0800).to_bytes(2, "little"))

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            for number, said in enumerate((greeting, *answers)):
                client.sendall(len(said).to_bytes(3, "little") + bytes([2 * number]) + said)
                client.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"mysql://etl:secret@127.0.0.1:{listener.getsockname()[1]}/x"
        thread.join()


def test_mysql_8_asks_for_a_package_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymysql._auth._have_cryptography", False)
    with mysql_that_asks(b"\x01\x04", b"\x01-----BEGIN PUBLIC KEY-----") as url:
        error = refusal(url)
    assert isinstance(error, DatabaseRefused)
    assert "cryptography" in str(error) and "bifrost-etl[mysql-login]" in str(error.hint)


def test_a_login_that_no_driver_here_knows() -> None:
    with mysql_that_asks(b"\xfeauth_gssapi_client\0principal\0") as url:
        error = refusal(url)
    assert isinstance(error, DatabaseRefused)
    assert "auth_gssapi_client" in str(error) and "caching_sha2_password" in str(error.hint)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl.db.engine._CROWD_WAITS", ())


@pytest.mark.usefixtures("hurried")
def test_an_account_of_postgresql_without_a_free_connection(postgres: Server) -> None:
    """The server says `too many connections for role "x"`, which is no wrong name."""
    url = postgres.create("crowded")
    postgres.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    error = refusal(url.replace("etl:", "crowded:"))
    assert isinstance(error, DatabaseUnavailable) and "connections" in str(error.hint)
    postgres.drop("crowded")
    postgres.execute("DROP ROLE crowded")


@pytest.fixture
def crowded(mariadb: Server) -> Iterator[str]:
    """The URL of an account that may have one connection."""
    url = mariadb.create("crowded")
    mariadb.execute(f"CREATE USER crowded@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' WITH MAX_USER_CONNECTIONS 1")
    mariadb.execute("GRANT ALL ON crowded.* TO crowded@'127.0.0.1'")
    yield url.replace("etl:", "crowded:")
    mariadb.execute("DROP USER crowded@'127.0.0.1'")
    mariadb.drop("crowded")


@pytest.mark.usefixtures("hurried")
def test_an_account_of_mariadb_without_a_free_connection(crowded: str) -> None:
    first = make_engine(crowded)
    with read_transaction(first):
        error = refusal(crowded)
    assert isinstance(error, DatabaseUnavailable) and "connections" in str(error.hint)
    first.dispose()


def test_a_connection_that_comes_free_is_waited_for(crowded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make_engine(crowded), make_engine(crowded)
    held, waits = first.connect(), []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        held.close()
        first.dispose()
        pause(seconds)  # the server takes a moment to notice

    pause = time.sleep
    monkeypatch.setattr("etl.db.engine.time.sleep", wait)
    with read_transaction(second) as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
    assert waits
    second.dispose()
