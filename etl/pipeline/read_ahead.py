"""Pages read ahead by threads: one lane or several, into one bounded queue.

The next page travels while the last one is being stored; nothing here decides what a page means, but whether
another lane would bring pages sooner.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from etl.errors import GatewayError
from etl.records import PageRequest, PageRows

T = TypeVar("T")
Test = Callable[[PageRows], bool]
Fetch = Callable[[PageRequest], PageRows]
#: Pages that wait to be stored: a batch, so that reading goes on while one is committed (5 MB).
AHEAD = 50
#: So many pages tell whether the gateway is slow.
SAMPLE = 4
_CHECK_SECONDS = 0.2
_TURN_SECONDS = 0.1
_JOIN_SECONDS = 0.01
_JOIN_TRIES = 50
_WITHOUT_LIMIT = 1000


class Event(NamedTuple):
    """A page, the end of a lane (neither `rows` nor `error`), or what ended it; `request` led to it."""

    lane: str
    request: PageRequest
    rows: PageRows | None = None
    error: BaseException | None = None
    reader: threading.Event | None = None  # the reading it comes from: a lane may be stopped and begun anew
    took: float = 0.0  # seconds to fetch and to transform
    worked: float = 0.0  # of these, of the processor


class Readers:
    """Lanes that read at the same time. Use as a context manager: leaving it ends every thread.

    `check` is called while waiting; what it raises ends the waiting, however long the gateway stalls.
    `at_once` lanes are read at a time; those started besides wait, and begin as soon as one has been read.
    """

    def __init__(
        self, fetch: Fetch, check: Callable[[], None] = lambda: None, at_once: int = _WITHOUT_LIMIT
    ) -> None:
        self._fetch, self._check = fetch, check
        self._free = threading.Semaphore(at_once)
        self._events: queue.Queue[Event] = queue.Queue(AHEAD)
        self._closing = threading.Event()
        self._stops: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []
        self._pace = Pace(time.perf_counter())

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *_: object) -> None:
        """Threads that hang in a stalled request are left behind: they find `_closing` set, and die."""
        self._closing.set()
        for _try in range(_JOIN_TRIES):
            self._drain()
            for thread in self._threads:
                thread.join(_JOIN_SECONDS)
            if not any(thread.is_alive() for thread in self._threads):
                return

    def start(
        self, lane: str, request: PageRequest, until: Test | None = None, hold: Test | None = None
    ) -> None:
        """Read from `request` to the end of the list, or to the page for which `until` is true.

        After a page for which `hold` is true nothing is read ahead: it may be the last one that is needed.
        """
        self._pace = Pace(time.perf_counter())
        self._stops[lane] = stop = threading.Event()
        thread = threading.Thread(target=self._read, args=(lane, request, stop, until, hold), daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, lane: str) -> None:
        """End a lane; pages of it that are already under way are dropped."""
        self._stops.pop(lane).set()

    def stop_if_running(self, lane: str) -> None:
        if lane in self._stops:
            self.stop(lane)

    def one_more(self) -> None:
        """Read one lane more at a time from now on."""
        self._free.release()

    @property
    def running(self) -> int:
        """How many lanes, those that wait for their turn included."""
        return len(self._stops)

    @property
    def hungry(self) -> bool:
        """Another lane is worth its thread: pages are waited for, and the gateway is why they take long.

        Where it answers at once, one lane is fastest: threads that compute wait for each other (a first load
        takes 15% longer with two, a reconcile with four).
        """
        return self._pace.is_slow(time.perf_counter())

    def __iter__(self) -> Iterator[Event]:
        while self._stops:
            event = self._next()
            if self._stops.get(event.lane) is not event.reader:
                self._events.task_done()
                continue
            if event.rows is None:
                del self._stops[event.lane]
            yield event
            self._events.task_done()

    def _next(self) -> Event:
        began = time.perf_counter()
        while True:
            try:
                event = self._events.get(timeout=_CHECK_SECONDS)
            except queue.Empty:
                self._check()
            else:
                self._pace.add(event, time.perf_counter() - began)
                return event

    def _read(
        self, lane: str, request: PageRequest, stop: threading.Event, until: Test | None, hold: Test | None
    ) -> None:
        while not self._free.acquire(timeout=_TURN_SECONDS):
            if stop.is_set() or self._closing.is_set():
                return
        try:
            request, error = self._read_lane(lane, request, stop, until, hold)
        finally:
            self._free.release()
        self._put(Event(lane, request, error=error, reader=stop))

    def _read_lane(
        self, lane: str, request: PageRequest, stop: threading.Event, until: Test | None, hold: Test | None
    ) -> tuple[PageRequest, BaseException | None]:
        """Put the lane's pages; returns the last request, and what ended the lane before its end."""
        following: PageRequest | None = request
        while following is not None and not stop.is_set() and not self._closing.is_set():
            request = following
            began, worked_before = time.perf_counter(), time.thread_time()
            try:
                rows = self._fetch(request)
            except BaseException as error:  # noqa: BLE001 (carried to the consumer, which raises it)
                return request, error
            took, worked = time.perf_counter() - began, time.thread_time() - worked_before
            self._put(Event(lane, request, rows, None, stop, took, worked))
            try:
                following = None if until is not None and until(rows) else rows.page.following
                holds = hold is not None and hold(rows)
            except Exception as error:  # noqa: BLE001 (else the consumer would wait for ever)
                return request, error
            if following == request:  # it leads to itself: whoever takes the page will say so
                following = None
            if holds:
                self._wait_until_handled(stop)
        return request, None

    def _wait_until_handled(self, stop: threading.Event) -> None:
        while self._events.unfinished_tasks and not stop.is_set() and not self._closing.is_set():
            with self._events.all_tasks_done:
                self._events.all_tasks_done.wait(0.05)

    def _put(self, event: Event) -> None:
        stop = event.reader
        assert stop is not None
        while not stop.is_set() and not self._closing.is_set():
            try:
                self._events.put(event, timeout=0.1)
            except queue.Full:
                continue
            return

    def _drain(self) -> None:
        while not self._events.empty():
            self._events.get_nowait()


