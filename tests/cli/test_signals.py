"""A signal is heard at once, whichever thread the kernel hands it to, whatever the main thread waits for."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from types import FrameType

import pytest

from etl.cli.signals import hear_signals, stop_on_signals

LONG = 30.0


def _elsewhere(number: signal.Signals) -> threading.Thread:
    """Another thread is given the signal, as the kernel may choose, once the main thread waits."""
    main = threading.main_thread().ident

    def act() -> None:
        while not _waits(sys._current_frames().get(main)):
            time.sleep(0)
        signal.pthread_kill(threading.get_ident(), number)

    return threading.Thread(target=act)


def _waits(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_qualname.startswith("Condition.wait")


def test_another_thread_gets_it_while_the_main_thread_waits():
    got, came = list[int](), threading.Event()

    def hear(number: int) -> None:
        got.append(number)
        came.set()

    with hear_signals([signal.SIGHUP], hear):
        _elsewhere(signal.SIGHUP).start()
        assert came.wait(LONG)
    assert got == [signal.SIGHUP]


def test_a_command_is_asked_to_stop():
    with stop_on_signals() as stop:
        _elsewhere(signal.SIGTERM).start()
        assert stop.wait(LONG)


def test_what_was_before_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_thread_that_is_not_the_main_one_hears_nothing_and_works():
    seen = []

    def work() -> None:
        with stop_on_signals() as stop:
            seen.append(stop.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


IMPATIENT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests may ignore it
class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from etl.cli import main
sys.exit(main(["--version"]))
"""


@pytest.mark.parametrize("module", ["etl.cli.errors", "etl.cli.root", "etl.cli.settings"])
def test_ctrl_c_while_the_command_is_still_loading(module: str):
    command = [sys.executable, "-c", IMPATIENT.format(module=module)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
