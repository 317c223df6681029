"""What one client may cost: how many connections, how long each keeps us waiting, how much log it makes."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds until a request has arrived as a whole, however its bytes drip.
REQUEST_WITHIN = 10.0
#: Seconds that an answer may wait for a client which takes none of it.
STALLED_AFTER = 30.0
#: Connections at a time. One more ends the one that has kept us waiting longest.
MOST_CONNECTIONS = 200


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP, whose patience with a client ends.

    While we wait for the client (for a request, or for it to take an answer) a timer runs, and the connection
    may be ended in favour of a new one. While a request is being answered neither holds. So clients that open
    connections and say nothing keep out nobody, and file descriptors stay bounded.
    """

    most_connections: ClassVar[int] = MOST_CONNECTIONS
    request_within: ClassVar[float] = REQUEST_WITHIN
    stalled_after: ClassVar[float] = STALLED_AFTER
    _timer: asyncio.TimerHandle | None = None
    _waiting_since: float | None = None
    _between_requests = False
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(self.request_within)
        if len(self.connections) > self.most_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if self._between_requests:
            self._between_requests = False
            self._wait(self.request_within)
        super().data_received(data)
        self._stop_waiting_if_complete()

    def on_response_complete(self) -> None:
        self._between_requests = True
        self._wait(self.stalled_after)  # uvicorn ends an idle connection sooner, unless bytes are unsent
        super().on_response_complete()
        self._stop_waiting_if_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait(self.stalled_after)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_waiting_if_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._waiting_since = time.monotonic()
        self._unsent = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(seconds, self._lose_patience)

    def _stop_waiting(self) -> None:
        self._waiting_since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_waiting_if_complete(self) -> None:
        """A request has arrived as a whole, and its answer is our business."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._between_requests = False
            self._stop_waiting()

    def _lose_patience(self) -> None:
        if 0 < self.transport.get_write_buffer_size() < self._unsent:  # slow, but it takes its answer
            self._wait(self.stalled_after)
        else:
            self.transport.abort()

    def _make_room(self) -> None:
        """The longest wait ends; when nobody keeps us waiting, the newcomer itself goes."""
        waiting = [one for one in self.connections if getattr(one, "_waiting_since", None) is not None]
        longest: Any = min(waiting, key=lambda one: one._waiting_since)  # type: ignore[union-attr]
        self.connections.discard(longest)
        longest.transport.abort()


class Seldom(logging.Filter):
    """Lets a message through `burst` times in `seconds`, then once more when that time is over.

    What strangers can cause a thousand times a second must not fill a disk.
    """

    def __init__(self, burst: int = 5, seconds: float = 60.0, size: int = 100) -> None:
        super().__init__()
        self._burst, self._seconds, self._size = burst, seconds, size
        self._seen: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key = str(record.msg).partition("\n")[0][:100]
        since, count = self._seen.pop(key, (record.created, 0))
        if record.created - since >= self._seconds:
            self._tell_held_back(record, count - self._burst)
            since, count = record.created, 0
        self._seen[key] = since, count + 1
        while len(self._seen) > self._size:
            del self._seen[next(iter(self._seen))]
        return count < self._burst

    def _tell_held_back(self, record: logging.LogRecord, count: int) -> None:
        if count > 0:
            record.msg = f"{record.getMessage()} ({count} more like this were not logged)"
            record.args = None


def limit_log() -> None:
    """For what uvicorn and asyncio say about connections; as often as it is called, once."""
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        if not any(isinstance(one, Seldom) for one in logger.filters):
            logger.addFilter(Seldom())


def affordable_connections(wanted: int = MOST_CONNECTIONS) -> int:
    """Connections that this process can open files for, and still open three times as many others."""
    try:
        import resource
    except ImportError:  # Windows
        return wanted
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(8, min(wanted, soft // 4))
