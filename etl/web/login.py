"""A form that turns the token into a session, for browsers."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from etl.analytics.templates import open_templates
from etl.web import sessions
from etl.web.auth import address_of, retry_after, token_matches
from etl.web.below_path import html_outside, outside
from etl.web.throttle import Throttle

_HERE = Path(__file__).parent
#: Stands in the page itself: who has no token is given no other file of ours.
_STYLE = (_HERE / "login.css").read_text(encoding="utf-8")
_PAGES = open_templates(_HERE)
_DIGEST = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
}
_LONGEST = 4096


async def answer_login(request: Request) -> Response:
    """GET shows the form, POST checks it and goes on to `next`; the session ends with the browser, or after
    a few hours."""
    wanted = own_address(request.query_params.get("next", ""))
    if request.method != "POST":
        said = "Show the token of the service: service.token in its configuration."
        return _login_form(request, said, wanted)
    throttle: Throttle = request.app.state.throttle
    address = address_of(request.scope)
    shown = await _typed_token(request)  # before the throttle is asked: meanwhile others are answered
    if wait := throttle.wait(address):
        answer = _login_form(request, "Too many wrong tokens were shown. Wait a minute.", wanted, 429)
        answer.headers.update(retry_after(wait))
        return answer
    token = request.app.state.service.service.token.reveal()
    if not token_matches(shown, token):
        throttle.failed(address)
        return _login_form(request, "That is not the token.", wanted, 403)
    throttle.succeeded(address)
    return _signed_in(request, token, wanted)


def _signed_in(request: Request, token: str, wanted: str) -> Response:
    answer = RedirectResponse(outside(request.scope, wanted), 303)
    # A forged header only makes the forger's own cookie stricter.
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
    value = sessions.issue_cookie(token, time.time())
    path = outside(request.scope, "") or "/"
    answer.set_cookie(sessions.COOKIE, value, path=path, httponly=True, samesite="strict", secure=secure)
    return answer


async def answer_logout(request: Request) -> Response:
    """The browser forgets its session. One that was copied ends with its hours, or with the token."""
    answer = RedirectResponse(outside(request.scope, "/login"), 303)
    answer.delete_cookie(
        sessions.COOKIE, path=outside(request.scope, "") or "/", httponly=True, samesite="strict"
    )
    return answer


def own_address(address: str) -> str:
    """The address if it is one of our own pages, else the first page: nobody is sent elsewhere."""
    parts = urlsplit(address if address.isprintable() else "")
    inside = parts.path.startswith("/") and not parts.netloc and address[1:2] not in ("/", "\\")
    return address if inside and parts.path != "/login" else "/"


def _login_form(request: Request, said: str, wanted: str, status: int = 200) -> Response:
    form = _PAGES.get_template("login.html")
    page = form.render(style=_STYLE, said=said, wanted=wanted, failed=status != 200)
    return HTMLResponse(html_outside(request.scope, page), status, headers=_HEADERS)


async def _typed_token(request: Request) -> str:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST:
            return ""
    return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
