"""Answers kept for a while: what took the database long is not asked again for every look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

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
                self._until = now + self._lasts(now - begun)
            return self._kept[0]

    def _lasts(self, took: float) -> float:
        return min(self.most, max(self.least, self.times * took)) if took >= self.quick else 0.0


class Kept:
    """The slow answers to the last `size` different questions."""

    def __init__(self, size: int = 32) -> None:
        self._size, self._lock = size, threading.Lock()
        self._caches: dict[Hashable, Cache[Any]] = {}

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        cache: Cache[T] = self._cache(key)
        return cache.get(read)

    def _cache(self, key: Hashable) -> Cache[Any]:
        with self._lock:
            cache = self._caches.pop(key, None) or Cache(least=0.0, times=10.0, most=30.0, quick=0.25)
            self._caches[key] = cache  # the last one asked stands last
            if len(self._caches) > self._size:
                del self._caches[next(iter(self._caches))]
            return cache
