"""Ctrl-C, SIGTERM and SIGHUP, heard in a thread of their own.

Python runs a handler in the main thread, between two of its instructions. A signal that the kernel hands to
another thread does not wake a main thread that waits for a lock or a queue, and such a wait may be for ever.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_END = 0
#: As a shell has it: 128 + SIGINT. Not from etl.cli.errors, which would be loaded before a hangup is held.
_INTERRUPTED = 130
_SHOW_CURSOR = "\x1b[?25h"
_held: list[int] = []


def hold_hangups() -> None:
    """From now on SIGHUP does not end this process, but waits for `held_hangups`.

    A service that is still loading is told to reload as soon as its configuration changes.
    """
    if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda number, _frame: _held.append(number))


def held_hangups() -> list[int]:
    """The signals that came since `hold_hangups`; each is returned once."""
    came = list(_held)
    _held.clear()
    return came


@contextmanager
def hear_signals(numbers: Iterable[int], hear: Callable[[int], None]) -> Iterator[None]:
    """`hear` is called with the number of each of these signals as it comes, whatever the main thread does.

    Python allows this in the main thread only; elsewhere nothing is heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wanted = frozenset(numbers)
    thread = threading.Thread(
        target=_listen_for_signals, args=(reading, wanted, hear), name="signals", daemon=True
    )
    thread.start()
    told = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before: dict[int, Any] = {number: signal.signal(number, lambda *_: None) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(told)
        os.write(writing, bytes([_END]))
        thread.join()
        os.close(reading)
        os.close(writing)


def _listen_for_signals(reading: int, wanted: frozenset[int], hear: Callable[[int], None]) -> None:
    while (number := os.read(reading, 1)[0]) != _END:
        if number in wanted:
            hear(number)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that the work stops after its current batch; a second signal
    ends the process at once."""
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
    os._exit(_INTERRUPTED)
