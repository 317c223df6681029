"""Lanes that are read ahead, in an order that a seed decides.

The product reads each lane in a thread of its own; which page comes first is the scheduler's mood. Here it
is drawn, so that a seed replays, and worlds see interleavings that threads show once a month.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from etl.pipeline.read_ahead import Event, Fetch, Test
from etl.records import PageRequest

_AHEAD = 5  # pages that may wait to be taken
_WITHOUT_LIMIT = 1000


@dataclass(eq=False)
class _Lane:
    name: str
    following: PageRequest | None
    until: Test | None
    hold: Test | None
    last: PageRequest = field(default_factory=PageRequest)
    holding: bool = False
    ended: bool = False
    stopped: bool = False


@dataclass
class Chooser:
    """Draws the interleaving of one world. `eager`: every lane is worth starting at once."""

    rng: random.Random
    eager: bool = True

    def readers(
        self, fetch: Fetch, check: Callable[[], None] = lambda: None, at_once: int = _WITHOUT_LIMIT
    ) -> Lanes:
        return Lanes(fetch, check, at_once, self)


@dataclass(eq=False)
class Lanes:
    """As `etl.pipeline.read_ahead.Readers`, without threads."""

    fetch: Fetch
    check: Callable[[], None]
    at_once: int
    chooser: Chooser
    _lanes: list[_Lane] = field(default_factory=list)
    _events: deque[tuple[_Lane, Event]] = field(default_factory=deque)

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *_: object) -> None:
        self._lanes.clear()

    def start(
        self, lane: str, request: PageRequest, until: Test | None = None, hold: Test | None = None
    ) -> None:
        self._lanes.append(_Lane(lane, request, until, hold))

    def stop(self, lane: str) -> None:
        found = next(each for each in reversed(self._lanes) if each.name == lane)
        found.stopped = True
        self._lanes.remove(found)

    def stop_if_running(self, lane: str) -> None:
        if any(each.name == lane for each in self._lanes):
            self.stop(lane)

    def one_more(self) -> None:
        self.at_once += 1

    @property
    def running(self) -> int:
        return len(self._lanes)

    @property
    def hungry(self) -> bool:
        return self.chooser.eager or self.chooser.rng.random() < 0.1

    def __iter__(self) -> Iterator[Event]:
        while self._lanes:
            lane, event = self._next()
            if lane.stopped:
                continue
            if event.rows is None:
                self._lanes.remove(lane)
            yield event

    def _next(self) -> tuple[_Lane, Event]:
        if not self._events:
            for lane in self._lanes:
                lane.holding = False  # all that was read is handled
        while not self._events or self._reads_on():
            self.check()
            self._read(self.chooser.rng.choice(self._ready()))
        return self._events.popleft()

    def _reads_on(self) -> bool:
        return bool(self._ready()) and len(self._events) < _AHEAD and self.chooser.rng.random() < 0.5

    def _ready(self) -> list[_Lane]:
        reading = [lane for lane in self._lanes if not lane.ended][: self.at_once]
        return [lane for lane in reading if not lane.holding]

    def _read(self, lane: _Lane) -> None:
        request = lane.following
        if request is None:
            self._put(lane, Event(lane.name, lane.last))
            return
        try:
            rows = self.fetch(request)
        except Exception as error:  # noqa: BLE001 (carried to whoever takes the pages, as in the product)
            self._put(lane, Event(lane.name, request, error=error))
            return
        self._events.append((lane, Event(lane.name, request, rows)))
        following = None if lane.until is not None and lane.until(rows) else rows.page.following
        lane.holding = lane.hold is not None and lane.hold(rows)
        lane.following = None if following == request else following
        lane.last = request

    def _put(self, lane: _Lane, event: Event) -> None:
        lane.ended = True
        self._events.append((lane, event))
