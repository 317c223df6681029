"""The service below a path of a proxy: https://tools.example.com/videos/ instead of a host of its own.

The path is `service.path`, or what the proxy says with each request (X-Forwarded-Prefix). Whether the proxy
takes it off before it asks us makes no difference. Inside, all addresses are as without a proxy; they get the
path on their way out.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from etl.config.values import WEB_PATH

_HEADER = "x-forwarded-prefix"
_KEY = "etl.path"
#: In HTML that templates have escaped, this stands in a tag and nowhere else.
_ADDRESS = re.compile(r'\b(href|src|action|data-live|data-later)="/')


class BelowPath:
    """ASGI middleware, the outermost. Whoever lies in the header gets links that lead him nowhere."""

    def __init__(self, app: ASGIApp, path: str = "") -> None:
        self._app, self._path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = self._path or _told_path(Headers(scope=scope))
            scope = {**scope, _KEY: path, "path": _without(path, scope["path"])}
        await self._app(scope, receive, send)


def outside(scope: Scope | Any, address: str) -> str:
    """One of our own addresses as a browser has to ask for it."""
    return f"{scope.get(_KEY, '')}{address}"


def html_outside(scope: Scope | Any, text: str) -> str:
    """A page of ours whose links lead to where a browser has to ask."""
    path = scope.get(_KEY, "")
    return _ADDRESS.sub(rf'\1="{path}/', text) if path else text


def _told_path(headers: Headers) -> str:
    """Proxies behind each other each add theirs, the outermost first."""
    told = [part.strip().rstrip("/") for part in headers.get(_HEADER, "").split(",")]
    return "".join(part for part in told if WEB_PATH.fullmatch(part))


def _without(path: str, asked: str) -> str:
    if path and (asked == path or asked.startswith(f"{path}/")):
        return asked[len(path) :] or "/"
    return asked
