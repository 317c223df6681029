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
    assert configured("report", "daily", "--by", "team").code == 2
