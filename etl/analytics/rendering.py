"""Tables as documents: CSV, JSON, Markdown, HTML, Parquet. Much of what they hold was written by strangers.

Texts are escaped for where they go: a spreadsheet runs a cell that begins with = + - or @, Markdown and HTML
take markup, and a terminal obeys control characters. Numbers stay numbers. Instants are ISO 8601 in UTC;
Markdown and HTML, which people read, have them in the reporting time zone.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from etl.analytics.queries import Table
from etl.analytics.sums import money_currency
from etl.errors import ConfigError
from etl.log import make_visible, visible_json
from etl.schema.views.columns import Column, ValueKind
from etl.spreadsheets import spreadsheet_safe
from etl.times import duration_text, which_time

FORMATS = ("table", "csv", "json", "markdown", "html", "parquet")
#: What people read instead of a column's name, where the value is told as a length of time.
_LENGTHS = {
    "average_seconds": "average_time",
    "total_seconds": "took",
    "duration_seconds": "took",
    "wasted_seconds": "wasted_video",
    "avoidable_seconds": "avoidable_video",
    "seconds_left": "left",
}
_NUMBERS = ("integer", "number", "seconds", "money", "ratio")


@dataclass(frozen=True, slots=True)
class Document:
    """What is rendered: tables, and in words which range they cover and what is missing from it."""

    title: str
    tables: tuple[Table, ...]
    zone: str = "UTC"
    since: datetime | None = None
    until: datetime | None = None
    made_at: datetime | None = None
    notes: tuple[str, ...] = ()


def render_document(document: Document, form: str) -> str:
    """The document as text in one of FORMATS, except table and parquet. Raises ConfigError."""
    writers: dict[str, Callable[[Document], str]] = {
        "csv": to_csv,
        "json": to_json,
        "markdown": to_markdown,
        "html": to_html,
    }
    return writers[form](document)


def one_table(document: Document, form: str) -> Table:
    if len(document.tables) != 1:
        names = ", ".join(table.name for table in document.tables)
        raise ConfigError(f"a {form} file holds one table", hint=f"name one of its reports: {names}")
    return document.tables[0]


# --- for programs ------------------------------------------------------------------------------


def to_csv(document: Document) -> str:
    table = one_table(document, "csv")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    money = [table.currency] if table_currency(table) else []
    writer.writerow(
        [*(spreadsheet_safe(column.name) for column in table.columns), *(["currency"] * len(money))]
    )
    kinds = [column.kind for column in table.columns]
    writer.writerows([*map(_spreadsheet_cell, row, kinds), *money] for row in table.rows)
    return out.getvalue()


def table_currency(table: Table) -> str | None:
    """The currency of the table's money, where there is some and no column tells."""
    found = {money_currency(column, table.columns, table.currency) for column in table.columns}
    return table.currency if table.currency in found else None


def _spreadsheet_cell(value: Any, kind: ValueKind) -> Any:
    if isinstance(value, str):
        return spreadsheet_safe(value)
    if isinstance(value, float | Decimal):
        return shortest_number(value, exact=kind == "ratio")
    return value if value is None or type(value) is int else plain_json(value)


def shortest_number(value: float | Decimal, *, exact: bool = False) -> str:
    """To the millionth, which is all that money and seconds have, or exactly; never in powers of ten."""
    whole = f"{Decimal(str(value)):f}" if exact else f"{value:.6f}"
    text = whole.rstrip("0").rstrip(".") if "." in whole else whole
    return "0" if text == "-0" else text


def to_json(document: Document) -> str:
    tables = {
        table.name: {
            "columns": [describe_column(table, c) for c in table.columns],
            "rows": [_named(table, row) for row in table.rows],
            "totals": [_named(table, row) for row in table.totals],
            "cut": table.cut,
        }
        for table in document.tables
    }
    whole = {
        "title": document.title,
        "since": document.since,
        "until": document.until,
        "timezone": document.zone,
        "made_at": document.made_at,
        "notes": list(document.notes),
        "tables": tables,
    }
    return visible_json(json.dumps(whole, ensure_ascii=False, indent=2, default=plain_json)) + "\n"


def describe_column(table: Table, column: Column) -> dict[str, str]:
    """As JSON says it; money with its currency, unless a column of its own tells."""
    currency = money_currency(column, table.columns, table.currency)
    told = {"name": column.name, "kind": column.kind, "comment": column.comment}
    return told | ({"currency": currency} if currency else {})


def _named(table: Table, row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip((column.name for column in table.columns), row, strict=True))


def plain_json(value: Any) -> Any:
    """What JSON does not know, as text; money as the number that it is."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date) else str(value)


# --- for people --------------------------------------------------------------------------------


def show_value(value: Any, kind: ValueKind, zone: str = "UTC") -> str:
    """A value in words; a dash when there is none."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return _show_instant(value.astimezone(ZoneInfo(zone))) if value.tzinfo else str(value)
    if kind == "ratio":
        return f"{value:.1%}"
    if kind == "money":
        return _show_money(value)
    if kind == "seconds":
        return duration_text(float(value))
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) and kind == "integer" else str(value)


