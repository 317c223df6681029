"""A budget in the configuration, through every command that shows it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.support.command import Command

BUDGETS = """
budgets:
  - {name: everything, amount: 0.01}
  - {name: mistyped, amount: 5, currency: EUR, only: {team: Grwoth}}
"""


@pytest.fixture
def budgeted(configured: Command, tmp_path: Path) -> Command:
    (tmp_path / "bifrost-etl.yaml").write_text(BUDGETS, encoding="utf-8")
    assert configured("sync").code == 0
    return configured


def test_status_shows_budgets_and_what_is_over(budgeted: Command) -> None:
    done = budgeted("status")
    assert done.code == 0, done.all
    assert "budget everything: " in done.out and "of 0.01 USD for the month from" in done.out
    assert "(alerts.budget_used: 0.8)" in done.out
    assert "budget mistyped: no job that it covers was created in this period or before" in done.out
    found = budgeted("status", "--json").json
    first, second = found["budgets"]
    assert (first["budget"], first["currency"], first["amount"]) == ("everything", "USD", 0.01)
    assert first["spent"] > 0 and second["spent"] == 0
    assert [(a["threshold"], a["subject"]) for a in found["alerts"]] == [("budget_used", "budget everything")]


def test_a_probe_does_not_add_up_spend(budgeted: Command) -> None:
    found = budgeted("status", "--max-age", "1h", "--json").json
    assert found["budgets"] is None and found["alerts"] is None


def test_report_budgets(budgeted: Command) -> None:
    done = budgeted("report", "budgets")
    assert done.code == 0 and "everything" in done.out and "forecast: spend before today" in done.out
    (row, _) = budgeted("report", "budgets", "--format", "json").json["tables"]["budgets"]["rows"]
    assert row["used"] == pytest.approx(row["spent"] / 0.01, rel=1e-3)
    assert "budgets" in budgeted("report", "--list").out


def test_without_budgets_the_report_says_so(configured: Command) -> None:
    configured("sync")
    done = configured("report", "budgets")
    assert done.code == 0 and "No budget is configured" in done.out
    assert "budget" not in configured("status").out


def test_what_cannot_be_added_up_does_not_hide_how_fresh_the_sources_are(
    budgeted: Command, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "etl.db") as conn:
        conn.execute("DROP TABLE prices")
    done = budgeted("status")
    assert done.code == 0 and "1 ok" in done.out, done.all
    assert "budgets and alerts: error: " in done.err and "prices" in done.err
    found = budgeted("status", "--json").json
    assert found["sources"][0]["state"] == "ok" and found["budgets"] is None and found["alerts"] is None
    assert "prices" in found["outlook_error"]["message"]
