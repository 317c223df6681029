"""Answers kept for a while: what took the database long is not asked again for every look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")
#: Quicker answers are not kept (seconds).
_QUICK = 0.25
#: An answer is kept for so many times as long as it took, and for so many seconds at most.
_TIMES, _LONGEST = 10, 30.0
_MOST = 32


class Kept:
    """Thread-safe. Two who ask the same at the same time wait for one answer; errors are not kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._found: dict[Hashable, tuple[float, object]] = {}

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            until, kept = self._found.get(key, (0.0, None))
            begun = time.monotonic()
            if begun < until:
                return kept  # type: ignore[return-value] # the key says what it is
            answer = read()
            took = time.monotonic() - begun
            if took > _QUICK:
                self._keep(key, time.monotonic() + min(_LONGEST, _TIMES * took), answer)
            return answer

    def _keep(self, key: Hashable, until: float, answer: object) -> None:
        with self._lock:
            if len(self._found) >= _MOST:
                self._found.clear()
                self._locks.clear()
            self._found[key] = until, answer
