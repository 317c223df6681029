"""Ctrl-C and SIGTERM: the first asks the work to stop after its current batch, the second leaves at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first signal sets. A second one raises KeyboardInterrupt wherever the program is."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print("stopping after the current batch; once more to leave at once", file=sys.stderr)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # Python delivers signals only there
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
