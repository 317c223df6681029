"""A form that turns the token into a session, for browsers."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from html import escape
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from etl.web import sessions
from etl.web.auth import address_of, retry_after, token_matches
from etl.web.throttle import Throttle

# Nothing is loaded: who has no token sees this page and no file of ours.
_STYLE = (
    ":root{color-scheme:light dark;--back:#f6f7fa;--panel:#fff;--ink:#181c2a;--dim:#566080;--edge:#9aa5bf;"
    "--accent:#4338ca;--on:#fff;--bad:#b42318}"
    "@media(prefers-color-scheme:dark){:root{--back:#0e1118;--panel:#161a24;--ink:#e6e9f2;--dim:#9ba6c2;"
    "--edge:#566078;--accent:#a9b4ff;--on:#161a24;--bad:#ff9d94}}"
    "*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;"
    "background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}"
    "main{width:min(24rem,100%);background:var(--panel);border:1px solid var(--edge);border-radius:12px;"
    "padding:1.6rem}h1{font-size:1.2rem;margin:0 0 .3rem}p{margin:0 0 1rem;color:var(--dim)}"
    "p.bad{color:var(--bad);font-weight:600}label{display:block;font-weight:550;margin-bottom:.3rem}"
    "input,button{font:inherit;width:100%;padding:.5rem .7rem;border-radius:8px;border:1px solid var(--edge)}"
    "input{background:var(--back);color:var(--ink);margin-bottom:.8rem}"
    "button{background:var(--accent);color:var(--on);border:0;font-weight:600;cursor:pointer}"
    ":focus-visible{outline:2px solid var(--accent);outline-offset:2px}"
)
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign in · bifrost-etl</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><style>{style}</style></head>
<body><main><h1>Bifrost videos</h1>
<p{tone}>{said}</p>
<form method="post" action="/login{where}">
<label for="token">Token</label>
<input id="token" type="password" name="token" autocomplete="current-password" required autofocus>
<button>Sign in</button></form></main></body></html>
"""
_DIGEST = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LONGEST = 4096


async def answer_login(request: Request) -> Response:
    """GET shows the form, POST checks it and goes on to `next`; the session ends with the browser, or after
    a few hours."""
    wanted = own_address(request.query_params.get("next", ""))
    if request.method != "POST":
        return _login_form("Show the token of the service: service.token in its configuration.", wanted)
    throttle: Throttle = request.app.state.throttle
    address = address_of(request.scope)
    shown = await _typed_token(request)  # before the throttle is asked: meanwhile others are answered
    if wait := throttle.wait(address):
        answer = _login_form("Too many wrong tokens were shown. Wait a minute.", wanted, 429)
        answer.headers.update(retry_after(wait))
        return answer
    token = request.app.state.service.service.token.reveal()
    if not token_matches(shown, token):
        throttle.failed(address)
        return _login_form("That is not the token.", wanted, 403)
    throttle.succeeded(address)
    return _signed_in(request, token, wanted)


def _signed_in(request: Request, token: str, wanted: str) -> Response:
    answer = RedirectResponse(wanted, 303)
    # Whoever lies in this header only makes a cookie of his own stricter.
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
    value = sessions.issue_cookie(token, time.time())
    answer.set_cookie(sessions.COOKIE, value, httponly=True, samesite="strict", secure=secure)
    return answer


def own_address(address: str) -> str:
    """The address if it is one of our own pages, else the first page: nobody is sent elsewhere."""
    parts = urlsplit(address if address.isprintable() else "")
    inside = parts.path.startswith("/") and not parts.netloc and address[1:2] not in ("/", "\\")
    return address if inside and parts.path != "/login" else "/"


def _login_form(said: str, wanted: str, status: int = 200) -> Response:
    where = "" if wanted == "/" else f"?next={quote(wanted, safe='')}"
    tone = ' class="bad" role="alert"' if status != 200 else ""
    page = _PAGE.format(style=_STYLE, said=escape(said), tone=tone, where=where)
    return HTMLResponse(page, status, headers=_HEADERS)


async def _typed_token(request: Request) -> str:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST:
            return ""
    return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
