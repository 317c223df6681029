"""Answers kept for a while: what took the database long is not asked again for every look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from etl.errors import DatabaseUnavailable

T = TypeVar("T")


@dataclass(slots=True)
class Cache(Generic[T]):
    """Keeps one answer for `least` seconds, or for `times` as long as it took, but for `most` at most.

    Answers quicker than `quick` seconds are not kept, nor are errors. Thread-safe: two who ask at the same
    time wait for one answer.
    """

    least: float = 5.0
    times: float = 20.0
    most: float = float("inf")
    quick: float = 0.0
    _kept: list[T] = field(default_factory=list)
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, read: Callable[[], T]) -> T:
        with self._lock:
            begun = time.monotonic()
            if not self._kept or begun >= self._until:
                self._kept = [read()]
                now = time.monotonic()
                self._until = now + self._seconds_to_keep(now - begun)
            return self._kept[0]

    def _seconds_to_keep(self, took: float) -> float:
        return min(self.most, max(self.least, self.times * took)) if took >= self.quick else 0.0


class AnswerCache:
    """The slow answers to the last `size` different questions."""

    def __init__(self, size: int = 32) -> None:
        self._size, self._lock = size, threading.Lock()
        self._caches: dict[Hashable, Cache[Any]] = {}

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        cache: Cache[T] = self._cache_of(key)
        return cache.get(read)

    def _cache_of(self, key: Hashable) -> Cache[Any]:
        with self._lock:
            cache = self._caches.pop(key, None) or Cache(least=0.0, times=10.0, most=30.0, quick=0.25)
            self._caches[key] = cache  # the last one asked stands last
            if len(self._caches) > self._size:
                del self._caches[next(iter(self._caches))]
            return cache


class Shared(Generic[T]):
    """One thread asks; who comes meanwhile waits for its answer, for `patience` seconds at most.

    However many ask a database that hangs, one thread hangs with it.
    """

    def __init__(self, patience: float = 3.0) -> None:
        self._patience, self._lock = patience, threading.Lock()
        self._asked: Future[T] | None = None

    def get(self, read: Callable[[], T]) -> T:
        """Raises what `read` raises, and DatabaseUnavailable when there is no answer in time."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = _in_thread(read)
            asked = self._asked
        try:
            return asked.result(self._patience)
        except TimeoutError:
            if asked.done():
                raise
            said = f"the database has not answered for {self._patience:g} seconds"
            raise DatabaseUnavailable(said, hint="is it overloaded, or is the connection broken?") from None


def _in_thread(read: Callable[[], T]) -> Future[T]:
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(read())
        except BaseException as error:  # noqa: BLE001 (it is raised where the answer is waited for)
            answer.set_exception(error)

    threading.Thread(target=run, name="reader", daemon=True).start()
    return answer
