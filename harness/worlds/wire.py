"""The transport's seam: what stands where a pool of connections would, and answers from memory.

All above it is the product's own: reading the body, decoding, errors and their translation, retries.
"""

from __future__ import annotations

import io
from typing import Any

from urllib3 import HTTPResponse, exceptions

from harness.worlds.answers import Answer
from harness.worlds.gateway import Gateway


class Pool:
    """As much of urllib3's connection pool as the transport asks for."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def urlopen(self, _method: str, target: str, **_options: Any) -> HTTPResponse:
        pin = _options.get("headers", {}).get("x-bf-api-key")
        answer = self._gateway.answer(target, pin)
        if answer.ending in _ENDINGS:
            raise _ENDINGS[answer.ending](self)
        return HTTPResponse(
            body=io.BytesIO(answer.body),
            headers={
                "Content-Type": answer.kind,
                "Content-Length": str(_promised(answer)),
                **({"Content-Encoding": "gzip"} if answer.zipped else {}),
            },
            status=answer.status,
            preload_content=False,
            decode_content=False,
            enforce_content_length=False,
        )

    def close(self) -> None: ...


def _promised(answer: Answer) -> int:
    return len(answer.body) + (1000 if answer.ending == "cut" else 0)


_ENDINGS: dict[str, Any] = {
    "reset": lambda pool: exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset")),
    "timeout": lambda pool: exceptions.ReadTimeoutError(pool, "/v1/videos", "Read timed out."),
    "refused": lambda pool: exceptions.NewConnectionError(pool, "Connection refused"),
}
