"""The dashboard: pages for people, drawn on the server. Mounted by `dashboard_routes()`.

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
from etl.analytics.alerts import SpendOutlook, read_outlook
from etl.analytics.budgets import budget_table
from etl.analytics.cancellation import Abandoned
from etl.errors import ConfigError, EtlError, SchemaMismatch
from etl.log import get_logger
from etl.web.below_path import outside
from etl.web.dashboard import downloads
from etl.web.dashboard.cells import make_grid
from etl.web.dashboard.context import HEADERS, STATIC, Call, Desk, Missing, NothingYet, state_of
from etl.web.dashboard.filters import EVERYTHING
from etl.web.dashboard.fragments import job_values, open_grid, render_fragment, source_freshness, standings
from etl.web.dashboard.overview import FEW, collect_overview
from etl.web.dashboard.table_specs import TABLE_SPECS
from etl.web.dashboard.tables import MANY, read_table, table_values
from etl.web.dashboard.tiles import open_tile
from etl.web.turns import Crowded, make_page

PageHandler = Callable[[Call], Response]
ROWS = 50
#: What databases say when a statement is ended because it took too long.
_TOO_LONG = ("interrupted", "statement timeout", "max_statement_time", "maximum statement execution time")
_SHORTER = "Choose a shorter range, or fewer jobs by a source or model."
_AGAIN = "Pages are made a few at a time, so that the database has time for syncs. Ask again in a moment."


def dashboard_routes() -> list[BaseRoute]:
    """Routes for `etl.web.app.build_app`; the last one answers whatever no other does."""
    desk = Desk()
    pages: dict[str, PageHandler] = {
        "/": _overview_page,
        "/jobs": _jobs_page,
        "/jobs.{form:str}": downloads.download_jobs,
        "/job": _job_page,
        "/job.json": downloads.download_job,
        "/tables/{name}.{form}": downloads.download_table,
        "/tables/{name}": _table_page,
        "/part/{name}": render_fragment,
    }
    return [
        *(Route(path, Page(desk, handler), methods=["GET"]) for path, handler in pages.items()),
        Mount("/static", _Static(directory=STATIC)),
        Route("/{path:path}", Page(desk, _no_such_page), methods=["GET"]),
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

    def __init__(self, desk: Desk, handler: PageHandler) -> None:
        self._desk, self._handler = desk, handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call.of(self._desk, Request(scope, receive))
        try:
            async with self._desk.pages.take():
                response = await make_page(lambda: _answer_call(call, self._handler), receive)
            if isinstance(response, StreamingResponse):
                async with self._desk.files.take():
                    await response(scope, receive, send)
                return
        except Abandoned:
            return
        except Crowded:
            response = _message_page(
                call, 503, "Too many pages are asked for at this moment", _AGAIN, retry=True
            )
            response.headers["Retry-After"] = "5"
        await response(scope, receive, send)


def _answer_call(call: Call, handler: PageHandler) -> Response:
    try:
        return handler(call)
    except Abandoned:
        raise
    except NothingYet:
        return _message_page(call, 503, "Nothing has been synced yet", nothing=True)
    except Missing as error:
        return _message_page(call, 404, *error.args, near=error.near)
    except ConfigError as error:
        return _message_page(call, 400, str(error), error.hint)
    except SchemaMismatch as error:
        return _message_page(
            call, 503, "The database has another version of the tables", str(error), error.hint
        )
    except EtlError as error:
        if any(word in str(error) for word in _TOO_LONG):
            return _message_page(call, 503, "The question took too long", _SHORTER, str(error))
        return _message_page(call, 503, "The database does not answer", str(error), error.hint, retry=True)
    except Exception as error:  # noqa: BLE001 (a person looks at a page, not at a connection that ends)
        path = call.request.url.path
        get_logger("dashboard").error("page_failed", path=path, error=type(error).__name__, exc_info=True)
        return _message_page(call, 500, "This page failed", "The log of the service says why.")


def _message_page(
    call: Call, status: int, what: str, why: str | None = None, hint: str | None = None, **more: Any
) -> Response:
    def clean(text: str) -> str:
        """The message as a sentence of its own: messages begin small, for they follow "error: "."""
        told = state_of(call.request).redact(text)
        return told[:1].upper() + told[1:]

    values = {"nothing": False, "retry": False, "near": (), **more, "query": call.query, "page": "error"}
    values |= {"what": clean(what), "why": clean(why or ""), "hint": clean(hint or "")}
    small = call.request.url.path.startswith("/part/")
    return call.page("part_error.html" if small else "error.html", values, status)


def _no_such_page(call: Call) -> Response:
    raise Missing("There is no such page", f"Nothing answers at {call.request.url.path[:200]}.")


# --- pages -------------------------------------------------------------------------------------


def _overview_page(call: Call) -> Response:
    engine, query, chosen = call.engine, call.query, call.chosen()
    found = call.desk.kept.get(query.url("/"), lambda: collect_overview(engine, chosen, query))
    outlook, missing = _outlook_of(call)
    setting = call.setting()
    small: dict[str, Any] = {
        name: make_grid(getattr(found, name), setting, only=TABLE_SPECS[name].few, rows=FEW)
        for name in ("models", "failures")
    }
    volume = TABLE_SPECS[found.volume.name]
    reads_log = any(source.reads_log for source in call.state.app().config.sources)
    sources = source_freshness(call)
    values = call.frame() | {
        "page": "overview",
        "found": found,
        "synced": any(source["status"] for source in sources),
        "volume": volume,
        "volume_grid": make_grid(found.volume, setting, only=volume.few, rows=ROWS),
        "grids": small
        | {"budgets": make_grid(budget_table(outlook.budgets), setting, only=TABLE_SPECS["budgets"].few)},
        "alerts": outlook.raised,
        "missing": missing,
        "views": TABLE_SPECS,
        "later": [view for view in TABLE_SPECS.values() if view.later and (reads_log or not view.of_log)],
        "sources": sources,
        "summary": standings(sources),
        "open": open_grid(call, FEW),
        "open_tile": open_tile(engine, chosen, query),
    }
    return call.page("overview.html", values)


def _outlook_of(call: Call) -> tuple[SpendOutlook, str | None]:
    """Budgets and alerts, or why they are missing: how fresh the sources are is shown without them."""
    engine, config, of_now = call.engine, call.state.app().config, call.of_now()
    try:
        return call.desk.kept.get("outlook", lambda: read_outlook(engine, config, of_now)), None
    except Abandoned:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, the sources are known)
        why = call.state.redact(f"{type(error).__name__}: {error}")
        get_logger("dashboard").warning("outlook_failed", error=why)
        return SpendOutlook((), ()), f"Budgets and alerts could not be read: {why}"


def _jobs_page(call: Call) -> Response:
    choice, engine, kept = call.choice(), call.engine, call.desk.kept
    asked = call.query.url("/jobs")
    count = kept.get(("count", asked), lambda: jobs.count_jobs(engine, choice))
    pages = max(1, -(-count // ROWS))
    number = min(call.query.page, pages)
    start = (number - 1) * ROWS
    table = kept.get((asked, start), lambda: jobs.list_jobs(engine, choice, start, ROWS))
    values = call.frame() | {
        "page": "jobs",
        "count": count,
        "first": start + 1,
        "last": start + len(table.rows),
        "number": number,
        "pages": pages,
        "grid": make_grid(
            table, call.setting(sort_path="/jobs", sorts=jobs.SORTS), only=TABLE_SPECS["jobs"].few
        ),
    }
    return call.page("jobs.html", values)


def _job_page(call: Call) -> Response:
    try:
        return call.page("job.html", call.frame() | job_values(call))
    except Missing:  # not one id: several that begin so, or words of a prompt
        text = call.job_named()[0]
        everywhere = replace(call.query, text=text, since=EVERYTHING)
        if not jobs.count_jobs(call.engine, everywhere.choice(call.state.clock(), call.reporting)):
            raise
        return RedirectResponse(outside(call.request.scope, everywhere.url("/jobs")), 303, HEADERS)


def _table_page(call: Call) -> Response:
    view, table = read_table(call, MANY)
    return call.page("table.html", call.frame() | table_values(call, view, table))
