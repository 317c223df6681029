"""When, how often and how long: with time passed in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etl import errors
from etl.extract.rate_limit import RateLimit
from etl.records import PageRequest
from tests.extract.conftest import Client


def test_waits_grow_and_are_jittered(client: Callable[..., Client]) -> None:
    c = client("upstream_503", settings={"max_attempts": 7, "max_backoff": 4.0})
    with pytest.raises(errors.ServerFault):
        c.gateway.page(PageRequest())
    ceilings = [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert all(0 <= wait <= top for wait, top in zip(c.waits, ceilings, strict=True))
    assert len(set(c.waits)) == len(c.waits)


def test_retry_after_in_seconds_is_honoured(client: Callable[..., Client]) -> None:
    c = client("upstream_429:retry_after=7,times=1")
    c.gateway.page(PageRequest())
    assert c.waits == [7.0]


def test_retry_after_as_a_date_is_honoured(client: Callable[..., Client]) -> None:
    c = client("upstream_429:retry_at=60,times=1")
    c.gateway.page(PageRequest())
    assert len(c.waits) == 1 and 57 <= c.waits[0] <= 61


def test_retry_after_is_capped(client: Callable[..., Client]) -> None:
    c = client("upstream_429:retry_after=86400,times=1", settings={"retry_after_cap": 20.0})
    c.gateway.page(PageRequest())
    assert c.waits == [20.0]


def test_the_whole_time_is_bounded_too(client: Callable[..., Client]) -> None:
    c = client("upstream_429:retry_after=50", settings={"max_attempts": 100, "max_retry_time": 120.0})
    with pytest.raises(errors.RateLimited) as caught:
        c.gateway.page(PageRequest())
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


def test_any_passing_trouble_may_name_its_time(client: Callable[..., Client]) -> None:
    c = client("upstream_503:retry_after=9,times=1")
    c.gateway.page(PageRequest())
    assert c.waits == [9.0]


@pytest.mark.parametrize("named", ["0", "-5", "nan", "soon", "Mon, 01 Jan 1990 00:00:00 GMT"])
def test_no_named_time_makes_the_client_hammer(client: Callable[..., Client], named: str) -> None:
    c = client(f"upstream_429:retry_after={named}")
    with pytest.raises(errors.RateLimited):
        c.gateway.page(PageRequest())
    assert len(c.waits) == 3 and all(wait > 0 for wait in c.waits)


def test_the_caller_may_allow_fewer_attempts(client: Callable[..., Client]) -> None:
    c = client("upstream_503")
    with pytest.raises(errors.ServerFault) as caught:
        c.gateway.page(PageRequest(), attempts=2)
    assert c.gateway.requests == caught.value.attempts == 2
    assert "asked 2 times" in str(caught.value)


class Stopped(Exception):
    pass


def test_a_sleep_that_is_broken_off_ends_the_retries(client: Callable[..., Client]) -> None:
    c = client("upstream_503")
    c.interrupted_by(Stopped())
    with pytest.raises(Stopped):
        c.gateway.page(PageRequest())
    assert c.gateway.requests == 1


def test_an_error_carries_no_foreign_one(client: Callable[..., Client]) -> None:
    """A requests exception holds the request, and that the key."""
    for fault in ("reset", "truncated", "lying_gzip"):
        with pytest.raises(errors.Retriable) as caught:
            client(fault).gateway.page(PageRequest())
        error: BaseException | None = caught.value
        while error is not None:
            assert isinstance(error, errors.GatewayError) or not hasattr(error, "request"), fault
            error = error.__cause__ or error.__context__
