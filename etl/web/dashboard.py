"""The dashboard: pages for people, drawn on the server. `routes()` mounts them in the web application.

Every handler is a plain function that Starlette runs in a thread. Values reach the page only through
templates that escape; the few lines of script fetch fragments made by the same templates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from etl.analytics import browsing, logbook, queries
from etl.analytics.history import read_history
from etl.analytics.queries import Table
from etl.analytics.rendering import Document, to_csv
from etl.analytics.reports import REPORTS
from etl.analytics.status import read_status
from etl.errors import ConfigError, EtlError
from etl.web import health
from etl.web.dashboard_cells import grid
from etl.web.dashboard_desk import HEADERS, STATIC, Desk, NothingYet, state_of
from etl.web.dashboard_overview import FEW, collect
from etl.web.dashboard_query import Query
from etl.web.dashboard_views import VIEWS, View
from etl.web.state import State

Handler = Callable[[Desk, Request, Query], Response]
ROWS = 50
#: Rows of a table that is shown whole; more are in the CSV.
MANY = 500
STATUSES = ("completed", "failed", "in_progress", "queued")


def routes() -> list[BaseRoute]:
    """Routes for `etl.web.app.build`."""
    desk = Desk()
    return [
        Route("/", _guarded(desk, _overview)),
        Route("/jobs", _guarded(desk, _jobs)),
        Route("/jobs.csv", _guarded(desk, _jobs_csv)),
        Route("/job", _guarded(desk, _job)),
        Route("/tables/{name}.csv", _guarded(desk, _csv)),
        Route("/tables/{name}", _guarded(desk, _table)),
        Route("/part/{name}", _guarded(desk, _part)),
        Mount("/static", _Static(directory=STATIC)),
    ]


class _Static(StaticFiles):
    """Addresses carry a digest of the files: they may be kept for ever."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"})
        return response


def _guarded(desk: Desk, handler: Handler) -> Callable[[Request], Response]:
    """What can go wrong becomes a page that says what to do."""

    def answer(request: Request) -> Response:
        query = Query.of(request.query_params)
        try:
            return handler(desk, request, query)
        except NothingYet:
            return _say(desk, request, query, 503, "Nothing was synced yet", None, "bifrost-etl sync")
        except ConfigError as error:
            return _say(desk, request, query, 400, str(error), error.hint)
        except EtlError as error:
            return _say(desk, request, query, 503, "The database cannot be asked right now", str(error))

    return answer


def _say(
    desk: Desk, request: Request, query: Query, status: int, what: str, why: str | None, run: str = ""
) -> Response:
    clean = state_of(request).redact
    values = {"query": query, "what": clean(what), "why": clean(why or ""), "run": run, "page": "error"}
    part = request.url.path.startswith("/part/")
    return desk.page("part_error.html" if part else "error.html", values, status)


# --- pages -------------------------------------------------------------------------------------


def _overview(desk: Desk, request: Request, query: Query) -> Response:
    state = state_of(request)
    engine, now, reporting = desk.engine(state), state.clock(), state.app().config.reporting
    found = collect(engine, query.chosen(now, reporting))
    grids = {
        name: grid(getattr(found, name), query, reporting.timezone, only=VIEWS[name].few, rows=FEW)
        for name in ("models", "latency", "failures")
    }
    values = _frame(desk, request, query, found.known_models) | {
        "page": "overview",
        "found": found,
        "daily": grid(found.daily, query, reporting.timezone, only=VIEWS["daily"].few),
        "grids": grids,
        "views": VIEWS,
        "later": [view for view in VIEWS.values() if view.later],
        "sources": _freshness(desk, request),
        "open": _open(desk, request, query, FEW),
    }
    return desk.page("overview.html", values)


def _frame(desk: Desk, request: Request, query: Query, models: tuple[str, ...] = ()) -> dict[str, Any]:
    """What the filter form offers."""
    state = state_of(request)
    return {
        "query": query,
        "now": state.clock(),
        "zone": state.app().config.reporting.timezone,
        "all_sources": logbook.source_names(desk.engine(state)),
        "all_models": models or query.model,
        "all_statuses": sorted({*STATUSES, *query.status}),
    }


def _freshness(desk: Desk, request: Request) -> list[dict[str, Any]]:
    """Each source: how it stands, and what is wrong with it."""
    state, now = state_of(request), state_of(request).clock()
    limits = state.limits()
    found = {status.source: status for status in read_status(desk.engine(state), now)}
    judged = health.judge({name: limits.get(name, float("inf")) for name in {*found, *limits}}, found, now)
    return [
        {"name": name, "status": found.get(name), **judged[name], "problem": _clean(state, judged[name])}
        for name in sorted(judged)
    ]


