"""Fragments that the script fetches: what changes while a page is open, and what comes later."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from etl.analytics import queries
from etl.analytics.history import UnknownJob, read_history
from etl.analytics.jobs import facts_of
from etl.analytics.rendering import show_value
from etl.analytics.standing import summary
from etl.analytics.status import SourceStatus, read_status
from etl.errors import ConfigError
from etl.web import health
from etl.web.dashboard.cells import Grid, make_grid
from etl.web.dashboard.context import Call, Missing
from etl.web.dashboard.overview import FEW, pace_charts
from etl.web.dashboard.table_specs import TABLE_SPECS
from etl.web.dashboard.tables import MANY, read_table
from etl.web.dashboard.tiles import open_tile


def render_fragment(call: Call) -> Response:
    """The fragment that the address names."""
    name = call.request.path_params["name"]
    if name == "freshness":
        found = source_freshness(call)
        values = {"sources": found, "summary": standings(found), "query": call.query}
        return call.page("part_freshness.html", values)
    if name == "tile":
        return call.page("part_tile.html", {"tile": open_tile(call.engine, call.chosen(), call.query)})
    if name in ("open", "open-all"):
        shown = open_grid(call, FEW if name == "open" else MANY)
        return call.page("part_grid.html", {"grid": shown, "view": TABLE_SPECS["open"]})
    if name == "job":
        return call.page(
            "part_job.html", {"query": call.query, "zone": call.reporting.timezone} | job_values(call)
        )
    view, table = read_table(call, FEW if name != "pace" else None)
    if name == "pace":
        charts = pace_charts(table, call.chosen(), call.query)
        return call.page("part_charts.html", {"charts": charts, "query": call.query})
    shown = make_grid(table, call.setting(), only=view.few)
    return call.page("part_grid.html", {"grid": shown, "view": view})


def open_grid(call: Call, rows: int) -> Grid:
    engine, chosen = call.engine, call.chosen(rows)
    key = ("open", rows, call.query.url("/"))
    table = call.desk.kept.get(key, lambda: queries.run_report(engine, "open", chosen))
    return make_grid(table, call.setting(), only=TABLE_SPECS["open"].few)


def source_freshness(call: Call) -> list[dict[str, Any]]:
    """Each source: how it stands, what is wrong with it, and when one that fails is tried again."""
    state, now = call.state, call.state.clock()
    engine, limits = call.engine, state.limits()
    read = call.desk.kept.get("freshness", lambda: read_status(engine, now))  # not where probes wait
    found = {status.source: status for status in read}
    judged = health.judge_sources(
        {name: limits.get(name, float("inf")) for name in {*found, *limits}}, found, now
    )
    return [
        {
            "name": name,
            "status": found.get(name),
            **one,
            "problem": state.redact(one["problem"] or ""),
            "next_try": _next_try(call, found.get(name)),
        }
        for name, one in sorted(judged.items())
    ]


def standings(sources: list[dict[str, Any]]) -> str:
    """`57 ok, 2 failing, 1 stale`."""
    return summary(one["state"] for one in sources)


def _next_try(call: Call, status: SourceStatus | None) -> str | None:
    """The moment as a clock of the reports' time zone shows it; None where nothing fails, or nobody knows."""
    moment = None if status is None or not status.failures else call.state.next_try(status)
    return None if moment is None else str(show_value(moment, "instant", call.chosen().zone))


def job_values(call: Call) -> dict[str, Any]:
    """The job in every source that has it; `live` while it may still change."""
    named = call.job_named()
    try:
        jobs = read_history(call.engine, *named)
    except UnknownJob as error:
        missing = Missing("There is no such job", str(error), None if error.nearest else error.hint)
        missing.near = error.nearest
        raise missing from None
    except ConfigError as error:
        raise Missing("There is no such job", str(error), error.hint) from None
    found = [(job, facts_of(call.engine, job.source, job.job_id)) for job in jobs]
    return {"page": "job", "jobs": found, "live": not all(facts.get("is_terminal") for _, facts in found)}
