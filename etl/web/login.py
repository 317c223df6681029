"""A form that turns the token into a cookie, for browsers."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from etl.web.guard import COOKIE, matches

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>bifrost-etl</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<form method="post" action="/login"><p>{said}</p>
<label>Token <input type="password" name="token" autocomplete="current-password" autofocus></label>
<button>Open</button></form></html>
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_LONGEST = 4096


async def login(request: Request) -> Response:
    """GET shows the form, POST checks it; the cookie ends with the browser's session."""
    if request.method != "POST":
        return HTMLResponse(_PAGE.format(said="This page needs the token of the service."), headers=_HEADERS)
    token = request.app.state.service.service.token.reveal()
    if not matches(await _token(request), token):
        return HTMLResponse(_PAGE.format(said="That is not the token."), 403, headers=_HEADERS)
    answer = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
    return answer


async def _token(request: Request) -> str:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST:
            return ""
    return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
