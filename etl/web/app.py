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
from etl.web.auth import AuthMiddleware
from etl.web.below_path import BelowPath, outside
from etl.web.headers import DefaultHeaders
from etl.web.state import ServiceState
from etl.web.throttle import Throttle

T = TypeVar("T")
_SIGNING_IN = (
    Route("/login", login.answer_login, methods=["GET", "POST"]),
    Route("/logout", login.answer_logout, methods=["POST"]),
)
#: Probes that ask the database at a time.
_PROBES = 4


def build_app(
    state: ServiceState, pages: Sequence[BaseRoute] = (), *, open_paths: Sequence[str] = ()
) -> Starlette:
    """The application; `state` stands at `request.app.state.service`.

    `pages` are further routes, `open_paths` those of them that need no token. A page that asks the
    database bounds how many of its like run at a time (etl.web.turns): all share one pool of threads.
    """
    token = state.service.token
    routes: list[BaseRoute] = [
        Route("/healthz", _answer_healthz),
        Route("/readyz", _answer_readyz),
        Route("/metrics", _answer_metrics),
        *(_SIGNING_IN if token is not None else ()),
        *pages,
    ]
    if not any(getattr(route, "path", None) == "/" for route in pages):
        routes.append(Route("/", _answer_index))
    throttle = Throttle()
    guard = Middleware(
        AuthMiddleware,
        host=state.service.host,
        token=None if token is None else token.reveal(),
        also_open=frozenset({"/login", *open_paths}),
        throttle=throttle,
    )
    below = Middleware(BelowPath, path=state.service.path)
    app = Starlette(routes=routes, middleware=[Middleware(DefaultHeaders), below, guard])
    app.state.service = state
    app.state.throttle = throttle
    app.state.probes = asyncio.Semaphore(_PROBES)
    return app


def _service_state(request: Request) -> ServiceState:
    state: ServiceState = request.app.state.service
    return state


async def _answer_healthz(request: Request) -> Response:
    """On the event loop, without a thread: it waits for nothing."""
    status, body = health.liveness(_service_state(request))
    return JSONResponse(body, status)


async def _answer_readyz(request: Request) -> Response:
    status, body = await _answer_probe(request, lambda: health.readiness(_service_state(request)))
    return JSONResponse(body, status)


async def _answer_metrics(request: Request) -> Response:
    text = await _answer_probe(request, _service_state(request).metrics.text)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _answer_probe(request: Request, ask: Callable[[], T]) -> T:
    probes: asyncio.Semaphore = request.app.state.probes
    async with probes:
        return await run_in_threadpool(ask)


async def _answer_index(request: Request) -> Response:
    return RedirectResponse(outside(request.scope, "/readyz"))
