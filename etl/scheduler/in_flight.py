"""One run per source at a time in this process, whatever its kind."""

from __future__ import annotations

import threading


class Slots:
    """Who runs now, and which reconcile waits for the end of a sync."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._busy: dict[str, str] = {}
        self._waiting: set[str] = set()

    def enter(self, name: str, kind: str) -> bool:
        """Take the source's slot. When it is taken, a reconcile is remembered and a sync is not: the run
        that goes on sees the same list."""
        with self._lock:
            if name not in self._busy:
                self._busy[name] = kind
                return True
            if kind == "reconcile" and self._busy[name] != kind:
                self._waiting.add(name)
            return False

    def leave(self, name: str) -> bool:
        """Give the slot back; True when it is kept after all, for the reconcile that waited."""
        with self._lock:
            if name in self._waiting:
                self._waiting.discard(name)
                self._busy[name] = "reconcile"
                return True
            del self._busy[name]
            self._lock.notify_all()
            return False

    def close(self) -> None:
        """Nothing that waits will start any more."""
        with self._lock:
            self._waiting.clear()

    def busy(self) -> list[str]:
        with self._lock:
            return sorted(self._busy)

    def wait_idle(self, timeout: float) -> bool:
        """True when no run is left, False after `timeout` seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._busy, timeout)
