"""Yesterday's spend by team, in one command."""

from __future__ import annotations

import shlex
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
