"""A TCP proxy in front of a database server that cuts a connection at a chosen moment of a transaction.

    with Proxy(server.port) as proxy:
        proxy.cut("answer", at=[3])     # the third COMMIT is done, and nobody hears of it
        engine = make_engine(proxy.url(server.url("jobs")))

It reads no protocol; it looks for the statements' texts in what the client sends.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Container
from typing import Literal

#: How a connection dies: before the statement reaches the server, halfway through it, as soon as it is sent,
#: or when the server has answered and the answer is on its way.
How = Literal["before", "halfway", "sent", "answer"]

# PostgreSQL's simple query, or MySQL's COM_QUERY.
COMMIT = re.compile(rb"Q\0\0\0\x0bCOMMIT\0|\x03COMMIT")
#: The first rows of jobs on their way into the table or its staging table.
ROWS = re.compile(rb"COPY video_jobs \(|INSERT INTO video_jobs \(")
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on a free port of loopback. `seen` counts the statements looked for, `cuts` what was cut."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.cut("before", at=())

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cut every connection and refuse new ones: the database is away."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.hang_up()

    def url(self, url: str) -> str:
        """The same database, through this proxy."""
        return url.replace(f":{self._target[1]}/", f":{self.port}/")

    def cut(
        self, how: How, *, at: Container[int], on: re.Pattern[bytes] = COMMIT, behind: bytes = b""
    ) -> None:
        """Cut at these statements of those that match `on`, counted from 1, from now on.

        `behind`: only those count before which this text came on the same connection.
        """
        self._how, self._at, self._on, self._behind = how, at, on, behind
        self.seen = self.cuts = 0

    def hang_up(self) -> None:
        """Cut every connection, whatever it is doing."""
        with self._lock:
            for end in self._open:
                _reset(end)
            self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._target, timeout=60)
            except OSError:
                return
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            deaf = threading.Event()  # the server's next words are for nobody
            for work, ends in ((self._forward, (client, server)), (self._answer, (server, client))):
                threading.Thread(target=work, args=(*ends, deaf), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        armed = False
        try:
            while data := client.recv(1 << 16):
                armed = armed or self._behind in data
                hit = armed and self._on.search(data) is not None
                armed = armed and not hit
                if not hit or not self._strikes():
                    server.sendall(data)
                    continue
                if self._how == "halfway":
                    server.sendall(data[: len(data) // 2])
                elif self._how == "answer":
                    deaf.set()
                    server.sendall(data)
                    return  # _answer ends it when the server has spoken
                elif self._how == "sent":
                    server.sendall(data)
                break
        except OSError:
            pass
        self._close(client, server)

    def _answer(self, server: socket.socket, client: socket.socket, deaf: threading.Event) -> None:
        try:
            while (data := server.recv(1 << 16)) and not deaf.is_set():
                client.sendall(data)
        except OSError:
            pass
        self._close(client, server)

    def _strikes(self) -> bool:
        with self._lock:
            self.seen += 1
            if self.seen not in self._at:
                return False
            self.cuts += 1
            return True

    def _close(self, client: socket.socket, server: socket.socket) -> None:
        """The client sees a reset; the server an end, after everything that was sent to it."""
        with self._lock:
            _reset(client)
            for end in (client, server):
                self._open.discard(end)
                _shut(end)


def _reset(end: socket.socket) -> None:
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
