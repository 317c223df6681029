"""The dashboard: pages for people, drawn on the server. The web application mounts them by `routes()`.

Every handler is a plain function that has its turn in a thread (etl.web.turns). Values reach the
page only through templates that escape; the few lines of script fetch fragments made by the same templates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from etl.analytics import jobs
from etl.analytics.cancellation import Abandoned
from etl.errors import ConfigError, EtlError, SchemaMismatch
from etl.log import get
from etl.web.dashboard import downloads
from etl.web.dashboard.cells import grid
from etl.web.dashboard.context import HEADERS, STATIC, Call, Desk, Missing, NothingYet, state_of
from etl.web.dashboard.filters import EVERYTHING
from etl.web.dashboard.fragments import freshness, job_values, open_grid, part, standings
from etl.web.dashboard.overview import FEW, collect
from etl.web.dashboard.table_specs import VIEWS
from etl.web.dashboard.tables import MANY, read, table_values
from etl.web.dashboard.tiles import open_tile
from etl.web.turns import Crowded, make_page

Handler = Callable[[Call], Response]
ROWS = 50
#: What databases say when a statement is ended because it took too long.
_TOO_LONG = ("interrupted", "statement timeout", "max_statement_time", "maximum statement execution time")
_SHORTER = "Choose a shorter range, or fewer jobs by a source or model."
_AGAIN = "Pages are made a few at a time, so that the database has time for syncs. Ask again in a moment."


def routes() -> list[BaseRoute]:
    """Routes for `etl.web.app.build`; the last one answers whatever no other does."""
    desk = Desk()
    pages: dict[str, Handler] = {
        "/": _overview,
        "/jobs": _jobs,
        "/jobs.{form:str}": downloads.jobs,
        "/job": _job,
        "/job.json": downloads.job,
        "/tables/{name}.{form}": downloads.table,
        "/tables/{name}": _table,
        "/part/{name}": part,
    }
    return [
        *(Route(path, Page(desk, handler), methods=["GET"]) for path, handler in pages.items()),
        Mount("/static", _Static(directory=STATIC)),
        Route("/{path:path}", Page(desk, _nowhere), methods=["GET"]),
    ]


class _Static(StaticFiles):
    """Addresses carry a digest of the files: they may be kept for ever."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"})
        return response


# --- what can go wrong becomes a page that says what to do --------------------------------------


class Page:
    """An ASGI application of one handler: waits for its turn, and stops when its client has gone."""

    def __init__(self, desk: Desk, handler: Handler) -> None:
        self._desk, self._handler = desk, handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call.of(self._desk, Request(scope, receive))
        try:
            async with self._desk.pages.take():
                response = await make_page(lambda: _answer(call, self._handler), receive)
            if isinstance(response, StreamingResponse):
                async with self._desk.files.take():
                    await response(scope, receive, send)
                return
        except Abandoned:
            return
        except Crowded:
            response = _say(call, 503, "Too many pages are asked for at this moment", _AGAIN, retry=True)
            response.headers["Retry-After"] = "5"
        await response(scope, receive, send)


def _answer(call: Call, handler: Handler) -> Response:
    try:
        return handler(call)
    except Abandoned:
        raise
    except NothingYet:
        return _say(call, 503, "Nothing was synced yet", nothing=True)
    except Missing as error:
        return _say(call, 404, *error.args, near=error.near)
    except ConfigError as error:
        return _say(call, 400, str(error), error.hint)
    except SchemaMismatch as error:
        return _say(call, 503, "The database has another version of the tables", str(error), error.hint)
    except EtlError as error:
        if any(word in str(error) for word in _TOO_LONG):
            return _say(call, 503, "The question took too long", _SHORTER, str(error))
        return _say(call, 503, "The database does not answer", str(error), error.hint, retry=True)
    except Exception as error:  # noqa: BLE001 (a person looks at a page, not at a connection that ends)
        path = call.request.url.path
        get("dashboard").error("page_failed", path=path, error=type(error).__name__, exc_info=True)
        return _say(call, 500, "This page failed", "The log of the service says why.")


def _say(
    call: Call, status: int, what: str, why: str | None = None, hint: str | None = None, **more: Any
) -> Response:
    clean = state_of(call.request).redact
    values = {"nothing": False, "retry": False, "near": (), **more, "query": call.query, "page": "error"}
    values |= {"what": clean(what), "why": clean(why or ""), "hint": clean(hint or "")}
    small = call.request.url.path.startswith("/part/")
    return call.page("part_error.html" if small else "error.html", values, status)


def _nowhere(call: Call) -> Response:
    raise Missing("There is no such page", f"Nothing answers at {call.request.url.path[:200]}.")


# --- pages -------------------------------------------------------------------------------------


def _overview(call: Call) -> Response:
    engine, query, chosen = call.engine, call.query, call.chosen()
    found = call.desk.kept.get(query.url("/"), lambda: collect(engine, chosen, query))
    setting = call.setting()
    small: dict[str, Any] = {
        name: grid(getattr(found, name), setting, only=VIEWS[name].few, rows=FEW)
        for name in ("models", "failures")
    }
    volume = VIEWS[found.volume.name]
    sources = freshness(call)
    values = call.frame() | {
        "page": "overview",
        "found": found,
        "synced": any(source["status"] for source in sources),
        "volume": volume,
        "volume_grid": grid(found.volume, setting, only=volume.few, rows=ROWS),
        "grids": small,
        "views": VIEWS,
        "later": [view for view in VIEWS.values() if view.later],
        "sources": sources,
        "summary": standings(sources),
        "open": open_grid(call, FEW),
        "open_tile": open_tile(engine, chosen, query),
    }
    return call.page("overview.html", values)


def _jobs(call: Call) -> Response:
    choice = call.choice()
    count = jobs.count_jobs(call.engine, choice)
    pages = max(1, -(-count // ROWS))
    number = min(call.query.page, pages)
    table = jobs.list_jobs(call.engine, choice, (number - 1) * ROWS, ROWS)
    values = call.frame() | {
        "page": "jobs",
        "count": count,
        "first": (number - 1) * ROWS + 1,
        "last": (number - 1) * ROWS + len(table.rows),
        "number": number,
        "pages": pages,
        "grid": grid(table, call.setting(sort_path="/jobs", sorts=jobs.SORTS), only=VIEWS["jobs"].few),
    }
    return call.page("jobs.html", values)


def _job(call: Call) -> Response:
    try:
        return call.page("job.html", call.frame() | job_values(call))
    except Missing:  # not one id: several that begin so, or words of a prompt
        text = call.job_named()[0]
        everywhere = replace(call.query, text=text, since=EVERYTHING)
        if not jobs.count_jobs(call.engine, everywhere.choice(call.state.clock(), call.reporting)):
            raise
        return RedirectResponse(everywhere.url("/jobs"), 303, HEADERS)


def _table(call: Call) -> Response:
    view, table = read(call, MANY)
    return call.page("table.html", call.frame() | table_values(call, view, table))
