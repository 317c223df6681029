"""A gateway made of sockets: what it sends is up to the test, byte for byte.

with RawGateway(lambda ask: answer(page(ask.listed(JOBS)))) as gateway: ...
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

#: What goes over the wire, piece by piece; None cuts the connection there, with a reset.
Pieces = Iterable[bytes | None]
JSON = ("Content-Type: application/json",)


@dataclass(frozen=True)
class Ask:
    """One request. `number` counts from 1."""

    number: int
    target: str
    head: bytes
    query: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    def listed(self, jobs: list[Any]) -> tuple[list[Any], bool]:
        """What an honest gateway shows of these jobs, given oldest first; whether more follow."""
        order, after = self.query.get("order"), self.query.get("after")
        limit = int(self.query.get("limit", 20))  # questions beside the list have none
        jobs = jobs if order == "asc" else jobs[::-1]
        ids = [str(job.get("id")) for job in jobs]
        start = ids.index(after) + 1 if after in ids else 0
        return jobs[start : start + limit], start + limit < len(jobs)


def job(number: int, **members: Any) -> dict[str, Any]:
    """A finished job; `number` is its place in time."""
    shape = {"object": "video", "model": "sora-2", "status": "completed", "prompt": f"take {number}"}
    times = {"created_at": 1_767_000_000 + 10 * number, "completed_at": 1_767_000_500 + 10 * number}
    return {
        "id": f"video_{number:05d}:openai",
        **shape,
        **times,
        "size": "1280x720",
        "seconds": "8",
        **members,
    }


JOBS = [job(number) for number in range(250)]


def page(listed: tuple[list[Any], bool], **members: Any) -> bytes:
    """The body of a page; `members` replace what an honest one would say."""
    items, more = listed
    ids = [item.get("id") for item in items if isinstance(item, dict)]
    ends = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None, "has_more": more}
    return json.dumps({"object": "list", "data": items, **ends, **members}).encode()


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *(headers or JSON)]).encode("latin-1") + b"\r\n\r\n" + body


def _parsed(target: str) -> Iterable[tuple[str, list[str]]]:
    return parse_qs(urlsplit(target).query, errors="surrogatepass").items()


class RawGateway:
    """Listens on loopback; every request goes to `reply`. `asked` are the requests so far."""

    def __init__(self, reply: Callable[[Ask], bytes | Pieces]) -> None:
        self.reply = reply
        self.asked: list[Ask] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> RawGateway:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        seen = b""
        with contextlib.suppress(OSError), connection:
            while piece := connection.recv(1 << 16):
                seen += piece
                while b"\r\n\r\n" in seen:
                    head, _, seen = seen.partition(b"\r\n\r\n")
                    if not self._answer(connection, head):
                        return
        with self._lock:
            self._open.discard(connection)

    def _answer(self, connection: socket.socket, head: bytes) -> bool:
        target = head.split(b" ", 2)[1].decode("latin-1")
        query = {name: values[-1] for name, values in _parsed(target)}
        with self._lock:
            ask = Ask(len(self.asked) + 1, target, head, query)
            self.asked.append(ask)
        said = self.reply(ask)
        for piece in (said,) if isinstance(said, bytes) else said:
            if piece is None:
                return False
            connection.sendall(piece)
        return b"\r\nConnection: close" not in (said if isinstance(said, bytes) else b"")
