"""Yesterday's spend by team, in one command."""

from __future__ import annotations

import pytest

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