def alone(call: Callable[[], T], check: Callable[[], None]) -> T:
    """What one call returns or raises, and what `check` raises, which is called while it is waited for: then
    the call is left behind, in a thread that ends with it."""
    answer: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answer.put((call(), None))
        except BaseException as error:  # noqa: BLE001 (carried to the caller, which raises it)
            answer.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    while True:
        try:
            found, error = answer.get(timeout=_CHECK_SECONDS)
        except queue.Empty:
            check()
            continue
        if error is not None:
            raise error
        return found  # type: ignore[return-value]


@dataclass(slots=True)
class Pace:
    """Where the time went since the last lane began, in seconds: of whoever takes the pages, `waited`; of the
    threads that read them, `worked` by the processor. `slow` is the gateway's part of the page that it
    answered soonest: others may have waited for our own threads."""

    began: float
    pages: int = 0
    waited: float = 0.0
    worked: float = 0.0
    slow: float = math.inf

    def add(self, event: Event, waited: float) -> None:
        self.waited += waited
        if event.rows is not None:
            self.pages += 1
            self.worked += event.worked
            self.slow = min(self.slow, event.took - event.worked)

    def is_slow(self, now: float) -> bool:
        """Pages are waited for more than half of the time, and half of that is the gateway's or more."""
        gateway_s = self.slow * self.pages
        return self.pages >= SAMPLE and self.waited * 2 > now - self.began and gateway_s > self.worked


def follow(
    fetch: Fetch,
    request: PageRequest | None,
    check: Callable[[], None] = lambda: None,
    hold: Test | None = None,
) -> Iterator[PageRows]:
    """The pages of one lane, read ahead; raises what the reading raised, and what `check` raises."""
    if request is None:
        return
    with Readers(fetch, check) as readers:
        readers.start("only", request, hold=hold)
        for event in readers:
            if event.error is not None:
                if isinstance(event.error, GatewayError):
                    event.error.request = event.request
                raise event.error
            if event.rows is not None:
                yield event.rows
