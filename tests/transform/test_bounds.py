"""Single values at their bounds, each worked out by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from etl.transform.parsers import parse_dimensions, parse_instant, parse_percent, parse_seconds

#: A hundred billion milliseconds after the epoch, and as many thousands of smaller units.
MARCH_1973 = datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0, None),
        (0.5, datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        (1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (7_258_118_399, datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("7258118399", datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (10**11, MARCH_1973),
        (10**14, MARCH_1973),
        (10**17, MARCH_1973),
        ("2199-12-31T23:59:59Z", datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-12-31T00:00:00Z", None),
    ],
)
def test_an_instant_at_a_bound(value: Any, found: datetime | None) -> None:
    assert parse_instant(value) == found


@pytest.mark.parametrize(
    "value",
    [
        -1,
        -0.5,
        7258118400,
        "7258118400",
        10**11 - 1,
        10**14 - 1,
        10**17 - 1,
        10**20,
        "2200-01-01T00:00:00Z",
        "2300-01-01T00:00:00Z",
        "0002-01-01T00:00:00Z",
        True,
    ],
)
def test_an_instant_beyond_a_bound(value: Any) -> None:
    with pytest.raises(ValueError):
        parse_instant(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0, 0.0),
        (1, 1.0),
        (100, 100.0),
        (100.0, 100.0),
        ("99.5", 99.5),
        (1.5, 1.5),
        (0.5, 50.0),
        (0.123456789, 12.345679),
        (-0.0, 0.0),
        (None, None),
    ],
)
def test_a_percentage_at_a_bound(value: Any, found: float | None) -> None:
    assert parse_percent(value) == found


@pytest.mark.parametrize("value", [101, 100.5, -0.5, -1, True])
def test_a_percentage_beyond_a_bound(value: Any) -> None:
    with pytest.raises(ValueError):
        parse_percent(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [(0, None), (1e6, 1e6), ("1000000", 1e6), (0.5, 0.5), ("8.0000000000000s", 8.0), ("8 SECS", 8.0)],
)
def test_a_length_at_a_bound(value: Any, found: float | None) -> None:
    assert parse_seconds(value) == found


@pytest.mark.parametrize("value", [1_000_000.5, -0.5, "-0.5", "8.00000000000000s", True])
def test_a_length_beyond_a_bound(value: Any) -> None:
    with pytest.raises(ValueError):
        parse_seconds(value)


@pytest.mark.parametrize(
    ("size", "found"),
    [
        ("1x1", (1, 1)),
        ("0x5", (None, None)),
        ("5x0", (None, None)),
        ("2147483647x1", (2147483647, 1)),
        ("2147483648x1", (None, None)),
        ("1x2147483648", (None, None)),
        (None, (None, None)),
        ("1280x720".ljust(32), (1280, 720)),
        ("1280x720".ljust(33), (None, None)),
    ],
)
def test_dimensions_at_a_bound(size: str | None, found: tuple[int | None, int | None]) -> None:
    assert parse_dimensions(size) == found


def test_no_progress_has_no_sign() -> None:
    found = parse_percent(-0.0)
    assert found is not None and math.copysign(1.0, found) == 1.0
