"""An answer may take only so long altogether, headers included, however steadily it drips.

The read timeout bounds each wait for bytes; a server that sends one byte a minute, or one `100 Continue`
after the other, would pass it for ever.
"""

from __future__ import annotations

import io
import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import SWITCHING_PROTOCOLS, HTTPException, HTTPResponse
from typing import Any

_MOST_INTERIM, _LONGEST_LINE = 100, 65536


def with_time_limit(
    connection: type[Any], seconds: float, monotonic: Callable[[], float], on_connected: Callable[[Any], None]
) -> type[Any]:
    """A class of connections like `connection` whose answers raise TimeoutError when they take longer.

    `on_connected` is told of each connection, once it has a socket.
    """
    # Static, for from Python 3.14 on a partial is bound to the object that it is asked of.
    answers = staticmethod(partial(_TimedResponse, seconds=seconds, monotonic=monotonic))

    def connect(self: Any) -> None:
        connection.connect(self)
        on_connected(self)

    return type(connection.__name__, (connection,), {"response_class": answers, "connect": connect})


class Connections:
    """Those that may still have a socket. Thread-safe."""

    def __init__(self) -> None:
        self._lock, self._open, self._shut = threading.Lock(), weakref.WeakSet[Any](), False

    def add(self, connection: Any) -> None:
        with self._lock:
            self._open.add(connection)
            too_late = self._shut
        if too_late:
            _shut_socket(connection)

    def shut(self) -> None:
        """Ends every conversation, in whatever thread it waits: that thread then closes the socket itself."""
        with self._lock:
            self._shut, found = True, list(self._open)
        for connection in found:
            _shut_socket(connection)


def _shut_socket(connection: Any) -> None:
    if isinstance(connection.sock, socket.socket):
        with suppress(OSError):  # it is not connected any more
            # Of the plain socket: TLS's own shutdown would pull its state away from under a reading thread.
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: Any, *rest: Any, seconds: float, monotonic: Callable[[], float], **more: Any):
        super().__init__(sock, *rest, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock.makefile("rb", 0), monotonic() + seconds, monotonic))

    def _read_status(self) -> tuple[str, int, str]:
        """Of the final answer: http.client skips `100 Continue` only, and takes Early Hints for it."""
        for _ in range(_MOST_INTERIM):
            version, status, reason = HTTPResponse._read_status(self)  # type: ignore[attr-defined]
            if not 100 <= status < 200 or status == SWITCHING_PROTOCOLS:
                return version, status, reason
            while self.fp.readline(_LONGEST_LINE).strip():
                pass  # its headers
        raise HTTPException("interim answers without end")


class _Timed(io.RawIOBase):
    def __init__(self, raw: Any, deadline: float, monotonic: Callable[[], float]) -> None:
        self._raw, self._deadline, self._monotonic = raw, deadline, monotonic

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._monotonic() > self._deadline:
            raise TimeoutError("the answer came too slowly and was given up")
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
