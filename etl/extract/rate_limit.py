"""A shared rate limit: no more than so many requests a second, however many threads ask."""

from __future__ import annotations

import threading
from collections.abc import Callable


class RateLimit:
    """Hands out evenly spaced turns; `wait()` sleeps until the caller's turn. No limit without a rate."""

    def __init__(
        self, per_second: float | None, *, monotonic: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._gap = 1.0 / per_second if per_second else 0.0
        self._monotonic, self._sleep = monotonic, sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        if not self._gap:
            return
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)
