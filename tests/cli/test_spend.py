"""Yesterday's spend by team, in one command."""

from __future__ import annotations

import shlex
import sqlite3
from pathlib import Path

import pytest

from tests.docs.instructions import fences
from tests.support.command import Command


@pytest.mark.parametrize(
    "by", ["team", "customer", "virtual-key", "user", "business-unit", "model", "provider"]
)
def test_yesterdays_spend_in_one_command(configured: Command, by: str) -> None:
    configured("sync")
    done = configured("report", "spend", "--by", by, "--since", "yesterday", "--until", "yesterday")
    assert done.code == 0, done.err
    assert configured("report", "reconcile-cost", "--since", "7d").code == 0


def test_what_cannot_be_added_up_is_said(configured: Command) -> None:
    configured("sync")
    assert configured("report", "spend", "--by", "weather").code == 2
    refused = configured("report", "daily", "--by", "team")
    assert refused.code == 2 and "totals, cost, failures, latency, spend" in refused.err


@pytest.mark.parametrize("name", ["totals", "cost", "failures", "latency"])
def test_reports_by_model_and_week(configured: Command, name: str) -> None:
    configured("sync")
    done = configured("report", name, "--by", "model,week", "--format", "json")
    assert done.code == 0, done.err
    columns = [column["name"] for column in done.json["tables"][name]["columns"]]
    assert columns[:2] == ["model", "week"] and done.json["tables"][name]["rows"]


def test_every_command_of_the_page_runs_under_its_own_budgets(configured: Command, tmp_path: Path) -> None:
    blocks = fences("docs/spend.md")
    (budgets,) = [block.text for block in blocks if block.language == "yaml"]
    (tmp_path / "bifrost-etl.yaml").write_text(budgets, encoding="utf-8")
    assert configured("sync").code == 0
    lines = [line for block in blocks if block.language == "sh" for line in block.text.splitlines()]
    assert len(lines) == 6
    for line in lines:
        program, *arguments = shlex.split(line)
        done = configured(*arguments)
        assert program == "bifrost-etl" and done.code == 0, f"{line}\n{done.all}"


def test_what_has_no_price_is_not_free(configured: Command, tmp_path: Path) -> None:
    (tmp_path / "bifrost-etl.yaml").write_text("budgets: [{name: all, amount: 5}]\n", encoding="utf-8")
    configured("sync")
    with sqlite3.connect(tmp_path / "etl.db") as conn:
        conn.execute("DELETE FROM prices")
        conn.execute("UPDATE video_jobs SET created_at = strftime('%Y-%m-%d %H:%M:%f000', 'now')")
        ((done,),) = conn.execute("SELECT COUNT(*) FROM video_jobs WHERE status = 'completed'")
    assert configured("db", "recount").code == 0  # as who changes jobs by hand must
    for form in ("table", "markdown", "html"):
        for name in ("spend", "cost", "totals", "budgets"):
            shown = configured("report", name, "--format", form).out
            assert "unpriced" in shown and "0.00" not in shown, shown
    shown = configured("report", "spend", "--by", "model").out
    assert f"{done} completed jobs are not in the cost" in shown and "cost (USD)" in shown
    assert f"{done} completed jobs have no price: not in what is spent" in configured("status").out
    (row,) = configured("report", "totals", "--format", "json").json["tables"]["totals"]["rows"]
    assert row["cost"] is None and row["uncosted_jobs"] == done


def test_latency_says_how_many_jobs_it_leaves_out(configured: Command, tmp_path: Path) -> None:
    configured("sync")
    asked = ("report", "latency", "--since", "2000-01-01")
    assert "has no time" not in configured(*asked).out and "have no time" not in configured(*asked).out
    with sqlite3.connect(tmp_path / "etl.db") as conn:
        ids = "SELECT job_id FROM video_jobs WHERE status = 'completed' LIMIT 3"
        conn.execute(f"UPDATE video_jobs SET completed_at = NULL WHERE job_id IN ({ids})")
    for more in ((), ("--by", "model"), ("--format", "markdown")):
        assert "3 completed jobs have no time of completion, or one before their creation" in (
            configured(*asked, *more).out
        )


def test_whoever_asks_for_owners_hears_where_they_stand(configured: Command) -> None:
    """No log is read here; other questions get no such note."""
    configured("sync")
    assert "read_logs: true" in configured("report", "spend", "--since", "9999d").out
    assert "read_logs: true" in configured("report", "cost", "--by", "model,team", "--since", "9999d").out
    assert "read_logs" not in configured("report", "spend", "--by", "model", "--since", "9999d").out
