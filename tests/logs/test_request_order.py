"""Rows of the gateway's log in the order in which they changed: what a destination reads them by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load.job_requests import LogBatch, write_requests
from etl.log_records import LogRow
from etl.schema.tables import job_requests
from tests.support.feed_history import add_source

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def row(request_id: str, minutes: int, status: str = "success", **more: Any) -> LogRow:
    at = NOON + timedelta(minutes=minutes)
    return LogRow(request_id, at, "video_generation", status, "row", **{"job_id": "video_1", **more})


def store(engine: sa.Engine, source: int, *rows: LogRow, at: datetime = NOON) -> None:
    with write_transaction(engine) as conn:
        write_requests(conn, source, 1, LogBatch(rows=list(rows)), at)


def stored(engine: sa.Engine) -> list[tuple[Any, ...]]:
    c = job_requests.c
    query = sa.select(c.request_id, c.role, c.status, c.request_seq, c.first_seen_at)
    with engine.connect() as conn:
        return [tuple(found) for found in conn.execute(query.order_by(c.request_seq))]


def test_a_request_that_is_told_anew_moves_to_the_end(engine: sa.Engine) -> None:
    source, later = add_source(engine, "a"), NOON + timedelta(hours=1)
    store(engine, source, row("a", 0, "processing", job_id=None), row("b", 1))
    store(engine, source, row("a", 0, job_id="video_2"), at=later)
    assert stored(engine) == [("b", "made", "success", 2, NOON), ("a", "made", "success", 3, NOON)]


def test_two_settlements_on_one_page(engine: sa.Engine) -> None:
    """The later one counts; the earlier one stays, as a row of no role."""
    source = add_source(engine, "a")
    store(engine, source, row("made", 0), row("first", 1, settles=True), row("second", 2, settles=True))
    roles = {request: role for request, role, *_ in stored(engine)}
    assert roles == {"made": "made", "first": None, "second": "settled"}
    store(engine, source, row("third", 3, settles=True))
    assert [found[:2] for found in stored(engine)[-2:]] == [("second", None), ("third", "settled")]


def test_a_poll_that_was_stored_stays(engine: sa.Engine) -> None:
    """It may have been delivered, and its number may be the largest."""
    source = add_source(engine, "a")
    poll = {"request_type": "video_retrieve"}
    store(engine, source, row("first", 1)._replace(**poll), row("open", 2, "processing")._replace(**poll))
    store(engine, source, row("open", 2)._replace(**poll))
    assert [found[:4] for found in stored(engine)] == [
        ("first", "polled", "success", 1),
        ("open", None, "success", 3),
    ]
