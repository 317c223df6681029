"""Tables for the page: each value as text, with what it links to. The templates escape all of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from etl.analytics.columns import Column
from etl.analytics.queries import Table
from etl.analytics.rendering import is_number, shown
from etl.web.dashboard_query import Query

_IDS = {"job_id", "root_job_id", "remixed_from_job_id", "after_id", "before_id"}
_LONG = {"prompt", "error_message", "payload", "reason", "last_error"}
_LABELS = {
    "job_id": "job",
    "root_job_id": "root",
    "remixed_from_job_id": "remix of",
    "created_at": "created",
    "completed_at": "completed",
    "expires_at": "expires",
    "started_at": "started",
    "total_seconds": "took",
    "duration_seconds": "took",
    "age_seconds": "age",
    "seconds_left": "left",
    "expected_at": "expected",
    "error_code": "code",
    "error_class": "error",
    "uncosted_jobs": "without price",
    "wasted_seconds": "wasted",
    "would_be_cost": "would have cost",
    "last_created_at": "last",
    "is_late": "late",
    "is_stalled": "stalled",
    "is_orphan": "orphan",
    "is_unlisted": "unlisted",
    "cost_state": "cost is",
    "seconds": "video",
    "error_message": "message",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """`kind` names how it is drawn: text, number, status, progress, long, id, instant or code."""

    text: str
    kind: str = "text"
    href: str = ""
    title: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table ready to be drawn."""

    name: str
    title: str
    headings: tuple[tuple[str, str, bool], ...]
    rows: tuple[tuple[Cell, ...], ...]
    cut: bool


def grid(
    table: Table, query: Query, zone: str, *, only: tuple[str, ...] = (), rows: int | None = None
) -> Grid:
    """`only` chooses columns, `rows` how many at most."""
    names = [column.name for column in table.columns]
    places = [names.index(name) for name in only] if only else range(len(names))
    heads = tuple(_heading(table, place) for place in places)
    drawn = []
    for row in table.rows[:rows]:
        known = dict(zip(names, row, strict=True))
        drawn.append(tuple(_cell(table.columns[place], known, query, zone) for place in places))
    cut = table.cut or (rows is not None and len(table.rows) > rows)
    return Grid(table.name, table.title, heads, tuple(drawn), cut)


def _heading(table: Table, place: int) -> tuple[str, str, bool]:
    column = table.columns[place]
    label = _LABELS.get(column.name, column.name.replace("_", " "))
    return label, column.comment, is_number(column, table.rows, place)


def _cell(column: Column, row: dict[str, Any], query: Query, zone: str) -> Cell:
    value, name = row[column.name], column.name
    if value is None:
        return Cell("–", "none")
    if name in _IDS:
        return Cell(short(value), "id", job_url(value, row.get("source")), value)
    if name == "status":
        return Cell(str(value).replace("_", " "), "status", value=value)
    if name == "progress":
        return Cell(f"{value:.0f}%", "progress", value=value)
    if name in _LONG:
        return Cell(str(value), "long", title=str(value))
    if column.kind == "instant":
        return Cell(short_time(value, zone), "instant", title=shown(value, "instant", zone), value=value)
    if column.kind == "flag":
        return Cell("yes" if value else "", "flag")
    if column.kind == "day":
        return Cell(str(value), "text", query.url("/jobs", since=str(value), until=str(value)))
    if column.kind in ("integer", "number", "seconds", "money", "ratio"):
        return Cell(_number(column, value, row), "number", _drill(name, row, query))
    return Cell(str(value), "text", _drill(name, row, query), value=value)


def _number(column: Column, value: Any, row: dict[str, Any]) -> str:
    if column.kind == "money":
        return money(value, str(row.get("currency") or ""))
    return span(value) if column.kind == "seconds" else shown(value, column.kind)


def _drill(name: str, row: dict[str, Any], query: Query) -> str:
    """Where a value leads: the jobs behind it."""
    if name == "model":
        return query.url("/jobs", model=(row["model"],))
    if name == "class":
        return query.url("/jobs", status=("failed",), failure=row["class"], code=row.get("error_code") or "")
    if name == "failed" and row.get("model"):
        return query.url("/jobs", model=(row["model"],), status=("failed",))
    if name == "run":
        return f"/tables/pages?{urlencode({'run': row['run']})}"
    return ""


def job_url(job_id: str, source: str | None = None) -> str:
    return f"/job?{urlencode({'id': job_id} | ({'source': source} if source else {}))}"


def short(job_id: str) -> str:
    """An id that can be told from others at a glance; the whole one is in the title."""
    bare = job_id.partition(":")[0]
    return bare if len(bare) <= 16 else f"{bare[:9]}…{bare[-5:]}"


def money(value: float | None, currency: str) -> str:
    if value is None:
        return "–"
    return f"{value:,.2f} {currency}".strip()


def span(seconds: float | None) -> str:
    """`8s`, `1m 42s`, `3h 10m`, `5d 2h`."""
    if seconds is None:
        return "–"
    if abs(seconds) < 60:
        return f"{seconds:.3g}s"
    whole = round(abs(seconds))
    for unit, size, part, smaller in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // smaller
            return (
                ("-" if seconds < 0 else "") + f"{whole // size:,}{unit}" + (f" {rest}{part}" if rest else "")
            )
    return f"{whole}s"


def short_time(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime("%d %b %H:%M:%S")
