"""The fuzzer finds nothing in a thinned set of inputs, and finds what is put in its way."""

from __future__ import annotations

import random
from dataclasses import replace

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
