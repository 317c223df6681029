"""The fuzzer finds nothing in a thinned set of inputs, and finds what is put in its way."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from harness import fuzz


@pytest.mark.slow
def test_random_answers_crash_nothing_and_every_item_is_accounted_for() -> None:
    found = fuzz.try_inputs(range(3000))
    assert found.failures == []
    assert found.items > 1000 and found.outcomes["read"] > 1000


def test_an_input_is_made_from_its_seed_alone() -> None:
    assert fuzz.make_body(random.Random(7)) == fuzz.make_body(random.Random(7))


def test_a_lost_item_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    transform = fuzz.transform_page

    def lose_a_job(*given, **named):
        rows = transform(*given, **named)
        return replace(rows, jobs=rows.jobs[1:])

    monkeypatch.setattr(fuzz, "transform_page", lose_a_job)
    failures = fuzz.try_inputs(range(100)).failures
    assert failures and all("items accounted for" in why for _, why in failures)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["configuration", "sql"])
def test_random_settings_and_statements_are_taken_or_refused_in_order(what: str, tmp_path: Path) -> None:
    found = fuzz.try_inputs(range(300), fuzz.OPENERS[what](tmp_path))
    assert found.failures == []
    assert len(found.outcomes) >= 2


def test_a_changed_database_is_noticed(tmp_path: Path) -> None:
    trial = fuzz.OPENERS["sql"](tmp_path)
    trial(1)
    with sqlite3.connect(tmp_path / "asked.db") as conn:
        conn.execute("INSERT INTO t VALUES (2)")
    conn.close()
    with pytest.raises(AssertionError, match="another one"):
        trial(1)