def _clean(state: State, judged: dict[str, Any]) -> str:
    return state.redact(judged["problem"] or "")


def _open(desk: Desk, request: Request, query: Query, rows: int | None) -> Any:
    state = state_of(request)
    reporting = state.app().config.reporting
    chosen = query.chosen(state.clock(), reporting, limit=rows or MANY)
    table = queries.run(desk.engine(state), "open", chosen)
    return grid(table, query, reporting.timezone, only=VIEWS["open"].few)


def _jobs(desk: Desk, request: Request, query: Query) -> Response:
    state = state_of(request)
    engine, reporting = desk.engine(state), state.app().config.reporting
    choice = query.choice(state.clock(), reporting)
    count = browsing.count_jobs(engine, choice)
    pages = max(1, -(-count // ROWS))
    number = min(query.page, pages)
    table = browsing.list_jobs(engine, choice, (number - 1) * ROWS, ROWS)
    values = _frame(desk, request, query) | {
        "page": "jobs",
        "count": count,
        "first": (number - 1) * ROWS + 1,
        "last": (number - 1) * ROWS + len(table.rows),
        "number": number,
        "pages": pages,
        "grid": grid(table, query, reporting.timezone, only=VIEWS["jobs"].few),
    }
    return desk.page("jobs.html", values)


def _job(desk: Desk, request: Request, query: Query) -> Response:
    state = state_of(request)
    job_id, source = request.query_params.get("id", "").strip(), request.query_params.get("source")
    if not job_id:
        raise ConfigError("no job was named")
    engine = desk.engine(state)
    jobs = read_history(engine, job_id, source or None)
    values = _frame(desk, request, query) | {
        "page": "job",
        "jobs": [(job, browsing.facts_of(engine, job.source, job.job_id)) for job in jobs],
    }
    return desk.page("job.html", values)


# --- tables ------------------------------------------------------------------------------------


def _table(desk: Desk, request: Request, query: Query) -> Response:
    view, table = _read(desk, request, query, MANY)
    zone = state_of(request).app().config.reporting.timezone
    values = _frame(desk, request, query) | {
        "page": view.name,
        "view": view,
        "run": _run(request),
        "ranged": table.ranged,
        "grid": grid(table, query, zone),
    }
    return desk.page("table.html", values)


def _part(desk: Desk, request: Request, query: Query) -> Response:
    if request.path_params["name"] == "freshness":
        sources = _freshness(desk, request)
        return desk.page("part_freshness.html", {"sources": sources, "now": state_of(request).clock()})
    if request.path_params["name"] == "open":
        return desk.page("part_grid.html", {"grid": _open(desk, request, query, FEW), "view": VIEWS["open"]})
    view, table = _read(desk, request, query, FEW)
    zone = state_of(request).app().config.reporting.timezone
    return desk.page("part_grid.html", {"grid": grid(table, query, zone, only=view.few), "view": view})


def _read(desk: Desk, request: Request, query: Query, limit: int | None) -> tuple[View, Table]:
    """The table that the address names. Raises ConfigError for another name."""
    state, name = state_of(request), request.path_params["name"]
    if name not in VIEWS or name not in (*REPORTS, *logbook.LOGS):
        raise ConfigError(f"there is no table {name!r}", hint=f"one of: {', '.join(VIEWS)}")
    engine = desk.engine(state)
    if name in logbook.LOGS:
        table = logbook.read_log(engine, name, query.source, run=_run(request), limit=limit)
        return VIEWS[name], table
    chosen = query.chosen(state.clock(), state.app().config.reporting, limit)
    return VIEWS[name], queries.run(engine, name, chosen)


def _run(request: Request) -> int | None:
    given = request.query_params.get("run", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


# --- files -------------------------------------------------------------------------------------


def _csv(desk: Desk, request: Request, query: Query) -> Response:
    view, table = _read(desk, request, query, None)
    return _file(view.name, iter([to_csv(Document(view.title, (table,)))]))


def _jobs_csv(desk: Desk, request: Request, query: Query) -> Response:
    state = state_of(request)
    choice = query.choice(state.clock(), state.app().config.reporting)
    tables = browsing.every_job(desk.engine(state), choice)
    first = next(tables)  # what goes wrong at once is still a page
    return _file("jobs", _lines(first, tables))


def _lines(first: Table, rest: Iterator[Table]) -> Iterator[str]:
    yield to_csv(Document("Jobs", (first,)))
    for table in rest:
        yield to_csv(Document("Jobs", (table,))).partition("\n")[2]


def _file(name: str, pieces: Iterator[str]) -> Response:
    headers = HEADERS | {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)
