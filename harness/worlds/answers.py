"""What goes over the wire: answers, errors, and the log of what was sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Item = Any
PROVIDER = "openai"


@dataclass
class Answer:
    """What came over the wire for one request. `ending`: body | cut | reset | timeout | refused."""

    status: int
    body: bytes
    kind: str = "application/json"
    ending: str = "body"
    zipped: bool = False


@dataclass
class Sent:
    """The log's entry of one answer. `items` are the jobs as sent, where it is a page or a job."""

    at: float
    path: str
    query: dict[str, str]
    status: int
    ending: str
    items: list[Item] | None = None
    lies: tuple[str, ...] = ()
    trouble: str | None = None
    poisoned: bool = False
    cached: bool = False
    size: int = 0

    @property
    def honest(self) -> bool:
        return not self.lies and self.trouble is None


class Refusal(Exception):
    """An answer with an error."""

    def __init__(self, status: int, message: str, kind: str | None = None) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


def error(status: int, message: str) -> Answer:
    body = {"is_bifrost_error": False, "error": {"message": message}, "extra_fields": {"provider": PROVIDER}}
    return Answer(status, json.dumps(body).encode())


HTML = b"<html><body>bifrost</body></html>"
NO_BY_ID = {
    "404": Refusal(404, "not found", "text/plain"),
    "html": Refusal(200, "<html></html>", "text/html"),
    "403": Refusal(403, "videos cannot be retrieved with this key"),
}
TROUBLES: dict[str, Callable[[], Answer]] = {
    "500": lambda: error(500, "internal error"),
    "502": lambda: Answer(502, HTML, "text/html"),
    "503": lambda: error(503, "unavailable"),
    "504": lambda: error(504, "request_timed_out"),
    "429": lambda: error(429, "rate_limited"),
    "401": lambda: error(401, "Unauthorized"),
    "transient_400": lambda: error(400, "request dropped: queue is full"),
    "empty_response": lambda: error(500, "empty response received from provider"),
    "html": lambda: Answer(200, HTML, "text/html"),
    "garbage": lambda: Answer(200, b'{"object":"list","data":[{"id":'),
    "empty_body": lambda: Answer(200, b""),
    "reset": lambda: Answer(0, b"", ending="reset"),
    "timeout": lambda: Answer(0, b"", ending="timeout"),
    "refused": lambda: Answer(0, b"", ending="refused"),
}
