"""What was asked and answered, kept in memory until it is clean."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from etl.extract.http import Reply

#: Of equal requests so many answers are kept: the first ones, and the latest.
ANSWERS = 4
_HEADERS = frozenset({"content-type", "date", "retry-after"})
_FAMILIES = ("x-ratelimit-", "x-bifrost-")


class RecordedExchange(NamedTuple):
    """A request below base_url and its answer. Names of headers are in lower case."""

    path: str
    query: dict[str, str]
    status: int
    headers: dict[str, str]
    body: bytes


class Tape:
    """Every answer that comes, from whatever thread. `on_full` is called when `allow` is used up."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, tuple[tuple[str, str], ...]], list[RecordedExchange]] = {}
        self._order: list[list[RecordedExchange]] = []
        self._lock = threading.Lock()
        self.asked = 0
        self._left: int | None = None
        self._on_full: Callable[[], object] | None = None

    def allow(self, requests: int, on_full: Callable[[], object]) -> None:
        self._left, self._on_full = requests, on_full

    def __call__(self, path: str, query: Mapping[str, str], reply: Reply) -> None:
        one = RecordedExchange(path, dict(query), reply.status, _relevant_headers(reply.headers), reply.body)
        with self._lock:
            self.asked += 1
            self._keep(one)
            if self._left is not None:
                self._left -= 1
                if self._left <= 0 and self._on_full is not None:
                    self._on_full()

    def _keep(self, one: RecordedExchange) -> None:
        key = (one.path, tuple(sorted(one.query.items())))
        if key not in self._kept:
            self._kept[key] = []
            self._order.append(self._kept[key])
        answers = self._kept[key]
        if answers and (answers[-1].status, answers[-1].body) == (one.status, one.body):
            return
        if len(answers) == ANSWERS:
            answers.pop()
        answers.append(one)

    @property
    def exchanges(self) -> list[RecordedExchange]:
        """In the order in which a request was first made; answers to equal requests as they came."""
        return [one for answers in self._order for one in answers]


def _relevant_headers(headers: Any) -> dict[str, str]:
    lowered = {name.lower(): value for name, value in headers.items()}
    return {n: v for n, v in lowered.items() if n in _HEADERS or n.startswith(_FAMILIES)}
