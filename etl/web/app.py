"""The web application: health, metrics, and whatever pages are mounted beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from etl.web import health, login
from etl.web.auth import Guard
from etl.web.state import State
from etl.web.throttle import Throttle

T = TypeVar("T")
#: Probes that ask the database at a time.
_PROBES = 4


def build(state: State, pages: Sequence[BaseRoute] = (), *, open_paths: Sequence[str] = ()) -> Starlette:
    """The application; `state` stands at `request.app.state.service`.

    `pages` are further routes, `open_paths` those of them that need no token. A page that asks the
    database bounds how many of its like run at a time (etl.web.turns): all share one pool of threads.
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
    throttle = Throttle()
    guard = Middleware(
        Guard,
        host=state.service.host,
        token=None if token is None else token.reveal(),
        also_open=frozenset({"/login", *open_paths}),
        throttle=throttle,
    )
    app = Starlette(routes=routes, middleware=[guard])
    app.state.service = state
    app.state.throttle = throttle
    app.state.probes = asyncio.Semaphore(_PROBES)
    return app


def _state(request: Request) -> State:
    state: State = request.app.state.service
    return state


async def _healthz(request: Request) -> Response:
    """On the event loop, without a thread: it waits for nothing."""
    status, body = health.alive(_state(request))
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


async def _readyz(request: Request) -> Response:
    status, body = await _probe(request, lambda: health.ready(_state(request)))
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


async def _metrics(request: Request) -> Response:
    text = await _probe(request, _state(request).metrics.text)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _probe(request: Request, ask: Callable[[], T]) -> T:
    probes: asyncio.Semaphore = request.app.state.probes
    async with probes:
        return await run_in_threadpool(ask)


async def _index(request: Request) -> Response:
    return RedirectResponse("/readyz")
