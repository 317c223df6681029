"""When, how often and how long: with time passed in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etl import errors
from etl.extract.limits import RateLimit
from etl.records import Request
from tests.extract.conftest import Client


def test_waits_grow_and_are_jittered(client: Callable[..., Client]) -> None:
    c = client("upstream_503", settings={"max_attempts": 7, "max_backoff": 4.0})
    with pytest.raises(errors.ServerFault):
        c.gateway.page(Request())
    ceilings = [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert all(0 <= wait <= top for wait, top in zip(c.waits, ceilings, strict=True))
    assert len(set(c.waits)) == len(c.waits)


def test_retry_after_in_seconds_is_honoured(client: Callable[..., Client]) -> None:
    c = client("upstream_429:retry_after=7,times=1")
    c.gateway.page(Request())
    assert c.waits == [7.0]


def test_retry_after_as_a_date_is_honoured(client: Callable[..., Client]) -> None:
    c = client("upstream_429:retry_at=60,times=1")
    c.gateway.page(Request())
    assert len(c.waits) == 1 and 57 <= c.waits[0] <= 61


def test_retry_after_is_capped(client: Callable[..., Client]) -> None:
    c = client("upstream_429:retry_after=86400,times=1", settings={"retry_after_cap": 20.0})
    c.gateway.page(Request())
    assert c.waits == [20.0]


def test_the_whole_time_is_bounded_too(client: Callable[..., Client]) -> None:
    c = client("upstream_429:retry_after=50", settings={"max_attempts": 100, "max_retry_time": 120.0})
    with pytest.raises(errors.RateLimited) as caught:
        c.gateway.page(Request())
    assert c.waits == [50.0, 50.0]
    assert caught.value.retry_after == 50.0


def test_a_rate_limit_is_shared_by_all_who_ask() -> None:
    now, waits = [0.0], []
    limit = RateLimit(4.0, monotonic=lambda: now[0], sleep=waits.append)
    for _ in range(4):
        limit.wait()
    assert waits == [0.25, 0.5, 0.75]
    now[0] = 10.0
    limit.wait()
    assert len(waits) == 3