def _show_instant(here: datetime) -> str:
    return f"{here:%Y-%m-%d %H:%M:%S}{which_time(here)}"


def _show_money(value: float | Decimal) -> str:
    whole, _, parts = f"{value:,.6f}".partition(".")
    return f"{whole}.{parts.rstrip('0').ljust(2, '0')}"


def row_texts(table: Table, row: Sequence[Any], zone: str) -> list[str]:
    """A row in words. What has no price says so: it is not free."""
    missing = dict(zip((column.name for column in table.columns), row, strict=True)).get("uncosted_jobs")
    return [
        "unpriced"
        if missing and not value and column.name in ("cost", "spent")
        else show_value(value, "number" if column.name == "seconds" else column.kind, zone)
        for column, value in zip(table.columns, row, strict=True)
    ]


def heading_of(table: Table, column: Column) -> str:
    """Its name; money with its currency, unless a column of its own tells. Lengths of time say their unit
    themselves; the length of clips, `seconds`, is what is paid for and stays a number."""
    if column.kind == "seconds":
        return _LENGTHS.get(column.name, column.name.removesuffix("_seconds"))
    currency = money_currency(column, table.columns, table.currency)
    return f"{column.name} ({currency})" if currency else column.name


def total_texts(table: Table, zone: str) -> list[list[str]]:
    """The lines under a table, in words: "total" where there is room, nothing where nothing adds up."""
    lines = [["" if t == "-" else t for t in row_texts(table, row, zone)] for row in table.totals]
    for line in lines:
        if "" in line:
            line[line.index("")] = "total"
    return lines


def is_number(column: Column, rows: Sequence[Sequence[Any]], position: int) -> bool:
    """Whether a column is set flush right."""
    if column.kind != "any":
        return column.kind in _NUMBERS
    values = [row[position] for row in rows if row[position] is not None]
    return bool(values) and all(isinstance(value, int | float | Decimal) for value in values)


def document_notes(document: Document) -> list[str]:
    """What people must know beside the tables: the range, and what is missing from it."""
    since, until = (show_value(at, "instant", document.zone) for at in (document.since, document.until))
    ranged = any(table.ranged for table in document.tables)
    covers = f"Jobs created {_range_text(document.since, document.until, since, until)} ({document.zone})"
    return [*([covers] if ranged else []), *document.notes]


def _range_text(since: datetime | None, until: datetime | None, first: str, last: str) -> str:
    if since is None:
        return "at any time" if until is None else f"before {last}"
    return f"since {first}" if until is None else f"from {first} to {last}"


def to_markdown(document: Document) -> str:
    parts = [
        f"# {_escape_markdown(document.title)}",
        *(_escape_markdown(line) for line in document_notes(document)),
    ]
    for table in document.tables:
        if len(document.tables) > 1:
            parts.append(f"## {_escape_markdown(table.title)}")
        rows = [[_escape_markdown(text) for text in row] for row in _table_texts(table, document.zone)]
        rule = ["---:" if is_number(c, table.rows, i) else "---" for i, c in enumerate(table.columns)]
        head = [_escape_markdown(heading_of(table, column)) for column in table.columns]
        sums = [
            [f"**{_escape_markdown(t)}**" if t else "" for t in line]
            for line in total_texts(table, document.zone)
        ]
        grid = [head, rule, *rows, *sums]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in grid) if rows else "Nothing.")
    return "\n\n".join(parts) + "\n"


def _table_texts(table: Table, zone: str) -> list[list[str]]:
    return [row_texts(table, row, zone) for row in table.rows]


def _escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    flat = html.escape(make_visible(" ".join(text.split())), quote=False)
    return "".join(f"\\{c}" if c in "\\`*[]|#!~" else c for c in flat).replace("_", "\\_")


def to_html(document: Document) -> str:
    """One file without scripts, pictures or links."""
    from etl.analytics.templates import open_templates  # only for who wants HTML

    tables = [
        (
            table,
            _cell_classes(table),
            [heading_of(table, column) for column in table.columns],
            _table_texts(table, document.zone),
            total_texts(table, document.zone),
        )
        for table in document.tables
    ]
    template = open_templates(Path(__file__).parent).get_template("report.html")
    page = template.render(title=document.title, notes=document_notes(document), tables=tables)
    return make_visible(page) + "\n"


def _cell_classes(table: Table) -> list[str]:
    """Numbers stand to the right; numbers, ids and instants are never broken into lines."""
    whole = [c.kind in ("instant", "day") or c.name.endswith("_id") for c in table.columns]
    right = [is_number(c, table.rows, i) for i, c in enumerate(table.columns)]
    return ["n" if number else "k" if kept else "" for number, kept in zip(right, whole, strict=True)]
