"""Where a cell of a table leads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from etl.web.dashboard.filters import SLOWEST, PageQuery


def drill_link(name: str, row: Mapping[str, Any], query: PageQuery) -> str:
    table = row[""][0]
    if row.keys() & UNFILTERED:  # a list of jobs cannot be narrowed by these
        return ""
    if (
        table in ("models", "cost", "latency", "daily", "hourly", "minutely", "totals")
        and name in _COUNTS | _RANKS
    ):
        return _counted_jobs_link(name, row, query)
    if name == "model" and row["model"]:
        return query.url("/jobs", model=(row["model"],))
    if name == "source":
        return query.url("/jobs", source=(row["source"],))
    if table == "failures" and name in ("class", "jobs"):
        return query.url("/jobs", status=("failed",), failure=row["class"], code=row.get("error_code") or "")
    if table == "remixes" and name == "jobs":
        return tree_url(row["root_job_id"], row["source"])
    if name in ("run", "last_run_id"):
        return f"/tables/pages?{urlencode({'run': row[name]})}"
    return ""


_COUNTS = {"jobs", "completed", "failed"}
#: What tables can be added up by, and jobs cannot be filtered by.
UNFILTERED = {"team", "customer", "virtual_key", "user_name", "business_unit", "average_seconds"}


_RANKS = {"p50", "p90", "p95", "p99", "slowest"}


def _counted_jobs_link(name: str, row: Mapping[str, Any], query: PageQuery) -> str:
    """The jobs that were counted, or those that took at least as long as a percentile."""
    changes: dict[str, Any] = {key: (row[key],) for key in ("source", "provider", "model") if row.get(key)}
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
