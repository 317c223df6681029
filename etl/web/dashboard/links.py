"""Where a cell of a table leads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from etl.schema.views.owners import DIMENSIONS
from etl.web.dashboard.filters import SLOWEST, PageQuery


def drill_link(name: str, row: Mapping[str, Any], query: PageQuery) -> str:
    table, owner = row[""][0], _owner_of(row)
    if owner == "":  # a list of jobs cannot be narrowed so
        return ""
    whose = {"owner": owner} if owner else {}
    if table in _COUNTING and name in _COUNTS | _RANKS:
        return _counted_jobs_link(name, row, query, whose)
    if name in DIMENSIONS:
        return query.url("/jobs", **whose)
    if name == "model" and row["model"]:
        return query.url("/jobs", model=(row["model"],), **whose)
    if name == "source":
        return query.url("/jobs", source=(row["source"],), **whose)
    if table == "failures" and name in ("class", "jobs"):
        code = row.get("error_code") or ""
        return query.url("/jobs", status=("failed",), failure=row["class"], code=code, **whose)
    if table == "remixes" and name == "jobs":
        return tree_url(row["root_job_id"], row["source"])
    if name in ("run", "last_run_id"):
        return f"/tables/pages?{urlencode({'run': row[name]})}"
    return ""


#: Tables whose rows count jobs by columns that jobs can be filtered by.
_COUNTING = {"models", "cost", "latency", "daily", "hourly", "minutely", "totals", "spend"}
_COUNTS = {"jobs", "completed", "failed"}
_RANKS = {"p50", "p90", "p95", "p99", "slowest"}


def _owner_of(row: Mapping[str, Any]) -> str | None:
    """As an address has it; None where the row has no owner, empty where a list cannot be narrowed by it."""
    owners = [name for name in DIMENSIONS if name in row]
    if not owners:
        return None
    return f"{owners[0]}:{row[owners[0]]}" if len(owners) == 1 and row[owners[0]] else ""


def _counted_jobs_link(name: str, row: Mapping[str, Any], query: PageQuery, whose: dict[str, Any]) -> str:
    """The jobs that were counted, or those that took at least as long as a percentile."""
    if "size" in row:  # jobs cannot be filtered by it
        return ""
    changes = {key: (row[key],) for key in ("source", "provider", "model", "status") if row.get(key)} | whose
    if row.get("day"):
        changes |= {"since": str(row["day"]), "until": str(row["day"])}
    if row.get("hour"):
        changes |= hour_of(row["hour"])
    if row.get("minute"):
        changes |= minute_of(row["minute"])
    for span in ("week", "month"):
        if row.get(span):
            changes |= span_of(span, row[span])
    if name in _RANKS:
        changes |= {"slower": f"{row[name]:g}", "sort": SLOWEST}
    elif name != "jobs" or row[""][0] in ("latency", "cost"):
        changes["status"] = ("failed",) if name == "failed" else ("completed",)
    return query.url("/jobs", **changes)


def span_of(span: str, first: date) -> dict[str, str]:
    """A week, a month or a day as an address has it, which counts its last day whole."""
    after = {"week": first + timedelta(days=7), "month": (first + timedelta(days=31)).replace(day=1)}
    return {"since": str(first), "until": str(after.get(span, first + timedelta(days=1)) - timedelta(days=1))}


def minute_of(start: datetime) -> dict[str, str]:
    """A minute as an address has it."""
    return {"since": f"{start:%Y-%m-%dT%H:%MZ}", "until": f"{start + timedelta(minutes=1):%Y-%m-%dT%H:%MZ}"}


def hour_of(start: datetime) -> dict[str, str]:
    """An hour as an address has it."""
    return {"since": f"{start:%Y-%m-%dT%H:%MZ}", "until": f"{start + timedelta(hours=1):%Y-%m-%dT%H:%MZ}"}


def job_url(job_id: str, source: str | None = None) -> str:
    return f"/job?{urlencode({'id': job_id} | ({'source': source} if source else {}))}"


def tree_url(job_id: str, source: str | None = None, path: str = "/tables/tree") -> str:
    return f"{path}?{urlencode({'id': job_id} | ({'source': source} if source else {}))}"
