"""Notices that the machine's clock was put forward or back, while timers sleep by it."""

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
    """Compares the wall clock with the monotonic one, which nobody puts."""

    def __init__(
        self,
        wall: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._began = self._start()

    def _start(self) -> datetime:
        """What the wall clock would have shown when the monotonic one stood at nothing."""
        return self._wall() - timedelta(seconds=self._monotonic())

    def jumped(self) -> timedelta:
        """By how much the clock was put since the last call; nothing when that is less than JUMP."""
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
