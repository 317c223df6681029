"""Clocks of the simulated world: callables that give unix seconds."""

import threading
import time
from collections.abc import Callable

Clock = Callable[[], float]


class ManualClock:
    """Stands still until told otherwise."""

    def __init__(self, start: float) -> None:
        self._now = float(start)
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> float:
        with self._lock:
            self._now += seconds
            return self._now


class ScaledClock(ManualClock):
    """Runs `scale` simulated seconds per real second, and can be pushed forward too."""

    def __init__(self, start: float, scale: float, real: Clock = time.monotonic) -> None:
        super().__init__(start)
        self._scale, self._real, self._began = scale, real, real()

    def __call__(self) -> float:
        return self._now + (self._real() - self._began) * self._scale

    def advance(self, seconds: float) -> float:
        super().advance(seconds)
        return self()
