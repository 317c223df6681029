"""Notices that the machine's clock was set forward or back while timers sleep by it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from etl.worker import utc_now

#: A correction smaller than this is left to itself.
JUMP = timedelta(seconds=2)
_LOOK = 1.0


class JumpDetector:
    """Compares the wall clock with the monotonic one, which cannot be set."""

    def __init__(
        self,
        wall: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._began = self._start()

    def _start(self) -> datetime:
        """What the wall clock would have shown when the monotonic one showed 0."""
        return self._wall() - timedelta(seconds=self._monotonic())

    def jumped(self) -> timedelta:
        """How far the clock was set forward or back since the last call; 0 when that is less than JUMP."""
        began = self._start()
        jump = began - self._began
        if abs(jump) < JUMP:
            return timedelta()
        self._began = began
        return jump


def follow_clock(
    stop: threading.Event, on_jump: Callable[[timedelta], None], clock: JumpDetector | None = None
) -> None:
    """Tells of every jump, from a thread of its own, until `stop` is set."""
    clock = clock or JumpDetector()

    def look() -> None:
        while not stop.wait(_LOOK):
            if jump := clock.jumped():
                on_jump(jump)

    threading.Thread(target=look, name="clock", daemon=True).start()
