"""The web application: health, metrics, and whatever pages are mounted beside them."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from etl.web import health, login
from etl.web.guard import Guard
from etl.web.state import State


def build(state: State, pages: Sequence[BaseRoute] = (), *, open_paths: Sequence[str] = ()) -> Starlette:
    """The application; `state` stands at `request.app.state.service`.

    `pages` are further routes, `open_paths` those of them that need no token. Handlers are plain functions
    and run in threads: they may ask the database.
    """
    token = state.service.token
    routes: list[BaseRoute] = [
        Route("/healthz", _healthz),
        Route("/readyz", _readyz),
        Route("/metrics", _metrics),
        *([Route("/login", login.login, methods=["GET", "POST"])] if token is not None else []),
        *pages,
    ]
    if not any(getattr(route, "path", None) == "/" for route in pages):
        routes.append(Route("/", _index))
    guard = Middleware(
        Guard,
        host=state.service.host,
        token=None if token is None else token.reveal(),
        also_open=frozenset({"/login", *open_paths}),
    )
    app = Starlette(routes=routes, middleware=[guard])
    app.state.service = state
    return app


def _state(request: Request) -> State:
    state: State = request.app.state.service
    return state


def _healthz(request: Request) -> Response:
    status, body = health.alive(_state(request))
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


def _readyz(request: Request) -> Response:
    status, body = health.ready(_state(request))
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


def _metrics(request: Request) -> Response:
    return Response(_state(request).metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _index(request: Request) -> Response:
    return RedirectResponse("/readyz")
