"""An answer may take only so long altogether, headers included, however steadily it drips.

The read timeout bounds each wait for bytes; a server that sends one byte a minute, or one `100 Continue`
after the other, would pass it for ever.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from http.client import HTTPResponse
from typing import Any


def impatient(connection: type[Any], seconds: float, monotonic: Callable[[], float]) -> type[Any]:
    """A class of connections like `connection` whose answers raise TimeoutError when they take longer."""
    answers = partial(_Answer, seconds=seconds, monotonic=monotonic)
    return type(connection.__name__, (connection,), {"response_class": answers})


class _Answer(HTTPResponse):
    def __init__(self, sock: Any, *rest: Any, seconds: float, monotonic: Callable[[], float], **more: Any):
        super().__init__(sock, *rest, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock.makefile("rb", 0), monotonic() + seconds, monotonic))


class _Timed(io.RawIOBase):
    def __init__(self, raw: Any, deadline: float, monotonic: Callable[[], float]) -> None:
        self._raw, self._deadline, self._monotonic = raw, deadline, monotonic

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._monotonic() > self._deadline:
            raise TimeoutError("the answer came too slowly and was given up")
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
