"""`report spend --by` one or several dimensions: figures by hand, on each database, in a time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.db.engine import write_transaction
from etl.errors import ConfigError
from etl.schema.tables import prices, video_jobs
from tests.support.feed_history import Writer, add_source

NOW = datetime(2026, 3, 10, tzinfo=UTC)
#: Model, status, size, creation (UTC), seconds. In Berlin the second one is made on 2 March, a Monday.
JOBS = (
    ("alpha", "completed", "1280x720", datetime(2026, 3, 1, 12, 0, tzinfo=UTC), 4.0),
    ("alpha", "completed", "1280x720", datetime(2026, 3, 1, 23, 30, tzinfo=UTC), 8.0),
    ("beta", "failed", "720x1280", datetime(2026, 3, 2, 9, 0, tzinfo=UTC), 8.0),
    ("gamma", "completed", "720x1280", datetime(2026, 3, 3, 9, 0, tzinfo=UTC), 8.0),  # no price
)


@pytest.fixture
def filled(engine: sa.Engine) -> sa.Engine:
    """alpha costs 0.5 a second, beta 1, gamma nobody knows."""
    writer = Writer(engine, add_source(engine, "main"))
    writer.step(new=len(JOBS), changes=0)
    with write_transaction(engine) as conn:
        conn.execute(sa.text("DELETE FROM job_requests"))
        conn.execute(sa.delete(prices))
        book = {"provider": "*", "resolution": "*", "unit": "second", "currency": "USD", "origin": "config"}
        book["valid_from"] = datetime(2026, 1, 1, tzinfo=UTC)
        for model, price in (("alpha", Decimal("0.5")), ("beta", Decimal(1))):
            conn.execute(sa.insert(prices).values(**book, model_pattern=model, price=price))
        ids = list(conn.scalars(sa.select(video_jobs.c.job_id).order_by(video_jobs.c.job_id)))
        for job_id, (model, status, size, at, seconds) in zip(ids, JOBS, strict=True):
            facts = {"provider": "openai", "model": model, "status": status, "settled": True, "size": size}
            facts |= {"created_at": at, "completed_at": at, "seconds": seconds}
            conn.execute(sa.update(video_jobs).where(video_jobs.c.job_id == job_id).values(**facts))
    return engine


def spend(engine: sa.Engine, by: str, *wanted: str) -> list[tuple[Any, ...]]:
    table = run_report(engine, "spend", Filter(NOW, by=by, zone="Europe/Berlin"))
    names = [column.name for column in table.columns]
    return [tuple(row[names.index(name)] for name in wanted) for row in table.rows]


def test_cost_by_model_over_time(filled: sa.Engine) -> None:
    """What is not priced is named beside the cost, never a zero."""
    found = spend(filled, "day,model", "day", "model", "jobs", "cost", "uncosted_jobs")
    assert found == [
        (date(2026, 3, 1), "alpha", 1, Decimal("2"), 0),
        (date(2026, 3, 2), "alpha", 1, Decimal("4"), 0),
        (date(2026, 3, 2), "beta", 1, None, 0),
        (date(2026, 3, 3), "gamma", 1, None, 1),
    ]


@pytest.mark.parametrize(
    ("by", "column", "expected"),
    [
        ("week", "week", [(date(2026, 2, 23), 1, Decimal(2)), (date(2026, 3, 2), 3, Decimal(4))]),
        ("month", "month", [(date(2026, 3, 1), 4, Decimal(6))]),
        ("source", "source", [("main", 4, Decimal(6))]),
        ("status", "status", [("completed", 3, Decimal(6)), ("failed", 1, None)]),
        ("size", "size", [("1280x720", 2, Decimal(6)), ("720x1280", 2, None)]),
    ],
)
def test_each_dimension(filled: sa.Engine, by: str, column: str, expected: list[Any]) -> None:
    assert spend(filled, by, column, "jobs", "cost") == expected


@pytest.mark.parametrize("by", ["moon", "team,", "team,team"])
def test_what_is_no_dimension(filled: sa.Engine, by: str) -> None:
    with pytest.raises(ConfigError):
        spend(filled, by, "jobs")
