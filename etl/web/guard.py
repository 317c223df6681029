"""Who may look. Without a token only this machine, under its own name: a web page from elsewhere that has
its own name point here (DNS rebinding) is refused. With a token, whoever shows it."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "bifrost_etl_token"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: Open to everybody: a probe has no token, and learns nothing but that the process lives.
OPEN = frozenset({"/healthz"})


class Guard:
    """ASGI middleware. `token` None: only requests addressed to `host` or to a loopback name pass."""

    def __init__(self, app: ASGIApp, *, host: str, token: str | None, also_open: frozenset[str]) -> None:
        self._app, self._token = app, token
        self._hosts = LOOPBACK | {host}
        self._open = OPEN | also_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope), scope)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers, scope: Scope) -> Response | None:
        if self._token is None:
            if _host(headers.get("host", "")) in self._hosts:
                return None
            return JSONResponse({"error": "this name is not mine; ask for localhost"}, status_code=421)
        if any(matches(shown, self._token) for shown in _shown(headers)):
            return None
        if "text/html" in headers.get("accept", ""):  # a person with a browser
            return RedirectResponse(f"/login{_back_to(scope)}", 303, headers={"Cache-Control": "no-store"})
        return JSONResponse(
            {"error": "a token is needed: Authorization: Bearer …"},
            status_code=401,
            headers={"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"},
        )


def matches(shown: str, token: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(shown.encode(), token.encode())


def _back_to(scope: Scope) -> str:
    """Who has signed in comes back to the page that was asked for."""
    asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
    return "" if asked == "/" else f"?next={quote(asked, safe='')}"


def _host(header: str) -> str | None:
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def _shown(headers: Headers) -> list[str]:
    """The tokens that a request shows: as Bearer, and as cookie."""
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    shown = [bearer.strip()] if kind.lower() == "bearer" else []
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return shown
    return shown if cookie is None else [*shown, cookie.value]
