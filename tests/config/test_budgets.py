"""Budgets and thresholds as they are configured, and what is said of wrong ones."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from etl.analytics.spend import BY, SPANS
from etl.config import Alerts, Config, SpendBudget, load_config
from etl.config.budgets import DIMENSIONS
from etl.errors import ConfigError


def load(folder: Path, text: str) -> Config:
    file = folder / "c.yaml"
    file.write_text(text, encoding="utf-8")
    return load_config(file, {})


def test_a_budget_for_a_team(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "budgets:\n  - {name: growth, amount: 500.10, only: {team: Growth}}\n"
        "  - {name: all, amount: 9, currency: EUR, period: week}\nalerts: {spend_factor: null}\n",
    )
    assert config.budgets == (
        SpendBudget(name="growth", amount=Decimal("500.1"), only={"team": "Growth"}),
        SpendBudget(name="all", amount=Decimal(9), currency="EUR", period="week"),
    )
    assert config.alerts == Alerts(spend_factor=None)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("{name: a}", "amount is missing"),
        ("{name: a, amount: -5}", "expects an amount"),
        ("{name: a, amount: 0}", "expects more than 0"),
        ("{name: a, amount: 5, currency: euro}", "three capital letters"),
        ("{name: a, amount: 5, period: year}", "one of month, week, day"),
        ("{name: a, amount: 5, only: {weather: rain}}", "a budget is for jobs of"),
        ("{name: a, amount: 5, only: {team: ''}}", "budgets[0].only.team"),
        ("{name: a, amount: 5}\n  - {name: a, amount: 6}", "used twice"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, budget: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"c\.yaml") as caught:
        load(tmp_path, f"budgets:\n  - {budget}\n")
    assert said in str(caught.value)


def test_a_budget_may_be_for_all_that_spend_is_added_up_by() -> None:
    assert {name.replace("_", "-") for name in DIMENSIONS} == set(BY) - set(SPANS) - {"currency"}
