"""A signal is heard at once, whichever thread the kernel hands it to, whatever the main thread waits for."""

from __future__ import annotations

import queue
import signal
import threading

from etl.cli.signals import heard
from etl.cli.stopping import stop_on_signals

LONG = 30.0


def _elsewhere(number: signal.Signals) -> threading.Thread:
    """Another thread is given the signal, as the kernel may choose."""

    def act() -> None:
        signal.pthread_kill(threading.get_ident(), number)

    return threading.Timer(0.1, act)


def test_another_thread_gets_it_while_the_main_thread_waits():
    inbox: queue.SimpleQueue[int] = queue.SimpleQueue()
    with heard([signal.SIGHUP], inbox.put):
        _elsewhere(signal.SIGHUP).start()
        assert inbox.get(timeout=LONG) == signal.SIGHUP


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
