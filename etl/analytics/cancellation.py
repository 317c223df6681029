"""Questions that are ended when nobody waits for their answers any more, on every database."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
_CANCEL_AGAIN = 0.25  # seconds


class Abandoned(Exception):
    """Nobody waits for these answers any more."""


class Asking:
    """The connections that one reader has in use, so that its questions can be ended from another thread."""

    def __init__(self) -> None:
        self.over, self.finished = False, threading.Event()
        self._lock = threading.Lock()
        self._in_use: dict[int, Callable[[], None]] = {}

    def begin(self, record: object, cancel: Callable[[], None]) -> None:
        """`record` stands for a connection. Raises Abandoned."""
        with self._lock:
            if self.over:
                raise Abandoned
            self._in_use[id(record)] = cancel

    def end(self, record: object) -> None:
        """Waits for a cancellation on its way, which would else hit whoever has the connection next."""
        with self._lock:
            self._in_use.pop(id(record), None)

    def abandon(self) -> None:
        """Later questions are refused, the present one is cancelled: again and again until the
        reader is done, because one that is only on its way to the database would not notice."""
        self.over = True
        while not self.finished.is_set():
            with self._lock:
                for cancel in self._in_use.values():
                    with contextlib.suppress(Exception):  # it ends by its time limit then
                        cancel()
            self.finished.wait(_CANCEL_AGAIN)

    def run(self, make: Callable[[], T]) -> T:
        """`make()`, whose questions are ours; call it in a thread that has a context of its own."""
        _asking.set(self)
        try:
            return make()
        finally:
            self.finished.set()


_asking: ContextVar[Asking | None] = ContextVar("asking", default=None)


def follow_connections(engine: sa.Engine) -> None:
    """Note who uses a connection of this engine."""

    @sa.event.listens_for(engine, "checkout")
    def _taken(connection: Any, record: Any, _proxy: Any) -> None:
        asking = _asking.get()
        if asking is not None:
            asking.begin(record, lambda: _cancel_statement(engine, connection))

    @sa.event.listens_for(engine, "checkin")
    def _given_back(_connection: Any, record: Any) -> None:
        asking = _asking.get()
        if asking is not None:
            asking.end(record)


def _cancel_statement(engine: sa.Engine, connection: Any) -> None:
    """End the statement that another thread runs on `connection`."""
    if engine.dialect.driver == "pysqlite":
        connection.interrupt()
    elif engine.dialect.name == "postgresql":
        connection.cancel()
    else:
        with engine.connect() as other:
            other.exec_driver_sql(f"KILL QUERY {connection.thread_id():d}")
