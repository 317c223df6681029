"""Documents: what strangers wrote stays text, in every format, and what is missing is said."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from etl.analytics.parquet_file import to_parquet
from etl.analytics.queries import Table
from etl.analytics.rendering import Document, render_document, show_value
from etl.errors import ConfigError
from etl.schema.views.columns import Column
from etl.spreadsheets import spreadsheet_safe
from etl.web.dashboard.formatting import short_time
from tests.conftest import require_module

WHEN = datetime(2026, 5, 1, 10, 0, 0, 250000, UTC)
COLUMNS = (
    Column("prompt", "text", "The prompt."),
    Column("jobs", "integer", "Jobs."),
    Column("cost", "money", "Cost."),
    Column("rate", "ratio", "Rate."),
    Column("at", "instant", "When."),
    Column("day", "day", "Day."),
    Column("late", "flag", "Late?"),
)
HOSTILE = "=cmd|' /C calc'!A0"
ROWS = (
    (HOSTILE, -5, -0.1, 0.25, WHEN, date(2026, 5, 1), True),
    ("<script>alert(1)</script> | `x` *y* [z](javascript:1)\nline", 1234567, 1e-7, None, None, None, False),
)
TABLE = Table("models", "By <model>", COLUMNS, ROWS)
ONE = Document("Title <b>", (TABLE,), "Europe/Berlin", WHEN, None, WHEN, ("Coverage gap in <a>",))
TWO = Document("Both", (TABLE, Table("empty", "None", COLUMNS, ())))


def test_csv_runs_nothing_and_keeps_numbers():
    head, first, second = csv.reader(io.StringIO(render_document(ONE, "csv")))
    assert head == [column.name for column in COLUMNS]
    assert first == [f"'{HOSTILE}", "-5", "-0.1", "0.25", "2026-05-01T10:00:00.250000Z", "2026-05-01", "true"]
    assert second[0] == ROWS[1][0] and second[1:3] == ["1234567", "0"]


def test_a_share_is_rounded_for_people_alone():
    rate = (Column("rate", "ratio", "Rate."), Column("average", "number", "Mean."))
    for share, text in ((1 / 3, "33.3%"), (2 / 3_000_000, "0.0%")):
        document = Document("Shares", (Table("t", "T", rate, ((share, 1.0),)),))
        assert float(render_document(document, "csv").splitlines()[1].split(",")[0]) == share
        assert json.loads(render_document(document, "json"))["tables"]["t"]["rows"][0]["rate"] == share
        assert text in render_document(document, "markdown")


def test_an_hour_that_comes_twice_is_told_apart():
    first, second = (datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (5, 6))
    texts = [show_value(moment, "instant", "America/New_York") for moment in (first, second)]
    assert texts == ["2026-11-01 01:30:00 -04:00", "2026-11-01 01:30:00 -05:00"]
    half = [datetime(2026, 4, 4, hour, minute, tzinfo=UTC) for hour, minute in ((14, 40), (15, 10))]
    texts = [show_value(moment, "instant", "Australia/Lord_Howe") for moment in half]
    assert texts == ["2026-04-05 01:40:00 +11:00", "2026-04-05 01:40:00 +10:30"]
    assert short_time(first, "America/New_York").endswith(":30:00 -04:00")
    spring = datetime(2026, 3, 8, 7, tzinfo=UTC)
    assert show_value(spring, "instant", "America/New_York") == "2026-03-08 03:00:00"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1"])
def test_dangerous_cells_are_quoted(text):
    assert spreadsheet_safe(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "cat", "1-2", "a=b", "it's"])
def test_other_cells_are_left_alone(text):
    assert spreadsheet_safe(text) == text


def test_json_has_values_as_they_are():
    document = json.loads(render_document(TWO, "json"))
    assert document["tables"]["empty"]["rows"] == []
    first = document["tables"]["models"]["rows"][0]
    assert first["prompt"] == HOSTILE and first["cost"] == -0.1 and first["late"] is True
    assert first["at"] == "2026-05-01T10:00:00.250000Z" and first["day"] == "2026-05-01"
    assert document["tables"]["models"]["columns"][0] == {
        "name": "prompt",
        "kind": "text",
        "comment": "The prompt.",
    }


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not any(name in ("src", "href") or name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data


def test_html_is_one_file_without_scripts():
    parser = Tags()
    parser.feed(render_document(ONE, "html"))
    allowed = "html head meta title style body h1 h2 p table thead tbody tr th td"
    assert parser.tags <= {*allowed.split(" ")}
    assert ROWS[1][0] in parser.text and "Coverage gap in <a>" in parser.text
    assert "from 2026-05-01 12:00:00" not in parser.text and "since 2026-05-01 12:00:00" in parser.text


def test_markdown_shows_markup_as_text():
    text = render_document(ONE, "markdown")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert "<script>" not in text and "\\`x\\`" in text and "\\*y\\*" in text and "\\|" in text
    assert "since 2026-05-01 12:00:00 (Europe/Berlin)" in text and "Coverage gap in &lt;a&gt;" in text


def test_parquet_is_read_back_by_its_own_library(tmp_path):
    parquet = require_module("pyarrow.parquet")
    exact = tuple(
        (*row[:2], Decimal(cost), *row[3:]) for row, cost in zip(ROWS, ("-0.1", "0.000001"), strict=True)
    )
    to_parquet(replace(ONE, tables=(replace(TABLE, rows=exact),)), tmp_path / "x.parquet")
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table.column_names == [column.name for column in COLUMNS]
    assert [tuple(row.values()) for row in table.to_pylist()] == list(exact)
    assert [str(field.type) for field in table.schema][1:5] == [
        "int64",
        "decimal128(18, 6)",
        "double",
        "timestamp[us, tz=UTC]",
    ]


def test_parquet_without_its_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigError) as caught:
        to_parquet(ONE, tmp_path / "x.parquet")
    assert caught.value.hint is not None and "bifrost-etl[parquet]" in caught.value.hint


def test_a_file_of_one_table_takes_one(tmp_path):
    with pytest.raises(ConfigError, match="one table") as caught:
        render_document(TWO, "csv")
    assert caught.value.hint is not None and "models, empty" in caught.value.hint
    with pytest.raises(ConfigError, match="one table"):
        to_parquet(TWO, tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "money", "-"),
        (1234.5, "money", "1,234.50"),
        (0.000125, "money", "0.000125"),
        (0.25, "ratio", "25.0%"),
        (8.25, "seconds", "8.25s"),
        (90.0, "seconds", "1m 30s"),
        (259_414.0, "seconds", "3d 3m"),
        (1234567, "integer", "1,234,567"),
        (2026, "any", "2026"),
        (True, "flag", "yes"),
        (WHEN, "instant", "2026-05-01 10:00:00"),
        (date(2026, 5, 1), "day", "2026-05-01"),
    ],
)
def test_values_in_words(value, kind, text):
    assert show_value(value, kind) == text
