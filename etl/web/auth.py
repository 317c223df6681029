"""Who may look. Without a token only this machine, under its own name: a web page from elsewhere that has
its own name point here (DNS rebinding) is refused. With a token, whoever shows it, or the cookie of a session
that was begun with it; wrong tokens are answered more and more slowly (etl.web.throttle)."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from math import ceil
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from etl.web import sessions
from etl.web.below_path import outside
from etl.web.throttle import Throttle

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: Open to everybody: a probe has no token, and learns nothing but that the process lives.
OPEN = frozenset({"/healthz"})


class AuthMiddleware:
    """ASGI middleware. `token` None: only requests addressed to `host` or to a loopback name pass."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        token: str | None,
        also_open: frozenset[str],
        throttle: Throttle,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app, self._token, self._throttle, self._clock = app, token, throttle, clock
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
            if _host_name(headers.get("host", "")) in self._hosts:
                return None
            return JSONResponse(
                {"error": "this service does not answer to that host name; use localhost"}, status_code=421
            )
        if sessions.is_valid(_session_cookie(headers), self._token, self._clock()):
            return None
        bearer = _bearer_token(headers)
        if bearer is not None:
            return self._judge_token(bearer, self._token, address_of(scope))
        if "text/html" in headers.get("accept", ""):  # a person with a browser
            form = outside(scope, f"/login{_back_to(scope)}")
            return RedirectResponse(form, 303)
        return _unauthorized_response()

    def _judge_token(self, shown: str, token: str, address: str) -> Response | None:
        if wait := self._throttle.wait(address):
            error = {"error": "too many wrong tokens came from here; try again later"}
            return JSONResponse(error, 429, headers=retry_after(wait))
        if not token_matches(shown, token):
            self._throttle.failed(address)
            return _unauthorized_response()
        self._throttle.succeeded(address)
        return None


def _unauthorized_response() -> Response:
    return JSONResponse(
        {"error": "a token is needed: Authorization: Bearer …"},
        status_code=401,
        headers={"WWW-Authenticate": "Bearer"},
    )


def address_of(scope: Scope) -> str:
    """The client's address; for a proxy on this machine, the one that it asks for."""
    return scope["client"][0] if scope.get("client") else ""


def retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(ceil(seconds))}


def token_matches(shown: str, token: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(shown.encode(), token.encode())


def _back_to(scope: Scope) -> str:
    """A query that brings whoever signs in back to the page that was asked for."""
    asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
    return "" if asked == "/" else f"?next={quote(asked, safe='')}"


def _host_name(header: str) -> str | None:
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def _bearer_token(headers: Headers) -> str | None:
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    return bearer.strip() if kind.lower() == "bearer" else None


def _session_cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(sessions.COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
