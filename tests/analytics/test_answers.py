"""Every view over the known world, compared with answers worked out by hand, on each database."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.adhoc_sql import run_statement
from etl.analytics.queries import convert_value
from etl.db.types import UtcDateTime
from etl.schema.views import create
from etl.schema.views.columns import scope_of_all_jobs
from etl.schema.views.dialects import make_dialect
from tests.support.world import NOW, at

VIEWS = {view.name: view for view in create.VIEWS}


@pytest.fixture
def world(shared_world):
    return shared_world


def rows(engine: sa.Engine, name: str, *columns: str, order: str = "1") -> list[tuple[Any, ...]]:
    """Columns of a view as of NOW: its own SQL, with the clock held still."""
    view = VIEWS[name]
    kinds = {column.name: column.kind for column in view.columns}
    with engine.connect() as conn:
        pg = conn.dialect.name == "postgresql"
        d = make_dialect(conn.dialect.name, now="CAST(:now AS timestamptz)" if pg else ":now")
        sql = f"SELECT {', '.join(columns)} FROM ({view.sql(d, scope_of_all_jobs(d))}) q ORDER BY {order}"
        text = sa.text(sql)
        if ":now" in sql:
            text = text.bindparams(sa.bindparam("now", NOW, type_=UtcDateTime()))
        return [
            tuple(_plain(convert_value(kinds[c], v)) for c, v in zip(columns, row, strict=True))
            for row in conn.execute(text)
        ]


def _plain(found: Any) -> Any:
    """Money is exact; here it is compared with numbers as people write them."""
    return float(found) if isinstance(found, Decimal) else found


def test_cost_of_each_job(world):
    found = rows(world, "job_facts", "job_id", "resolution", "price", "currency", "cost", "cost_state")
    assert {row[0]: row[1:] for row in found} == {
        "j1": ("720p", 0.1, "USD", 0.4, "billed"),
        "j2": ("720p", 0.1, "USD", 0.4, "billed"),
        "j3": ("1024p", 0.5, "USD", 4.0, "billed"),
        "j4": ("720p", 0.1, "USD", None, "failed"),
        "j5": ("720p", None, None, None, "failed"),
        "j6": ("1080p", None, None, None, "unpriced"),
        "j7": ("720p", 0.1, "USD", None, "open"),
        "j8": ("1024p", 0.5, "USD", None, "open"),
        "j9": ("4k", 0.6, "USD", 4.8, "billed"),
        "j10": ("720p", 0.1, "USD", None, "unknown"),
        "j11": ("720p", 0.15, "USD", 0.6, "billed"),
        "j12": ("720p", 0.1, "USD", 0.4, "billed"),
    }


def test_flags_and_days_of_each_job(world):
    found = rows(
        world, "job_facts", "job_id", "created_day", "created_hour", "total_seconds", "is_terminal",
        "is_late", "is_stalled", "is_unlisted",
    )  # fmt: skip
    facts = {row[0]: row[1:] for row in found}
    assert facts["j1"] == (date(2026, 5, 1), 10, 100.0, True, False, False, False)
    assert facts["j3"] == (date(2026, 5, 2), 23, 600.0, True, False, False, False)
    assert facts["j4"] == (date(2026, 5, 2), 9, None, True, None, False, False)
    assert facts["j6"] == (date(2026, 5, 3), 0, 1200.0, True, True, False, False)
    assert facts["j7"] == (date(2026, 5, 8), 10, None, False, True, True, False)
    assert facts["j8"] == (date(2026, 5, 8), 11, None, False, False, False, False)
    assert facts["j10"] == (date(2026, 5, 4), 9, None, False, None, False, True)


def test_observed_times_and_how_sure_they_are(world):
    """Queued at :10 (not there when run 1 began at :00), running at :40 (run 3 at :25 still saw it queued;
    run 4 failed), completed at 2:10.5 (no good run between, so seen running at :40 last)."""
    names = ("queue_seconds", "queue_error_seconds", "render_seconds", "render_error_seconds")
    found = {row[0]: row[1:] for row in rows(world, "job_facts", "job_id", *names)}
    assert found["j1"] == (30.0, 10.0 + 15.0, 90.5, 15.0 + 90.5)
    assert found["j2"] == found["j7"] == (None, None, None, None)
    seen = rows(world, "job_facts", "job_id", "started_seen_at", "ended_seen_at", "versions")
    assert {r[0]: r[1:] for r in seen}["j1"] == (at("05-01 10:00:40"), at("05-01 10:02:10.500"), 3)


def test_daily_jobs(world):
    found = rows(
        world, "daily_jobs", "day", "source", "model", "status", "jobs", "seconds", "cost", "uncosted_jobs",
        order="day, source, model, status",
    )  # fmt: skip
    day = lambda number: date(2026, 5, number)  # noqa: E731
    assert [row for row in found if row[0] >= day(1)] == [
        (day(1), "a", "sora-2", "completed", 2, 8.0, 0.8, 0),
        (day(2), "a", "mystery", "failed", 1, None, None, 0),
        (day(2), "a", "sora-2", "failed", 1, 8.0, None, 0),
        (day(2), "a", "sora-2-pro", "completed", 1, 8.0, 4.0, 0),
        (day(3), "a", "sora-2", "completed", 1, 4.0, None, 1),
        (day(4), "b", "sora-2", "queued", 1, 4.0, None, 0),
        (day(4), "b", "veo-3.1", "completed", 1, 8.0, 4.8, 0),
        (day(8), "a", "sora-2", "queued", 1, 4.0, None, 0),
        (day(8), "b", "sora-2-pro", "in_progress", 1, 8.0, None, 0),
    ]


def test_failures(world):
    names = ("class", "error_code", "error_message", "jobs", "wasted_seconds", "would_be_cost", "currency")
    assert rows(world, "failures", *names) == [
        ("moderation", "moderation_blocked", "No", 1, 8.0, 0.8, "USD"),
        ("unknown", None, "=odd()", 1, None, None, None),
    ]


def test_latency_is_by_nearest_rank(world):
    names = ("source", "model", "jobs", "fastest", "p50", "p90", "p95", "p99", "slowest")
    assert rows(world, "latency_percentiles", *names, order="1, 2") == [
        ("a", "sora-2", 3, 100.0, 300.0, 1200.0, 1200.0, 1200.0, 1200.0),
        ("a", "sora-2-pro", 1, *[600.0] * 6),
        ("b", "veo-3.1", 1, *[60.0] * 6),
        ("b", "veo-3.1-fast-generate-preview", 2, 10.0, 10.0, 20.0, 20.0, 20.0, 20.0),
    ]


def test_cache_daily(world):
    columns = [column.name for column in VIEWS["cache_daily"].columns]
    assert rows(world, "cache_daily", *columns) == [
        (date(2026, 5, 1), "a", 3, 2, 1, 1, pytest.approx(2 / 3), 22, 0.9),
    ]


def test_open_jobs_expect_what_comparable_ones_took(world):
    names = ("job_id", "age_seconds", "expected_seconds", "compared_with", "compared_jobs", "expected_at")
    found = rows(world, "open_jobs", *names, "is_late", "is_stalled")
    begun = NOW - timedelta(hours=2), NOW - timedelta(minutes=10)
    assert found == [
        (
            "j7",
            7200.0,
            100.0,
            "same model, size and length",
            2,
            begun[0] + timedelta(seconds=100),
            True,
            True,
        ),
        ("j8", 600.0, 600.0, "same model", 1, begun[1] + timedelta(seconds=600), False, False),
    ]


def test_expiring_assets(world):
    assert rows(world, "expiring_assets", "job_id", "seconds_left", "cost") == [("j9", 3600.0, 4.8)]


def test_remix_trees(world):
    names = (
        "root_job_id", "source", "is_orphan", "is_cycle", "jobs", "depth", "seconds", "cost", "currency",
        "uncosted_jobs",
    )  # fmt: skip
    assert rows(world, "remix_trees", *names) == [
        ("gone", "b", True, False, 1, 1, 8.0, 4.8, "USD", 0),
        ("j1", "a", False, False, 3, 2, 16.0, 4.8, "USD", 0),
        ("j11", "b", False, True, 2, 2, 8.0, 1.0, "USD", 0),
    ]
    members = rows(world, "remix_jobs", "root_job_id", "depth", "job_id", order="1, 2, 3")
    assert members == [
        ("gone", 1, "j9"), ("j1", 0, "j1"), ("j1", 1, "j2"), ("j1", 2, "j3"), ("j11", 2, "j11"),
        ("j11", 2, "j12"),
    ]  # fmt: skip


def test_a_job_that_remixes_itself_ends(own_world):
    with own_world.begin() as conn:
        conn.exec_driver_sql("UPDATE video_jobs SET remixed_from_job_id = 'j1' WHERE job_id = 'j1'")
    found = rows(own_world, "remix_trees", "root_job_id", "jobs", "depth", "is_cycle")
    assert ("j1", 3, 2, False) in found


def test_duplicate_requests(world):
    columns = [column.name for column in VIEWS["duplicate_requests"].columns]
    assert rows(world, "duplicate_requests", *columns) == [
        (
            "openai",
            "sora-2",
            "1280x720",
            4.0,
            "cat",
            2,
            2,
            1,
            4.0,
            0.4,
            "USD",
            at("05-01 10:00"),
            at("05-01 11:00"),
        ),
    ]


def test_sync_freshness(world):
    names = ("source", "age_seconds", "last_run_id", "last_run_status", "open_jobs", "gaps")
    assert rows(world, "sync_freshness", *names) == [
        ("a", 300.0, 5, "ok", 1, 0),
        ("b", None, None, None, 1, 1),
    ]


def test_history_as_of_a_moment(world):
    history = rows(
        world, "job_history", "job_id", "version", "valid_from", "valid_to", "is_current", order="1, 2"
    )
    first, second, third = (at(f"05-01 10:0{text}") for text in ("0:10", "0:40", "2:10.500"))
    assert [row[1:] for row in history if row[0] == "j1"] == [
        (1, first, second, False), (2, second, third, False), (3, third, None, True),
    ]  # fmt: skip
    asked = (
        "SELECT status FROM job_history WHERE job_id = 'j1' AND valid_from <= '2026-05-01 10:01:00'"
        " AND (valid_to > '2026-05-01 10:01:00' OR valid_to IS NULL)"
    )
    assert run_statement(world, asked).rows == (("in_progress",),)


def test_the_views_in_the_database_say_the_same(world):
    """What the other tests hold still, the views read from the database's clock; nothing else differs."""
    with world.connect() as conn:
        assert conn.scalar(sa.text("SELECT COUNT(*) FROM job_facts")) == 12
        assert conn.scalar(sa.text("SELECT SUM(jobs) FROM daily_jobs")) == 12
        assert conn.scalar(sa.text("SELECT COUNT(*) FROM open_jobs")) == 2
