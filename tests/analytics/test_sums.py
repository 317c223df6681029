"""The line under a table: what adds up, each currency by itself, and the currency in every format."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from etl.analytics.filters import Filter
from etl.analytics.queries import Table, run_report
from etl.analytics.rendering import Document, to_csv, to_html, to_json, to_markdown, total_texts
from etl.analytics.sums import sum_rows
from etl.schema.views.columns import Column
from tests.analytics.test_reports import WEEK
from tests.support.world import NOW

_COST = (
    Column("model", "text", ""),
    Column("currency", "text", ""),
    Column("jobs", "integer", ""),
    Column("cost", "money", ""),
    Column("p50", "seconds", ""),
)


@pytest.fixture
def world(shared_world):
    return shared_world


def test_currencies_are_never_added_up():
    rows = [
        ("a", "USD", 2, Decimal("0.1"), 1.0),
        ("b", "EUR", 3, Decimal("7"), 2.0),
        ("c", "USD", 1, Decimal("0.2"), 3.0),
        ("d", None, 4, None, 4.0),
    ]
    assert sum_rows(_COST, rows) == (
        (None, "EUR", 3, Decimal("7"), None),
        (None, "USD", 3, Decimal("0.3"), None),
        (None, None, 4, None, None),
    )
    assert sum_rows(_COST, rows[:1]) == () and sum_rows(_COST, []) == ()


def test_amounts_and_shares_are_taken_anew():
    columns = (
        *(Column(name, "integer", "") for name in ("completed", "failed")),
        Column("failure_rate", "ratio", ""),
        Column("other_costs", "amounts", ""),
    )
    rows = [(3, 1, 0.25, "EUR 1.5, GBP 2"), (0, 4, 1.0, "EUR 1"), (0, 0, None, None)]
    assert sum_rows(columns, rows) == ((3, 5, 0.625, "EUR 2.5, GBP 2"),)


def test_the_line_under_a_report_is_of_all_rows_however_many_are_shown(world):
    (whole,) = run_report(world, "totals", WEEK).rows
    for name in ("daily", "models", "weekly", "usage"):
        table = run_report(world, name, replace(WEEK, limit=1))
        assert len(table.rows) == 1 and table.cut
        assert table.totals[0][-11:] == whole, name


def test_a_list_that_is_cut_has_no_sum(world):
    assert run_report(world, "jobs", Filter(NOW, limit=3)).totals == ()
    (line,) = run_report(world, "jobs", Filter(NOW)).totals
    assert Decimal("10.6") in line and "USD" in line


def test_the_currency_stands_in_every_format(world):
    table = run_report(world, "models", replace(WEEK, currency="USD"))
    document = Document("t", (table,))
    assert "cost (USD)" in to_html(document) and "| cost (USD) |" in to_markdown(document).replace("\\", "")
    head, first, *_ = to_csv(document).splitlines()
    assert head.endswith(",currency") and first.endswith(",USD")
    found = json.loads(to_json(document))["tables"]["models"]
    assert [c.get("currency") for c in found["columns"] if c["name"] == "cost"] == ["USD"]
    assert found["totals"][0]["jobs"] == 10 and found["totals"][0]["model"] is None
    assert "<tfoot>" in to_html(document) and "**total**" in to_markdown(document)


def test_where_a_column_tells_the_currency_no_heading_does(world):
    table = run_report(world, "cost", WEEK)
    assert "cost (" not in to_html(Document("t", (table,)))
    assert to_csv(Document("t", (table,))).splitlines()[0].count("currency") == 1
    assert total_texts(table, "UTC")[0][:3] == ["total", "", "USD"]


def test_log_money_is_in_dollars_whatever_is_reported_in():
    columns = (Column("team", "text", ""), Column("cost", "money", ""), Column("unnamed_cost", "money", ""))
    table = Table("spend", "", columns, (("a", Decimal(1), Decimal(2)),), currency="EUR")
    assert "cost (EUR)" in to_html(Document("t", (table,)))
    assert "unnamed_cost (USD)" in to_html(Document("t", (table,)))


def test_a_days_comment_says_the_zone_that_cut_it(world):
    for zone in ("UTC", "Europe/Berlin"):
        for name, by in (("daily", ""), ("weekly", ""), ("spend", "day"), ("cost", "week")):
            table = run_report(world, name, replace(WEEK, zone=zone, by=by))
            (day,) = (column for column in table.columns if column.kind == "day")
            assert day.comment.endswith(f"({zone})."), day.comment
            assert zone == "UTC" or "UTC" not in day.comment
