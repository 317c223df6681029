"""totals, cost, failures and latency by any dimension: the world's twelve jobs counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from etl.analytics.filters import Filter
from etl.analytics.grouped import GROUPED
from etl.analytics.queries import run_report
from etl.analytics.spend import BY
from etl.errors import ConfigError
from tests.analytics.test_reports import WEEK, columns
from tests.support.world import NOW


@pytest.fixture
def world(shared_world):
    return shared_world


def ask(world: Any, name: str, by: str, *wanted: str, **given: Any) -> list[tuple]:
    return columns(run_report(world, name, replace(WEEK, by=by, **given)), *wanted)


def test_totals_by_source_and_status(world):
    assert ask(world, "totals", "source", "source", "jobs", "completed", "failed", "cost") == [
        ("a", 7, 4, 2, 4.8),
        ("b", 3, 1, 0, 4.8),
    ]
    assert ask(world, "totals", "status", "status", "jobs", "cost") == [
        ("completed", 5, 9.6),
        ("failed", 2, None),
        ("queued", 2, None),
        ("in_progress", 1, None),
    ]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_sums_by_any_dimension_are_those_of_the_whole(world, zone):
    (whole,) = columns(run_report(world, "totals", WEEK), "jobs", "failed", "cost", "uncosted_jobs")
    for by in BY:
        rows = ask(world, "totals", by, "jobs", "failed", "cost", "uncosted_jobs", zone=zone)
        assert (sum(r[0] for r in rows), sum(r[1] for r in rows)) == whole[:2], by
        assert round(sum(r[2] or 0 for r in rows), 6) == whole[2], by
        assert sum(r[3] for r in rows) == whole[3], by


def test_cost_by_day_and_model(world):
    """j1 0.4, j2 0.4; j3 8 s of sora-2-pro, 1024p; j6 has no price for 1080p; j9 8 s of veo-3.1 in 4K."""
    found = ask(world, "cost", "model,day", "day", "model", "currency", "jobs", "cost", "uncosted_jobs")
    assert found == [
        (date(2026, 5, 1), "sora-2", "USD", 2, 0.8, 0),
        (date(2026, 5, 2), "sora-2-pro", "USD", 1, 4.0, 0),
        (date(2026, 5, 3), "sora-2", None, 1, None, 1),
        (date(2026, 5, 4), "veo-3.1", "USD", 1, 4.8, 0),
    ]


def test_failures_by_model(world):
    """j4: 8 s of sora-2 at 720p would have cost 0.8; j5 is of a model that nobody knows."""
    found = ask(world, "failures", "model", "model", "class", "jobs", "wasted_seconds", "would_be_cost")
    assert sorted(found) == [
        ("mystery", "unknown", 1, None, None),
        ("sora-2", "moderation", 1, 8.0, 0.8),
    ]


def test_latency_by_size(world):
    """Of 1280x720: 100 and 300 seconds."""
    found = ask(world, "latency", "size", "size", "jobs", "fastest", "p50", "p90", "slowest")
    assert found[0] == ("1280x720", 2, 100.0, 100.0, 300.0, 300.0)
    assert len(found) == 4


@pytest.mark.parametrize("name", GROUPED)
def test_every_dimension_of_every_report_and_an_empty_range(world, name):
    for by in (*BY, "week,virtual_key", "hour,team,model"):
        assert ask(world, name, by)
        table = run_report(world, name, Filter(NOW, since=NOW.replace(year=2031), by=by, zone="Asia/Kolkata"))
        assert table.rows == ()


def test_what_cannot_be_added_up(world):
    for name, by in (("open", "model"), ("totals", "weather"), ("cost", "team,team")):
        with pytest.raises(ConfigError):
            run_report(world, name, Filter(NOW, by=by))
