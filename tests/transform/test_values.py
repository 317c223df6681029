"""Single values: what each column makes of what a gateway sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from etl.transform import parsers
from tests.support.pages import extra, row

MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (1_700_000_000, MOMENT),
        (1_700_000_000.5, MOMENT + timedelta(milliseconds=500)),
        ("1700000000", MOMENT),
        (" 1700000000.5 ", MOMENT + timedelta(milliseconds=500)),
        (1_700_000_000_123, MOMENT + timedelta(milliseconds=123)),
        ("1700000000123", MOMENT + timedelta(milliseconds=123)),
        (1_700_000_000_123_456, MOMENT + timedelta(microseconds=123_456)),
        (1_700_000_000_123_456_789, MOMENT + timedelta(microseconds=123_456)),
        ("2023-11-14T22:13:20Z", MOMENT),
        ("2023-11-15T00:13:20+02:00", MOMENT),
        ("2023-11-14 22:13:20", MOMENT),
        ("2023-11-14T22:13:20.123456789Z", MOMENT + timedelta(microseconds=123_456)),
        (7_258_118_399, datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (0, None),
        (0.0, None),
        ("0", None),
        ("", None),
        ("  ", None),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
    ],
)
def test_times(sent: Any, found: datetime | None) -> None:
    job = row(created_at=sent)
    assert (job.created_at, job.extra) == (found, None)
    assert found is None or job.created_at.tzinfo is UTC


@pytest.mark.parametrize(
    "sent", [-1, 10**20, 10**400, True, "soon", "1969-12-31", "2023-13-01", [1], {"s": 1}, "NaN", "1_700"]
)
def test_a_time_that_cannot_be_read_is_kept_as_it_came(sent: Any) -> None:
    job = row(expires_at=sent)
    assert job.expires_at is None
    assert list(extra(job)) == ["expires_at"]


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (8, 8.0),
        ("8", 8.0),
        ("8s", 8.0),
        (" 8 S ", 8.0),
        ("8 seconds", 8.0),
        (12.5, 12.5),
        (0, None),
        ("0", None),
    ],
)
def test_seconds(sent: Any, found: float | None) -> None:
    job = row(seconds=sent)
    assert (job.seconds, job.extra) == (found, None)


@pytest.mark.parametrize("sent", ["eight", "-8", -8, True, "8m", "inf", 1e26, [8], "8" * 50])
def test_seconds_that_cannot_be_read_are_kept_as_they_came(sent: Any) -> None:
    job = row(seconds=sent)
    assert (job.seconds, extra(job)) == (None, {"seconds": sent})


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ("1280x720", (1280, 720)),
        ("720X1280", (720, 1280)),
        (" 1792 × 1024 ", (1792, 1024)),
        ("2147483647x1", (2**31 - 1, 1)),
        ("2147483648x1", (None, None)),
        ("0x720", (None, None)),
        ("-1x720", (None, None)),
        ("720p", (None, None)),
        ("auto", (None, None)),
        ("1x2x3", (None, None)),
        ("1x" + "9" * 5000, (None, None)),
    ],
)
def test_sizes(sent: str, found: tuple[int | None, int | None]) -> None:
    job = row(size=sent)
    assert (job.size, job.width, job.height, job.extra) == (sent, *found, None)


def test_a_size_that_is_no_text() -> None:
    job = row(size=[1280, 720])
    assert (job.size, job.width, extra(job)) == (None, None, {"size": [1280, 720]})


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (0, 0.0),
        (1, 1.0),
        (50, 50.0),
        (33.3, 33.3),
        (100, 100.0),
        (0.25, 25.0),
        (0.29, 29.0),
        ("42", 42.0),
        ("", None),
    ],
)
def test_progress(sent: Any, found: float | None) -> None:
    job = row(progress=sent, status="in_progress")
    assert (job.progress, job.extra) == (found, None)


@pytest.mark.parametrize("sent", [-1, 100.1, 250, "half", True, 10**400, [50]])
def test_progress_that_cannot_be_is_kept_as_it_came(sent: Any) -> None:
    job = row(progress=sent, status="in_progress")
    assert (job.progress, list(extra(job))) == (None, ["progress"])


def test_a_whole_progress_of_a_completed_job_is_100() -> None:
    assert row(progress=1, status="completed").progress == 100
    assert row(progress=1.0, completed_at=1_700_000_000).progress == 100
    assert row(progress=1, status="failed").progress == 1


def test_parsers_take_what_they_are_documented_to_take() -> None:
    assert parsers.parse_dimensions(None) == (None, None)
    assert (
        parsers.parse_instant(None)
        is parsers.parse_number(None)
        is parsers.parse_percent(None)
        is parsers.parse_seconds(None)
        is None
    )
