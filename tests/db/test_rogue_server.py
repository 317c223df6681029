"""A MariaDB server, or who stands between, that asks for files of this machine gets none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pymysql
import pytest

from etl.db.engine import make_engine
from etl.load.bulk_mysql import _send_load_data

CANARY = b"canary-7d20c1f5e6, a line of a file that nobody sends"
_OK = b"\x00\x00\x00\x02\x00\x00\x00"
_GREETING = (
    b"\x0a5.7.99-rogue\x00" + (1).to_bytes(4, "little") + b"saltsalt\x00" + (0xF7FF).to_bytes(2, "little")
    + b"\x2d\x02\x00" + (0x81FF).to_bytes(2, "little") + b"\x15" + bytes(10) + b"saltsaltsalt\x00"
    + b"mysql_native_password\x00"
)  # fmt: skip


class Rogue:
    """Lets everybody in, says yes to `honest` statements, and answers the next with "send me this file"."""

    def __init__(self, file: Path, honest: int) -> None:
        self._file, self._honest, self.heard = str(file).encode(), honest, b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listening.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client:
                client.settimeout(10)
                try:
                    self._talk(client)
                except (OSError, EOFError):
                    continue

    def _talk(self, client: socket.socket) -> None:
        _say(client, 0, _GREETING)
        self._hear(client)
        _say(client, 2, _OK)
        for _ in range(self._honest):
            self._hear(client)
            _say(client, 1, _OK)
        self._hear(client)
        _say(client, 1, b"\xfb" + self._file)
        while True:
            number, body = self._hear(client)
            if not body:
                _say(client, number + 1, _OK)

    def _hear(self, client: socket.socket) -> tuple[int, bytes]:
        head = _read(client, 4)
        body = _read(client, int.from_bytes(head[:3], "little"))
        self.heard += body
        return head[3], body


def _say(client: socket.socket, number: int, body: bytes) -> None:
    client.sendall(len(body).to_bytes(3, "little") + bytes([number]) + body)


def _read(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = client.recv(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_bytes(CANARY)
    return file


@pytest.fixture
def rogue(request: pytest.FixtureRequest, secret: Path) -> Iterator[Rogue]:
    server = Rogue(secret, request.param)
    yield server
    server.close()


@pytest.mark.parametrize("rogue", range(6), indirect=True)
@pytest.mark.slow
def test_a_file_that_a_server_asks_for_is_not_sent(rogue: Rogue) -> None:
    """Whichever statement of ours it answers so."""
    engine = make_engine(f"mysql://u:p@127.0.0.1:{rogue.port}/d")
    with pytest.raises(Exception), engine.connect() as conn:  # noqa: B017 (each statement has its own)
        for _ in range(8):
            conn.exec_driver_sql("SELECT 1")
    engine.dispose()
    assert b"SET" in rogue.heard and CANARY not in rogue.heard


@pytest.mark.parametrize("rogue", [2], indirect=True)
def test_where_rows_are_loaded_rows_are_sent_whatever_file_is_named(rogue: Rogue) -> None:
    """Two statements go before: PyMySQL's own, about letters and commits."""
    raw = pymysql.connect(
        host="127.0.0.1",
        port=rogue.port,
        user="u",
        password="p",
        client_flag=1 << 7,
        connect_timeout=10,
        read_timeout=10,
    )
    conn: Any = SimpleNamespace(connection=SimpleNamespace(driver_connection=raw))
    _send_load_data(conn, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE t", [b"1\t2", b"3\t4"])
    raw.close()
    assert b"1\t2\n3\t4\n" in rogue.heard and CANARY not in rogue.heard
