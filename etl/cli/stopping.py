"""Ctrl-C and SIGTERM: the first asks the work to stop after its current batch, the second leaves at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from etl.cli.errors import INTERRUPTED
from etl.cli.signals import hear_signals

_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first signal sets; the second ends the process."""
    stop = threading.Event()

    def ask(number: int) -> None:
        if stop.is_set():
            _leave_at_once()
        stop.set()
        print("stopping after the current batch; once more to leave at once", file=sys.stderr, flush=True)

    with hear_signals((signal.SIGINT, signal.SIGTERM), ask):
        yield stop


def _leave_at_once() -> NoReturn:
    """Without waiting for threads that wait for a gateway; the database stands even a power cut."""
    if sys.stderr.isatty():
        os.write(2, _SHOW_CURSOR.encode())
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
