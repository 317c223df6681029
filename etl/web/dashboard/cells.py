"""Tables for the page: each value as text, with what it links to. The templates escape all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl.analytics.queries import Table
from etl.analytics.rendering import is_number, show_value
from etl.analytics.sums import LOG_MONEY, money_currency
from etl.schema.views.columns import Column
from etl.schema.views.owners import DIMENSIONS
from etl.web.dashboard.filters import PageQuery
from etl.web.dashboard.formatting import clip_text, short_id, short_time, show_money, show_seconds
from etl.web.dashboard.links import drill_link, hour_of, job_url, minute_of, span_of, tree_url

_IDS = {"job_id", "root_job_id", "remixed_from_job_id", "after_id", "before_id"}
_LONG = {"prompt", "error_message", "payload", "reason", "last_error", "last_error_message"}
#: Characters of a long text in a row, in its title, and when it is unfolded; files have all of it.
_ROW, _TITLE, _WHOLE = 140, 400, 20_000
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
    "average_seconds": "average time",
    "age_seconds": "age",
    "seconds_left": "left",
    "expected_at": "expected finish",
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
#: Bars behind numbers: which column shows its share of the table's sum.
_SHARED = {"models": "cost", "failures": "jobs", "cost": "cost"}


@dataclass(frozen=True, slots=True)
class Cell:
    """`kind` names how it is drawn: text, number, status, progress, long, id, instant or flag.

    `note` follows in small; `more` is what unfolds; `share` (0 to 100) is drawn as a bar.
    """

    text: str
    kind: str = "text"
    href: str = ""
    title: str = ""
    value: Any = None
    note: str = ""
    more: str = ""
    share: float | None = None
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """`right`: numbers, set flush right. `href` sorts by this column; `sorted` is "ascending", "descending"
    or empty, as the page is sorted now."""

    label: str
    about: str
    right: bool
    href: str = ""
    sorted: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table ready to be drawn. `main` is the column that a phone shows beside the first one."""

    name: str
    title: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    cut: bool
    main: int
    totals: tuple[tuple[Cell, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """What every cell needs: the filters in force, the time zone, the currency of sums.

    `unfold`: long texts can be read whole. `hidden` columns are left out. `sort_path` is the page whose
    columns of `sorts` can be sorted by; None stands for all of them.
    """

    query: PageQuery
    zone: str
    currency: str
    unfold: bool = False
    hidden: tuple[str, ...] = ()
    sort_path: str = ""
    sorts: tuple[str, ...] | None = None


def make_grid(
    table: Table,
    setting: Setting,
    *,
    only: tuple[str, ...] = (),
    rows: int | None = None,
    first: tuple[str, ...] = (),
) -> Grid:
    """`only` chooses columns, `rows` how many at most; the columns of `first` go before all others: a phone
    shows two or three before it scrolls."""
    names = [column.name for column in table.columns]
    hidden = {*setting.hidden, *(_constant_columns(table, names, "provider") if only else ())}
    ordered = only or (*(name for name in first if name in names), *(n for n in names if n not in first))
    chosen = [name for name in dict.fromkeys(ordered) if name not in hidden]
    places = [names.index(name) for name in chosen]
    whole = _sum_of_column(table, names)
    drawn = []
    for row in table.rows[:rows]:
        known = dict(zip(names, row, strict=True)) | {"": (table.name, whole)}
        drawn.append(tuple(_make_cell(table.columns[place], known, setting) for place in places))
    cut = table.cut or (rows is not None and len(table.rows) > rows)
    headings = tuple(_column_heading(table, place, setting) for place in places)
    sums = tuple(_total_cells(table, line, places, setting) for line in table.totals)
    return Grid(table.name, table.title, headings, tuple(drawn), cut, _main_column(chosen, headings), sums)


def _main_column(names: list[str], headings: tuple[Heading, ...]) -> int:
    """What became of a job or a run, or else the first number."""
    if "status" in names[1:]:
        return names.index("status")
    return next((place for place, heading in enumerate(headings) if place and heading.right), 1)


def _total_cells(
    table: Table, line: tuple[Any, ...], places: list[int], setting: Setting
) -> tuple[Cell, ...]:
    """The line under a table: texts without links."""
    known = dict(zip((column.name for column in table.columns), line, strict=True))
    found = [_total_cell(table.columns[place], known, setting) for place in places]
    free = next((n for n, cell in enumerate(found) if not cell.text), None)
    if free is not None:
        found[free] = Cell("total")
    return tuple(found)


def _total_cell(column: Column, line: Mapping[str, Any], setting: Setting) -> Cell:
    value = line[column.name]
    if value is None:
        return Cell("")
    if column.kind == "money":
        own = money_currency(column, (), setting.currency) or ""
        return Cell(show_money(value, str(line.get("currency") or own)), "number")
    if column.kind == "seconds":
        return Cell(show_seconds(value), "number")
    return Cell(str(show_value(value, column.kind)), "number" if column.kind != "text" else "text")


def _constant_columns(table: Table, names: list[str], name: str) -> tuple[str, ...]:
    """The column, if it has nothing to tell rows apart by."""
    place = names.index(name) if name in names else None
    return (name,) if place is not None and len({row[place] for row in table.rows}) < 2 else ()


def _sum_of_column(table: Table, names: list[str]) -> float:
    shared = _SHARED.get(table.name)
    return sum(float(row[names.index(shared)] or 0) for row in table.rows) if shared else 0.0


def _column_heading(table: Table, place: int, setting: Setting) -> Heading:
    column = table.columns[place]
    label = _LABELS.get(column.name, column.name.replace("_", " "))
    right = column.name != "progress" and is_number(column, table.rows, place)
    if not setting.sort_path or (setting.sorts is not None and column.name not in setting.sorts):
        return Heading(label, column.comment, right)
    href = setting.query.url(
        setting.sort_path,
        sort=_next_sort(column.name, right or column.kind in ("instant", "day"), setting.query.sort),
    )
    state = {column.name: "ascending", f"-{column.name}": "descending"}.get(setting.query.sort, "")
    return Heading(label, column.comment, right, href, state)


def _next_sort(name: str, greatest_first: bool, now: str) -> str:
    """A second click turns the order around."""
    if now.removeprefix("-") == name:
        return name if now[0] == "-" else f"-{name}"
    return f"-{name}" if greatest_first else name


def _make_cell(column: Column, row: Mapping[str, Any], setting: Setting) -> Cell:
    value, name = row[column.name], column.name
    if column.kind == "money":
        return _money_cell(name, value, row, setting)
    if value is None:
        return Cell("–", "none")
    if name in _IDS:
        address = tree_url if name == "root_job_id" else job_url
        return Cell(short_id(value), "id", address(value, row.get("source")), clip_text(value, _TITLE))
    if name == "status":
        return _status_cell(str(value), row)
    if name == "progress":
        return Cell(f"{value:.0f}%", "progress", value=value)
    if name in _LONG:
        return _long_cell(str(value), setting)
    if column.kind == "instant":
        return _instant_cell(name, value, row, setting)
    if column.kind == "flag":
        return Cell("yes" if value else "", "flag")
    if column.kind == "day" and row[""][0] == "budgets":  # the end of a period, not a day of jobs
        return Cell(str(value), "day")
    if column.kind == "day":
        return Cell(str(value), "day", setting.query.url("/jobs", **span_of(name, value)))
    if column.kind in ("integer", "number", "seconds", "ratio"):
        text = show_seconds(value) if column.kind == "seconds" else show_value(value, column.kind)
        return Cell(text, "number", drill_link(name, row, setting.query), share=_share_of_whole(name, row))
    return Cell(clip_text(str(value), _ROW), "text", drill_link(name, row, setting.query), value=value)


def _money_cell(name: str, value: Any, row: Mapping[str, Any], setting: Setting) -> Cell:
    """Always with its currency. What has no price says so: it is not free."""
    missing = (row.get("uncosted_jobs") or 0) if name in ("cost", "spent") else 0
    unpriced = missing or row.get("cost_state") in ("unpriced", "unknown") or row.get("completed_at")
    unpriced = unpriced or (name == "avoidable_cost" and row["avoidable_jobs"])
    model = row.get("model")
    link = setting.query.url("/jobs", only="unpriced", **({"model": (model,)} if model else {}))
    link = "" if row.keys() & DIMENSIONS.keys() else link
    if value is None:
        if not unpriced:
            return Cell("–", "none")
        return Cell(
            "unpriced", "number", link if missing else "", "no price or no length is known", tone="warn"
        )
    currency = str(row.get("currency") or ("USD" if name in LOG_MONEY else setting.currency))
    note = f"+ {missing:,} unpriced" if missing else ""
    return Cell(
        show_money(value, currency),
        "number",
        link if note else "",
        note=note,
        share=_share_of_whole(name, row),
    )


def _status_cell(status: str, row: Mapping[str, Any]) -> Cell:
    """With what one asks next: how far, why, whether it is stuck."""
    tone, note = "", ""
    if row.get("is_stalled"):
        tone, note = "bad", "stalled"
    elif row.get("is_late"):
        tone, note = "warn", "late"
    elif status == "failed":
        note = clip_text(str(row.get("error_code") or ""), 40)
    elif row.get("progress") and not row.get("completed_at") and "is_late" not in row:
        note = f"{row['progress']:.0f}%"
    return Cell(status.replace("_", " "), "status", value=status, note=note, tone=tone)


def _long_cell(text: str, setting: Setting) -> Cell:
    short_text = clip_text(" ".join(text[: 2 * _ROW].split()), _ROW)
    more = clip_text(text, _WHOLE) if setting.unfold and len(text) > 60 else ""
    return Cell(short_text, "long", title="" if more else clip_text(text, _TITLE), more=more)


def _instant_cell(name: str, value: Any, row: Mapping[str, Any], setting: Setting) -> Cell:
    whole = f"{show_value(value, 'instant', setting.zone)} {setting.zone}"
    text, tone = short_time(value, setting.zone), ""
    if name == "expected_at" and row.get("age_seconds") is not None:
        left = row["expected_seconds"] - row["age_seconds"]
        text, tone = (
            (f"in {show_seconds(left)}", "") if left >= 0 else (f"{show_seconds(-left)} overdue", "warn")
        )
    if name in ("hour", "minute"):
        span = hour_of(value) if name == "hour" else minute_of(value)
        return Cell(text, "text", setting.query.url("/jobs", **span), whole)
    return Cell(text, "instant", title=whole, value=value, tone=tone)


def _share_of_whole(name: str, row: Mapping[str, Any]) -> float | None:
    table, whole = row[""]
    part = float(row[name] or 0)
    if name != _SHARED.get(table) or not whole:
        return None
    return round(100 * part / float(whole), 2)
