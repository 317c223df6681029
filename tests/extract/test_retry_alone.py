"""The rule of retries by itself: no gateway, a clock that only moves when something waits."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from etl.config import Source
from etl.errors import GarbledAnswer, GatewayError, RateLimited, ServerFault, Unauthorized, Unparseable
from etl.extract.retry import Retry


class Highest(random.Random):
    """Every jittered wait takes its longest."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0.0
        return b


class Bench:
    """`waits` were slept, `told` what was said of them."""

    def __init__(self, **settings: Any) -> None:
        self.now, self.calls = 3.0, 0
        self.waits: list[float] = []
        self.told: list[tuple[str, float]] = []
        source = Source(name="main", base_url="http://gateway.test", **settings)
        self.retry = Retry(
            source,
            rng=Highest(),
            sleep=self.sleep,
            monotonic=lambda: self.now,
            on_retry=lambda error, wait: self.told.append((type(error).__name__, wait)),
        )

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def ask(self, *outcomes: Callable[[], GatewayError] | str, takes: float = 0.0, **how: Any) -> Any:
        """Each call gives the next outcome, the last one again and again."""

        def once() -> str:
            self.now += takes
            outcome = outcomes[min(self.calls, len(outcomes) - 1)]
            self.calls += 1
            if isinstance(outcome, str):
                return outcome
            raise outcome()

        return self.retry.call(once, **how)


def down() -> GatewayError:
    return ServerFault("down", status=503)


def limited(after: float | None) -> Callable[[], GatewayError]:
    return lambda: RateLimited("slow down", status=429, retry_after=after)


def garbled(*, hopeless: bool) -> Callable[[], GatewayError]:
    return lambda: GarbledAnswer("html", status=200, hopeless=hopeless)


def unreadable() -> GatewayError:
    return Unparseable("failed to unmarshal", status=500)


def test_what_succeeds_at_once_is_asked_once() -> None:
    bench = Bench()
    assert bench.ask("page") == ("page", 1) and bench.waits == [] and bench.told == []


def test_waits_double_up_to_the_cap_and_are_told() -> None:
    bench = Bench(max_attempts=6, max_backoff=3.0)
    assert bench.ask(*[down] * 5, "page") == ("page", 6)
    assert bench.waits == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert bench.told == [("ServerFault", wait) for wait in bench.waits]


def test_the_last_error_says_how_often_was_asked() -> None:
    bench = Bench(max_attempts=3)
    with pytest.raises(ServerFault) as found:
        bench.ask(down)
    assert (bench.calls, found.value.attempts, str(found.value)) == (3, 3, "down (asked 3 times)")


def test_two_attempts_say_so() -> None:
    bench = Bench()
    with pytest.raises(ServerFault, match=r"down \(asked 2 times\)"):
        bench.ask(down, attempts=2)


def test_a_bound_that_was_passed_already_ends_the_retries() -> None:
    """Two troubles of another kind came first: the third is one that two attempts are enough for."""
    bench = Bench(max_attempts=5)
    with pytest.raises(Unparseable):
        bench.ask(down, down, unreadable)
    assert bench.calls == 3


@pytest.mark.parametrize("trouble", [down, lambda: RateLimited("no", status=429, retry_after=-9.0)])
def test_no_wait_counts_as_none(trouble: Callable[[], GatewayError]) -> None:
    """The third try ends at 30.3 seconds, beyond the bound by less than one."""
    bench = Bench(max_attempts=9, max_retry_time=30.0)
    with pytest.raises(GatewayError):
        bench.ask(trouble, takes=9.6)
    assert bench.calls == 3


def test_one_attempt_says_nothing_of_how_often() -> None:
    bench = Bench(max_attempts=5)
    with pytest.raises(ServerFault) as found:
        bench.ask(down, attempts=1)
    assert (bench.calls, found.value.attempts, str(found.value), bench.waits) == (1, 1, "down", [])


def test_what_another_try_cannot_change_is_not_tried_again() -> None:
    bench = Bench(max_attempts=5)
    with pytest.raises(Unauthorized):
        bench.ask(lambda: Unauthorized("no", status=401))
    assert bench.calls == 1
    with pytest.raises(Unauthorized):
        bench.ask(down, lambda: Unauthorized("no", status=401))
    assert bench.calls == 2


@pytest.mark.parametrize(
    ("error", "limit", "calls"),
    [
        (garbled(hopeless=True), 5, 2),
        (garbled(hopeless=True), 1, 1),
        (garbled(hopeless=False), 5, 5),
        (unreadable, 5, 2),
        (unreadable, 1, 1),
    ],
)
def test_what_is_hopeless_is_tried_once_more(
    error: Callable[[], GatewayError], limit: int, calls: int
) -> None:
    bench = Bench(max_attempts=limit)
    with pytest.raises(GatewayError):
        bench.ask(error)
    assert bench.calls == calls


def test_where_unreadable_records_are_known_one_try_is_enough() -> None:
    bench = Bench(max_attempts=5)
    bench.retry.unreadable_after = 1
    with pytest.raises(Unparseable):
        bench.ask(unreadable)
    assert bench.calls == 1


@pytest.mark.parametrize(
    ("named", "waits"),
    [(7.0, 7.0), (0.1, 0.5), (0.0, 0.5), (-9.0, 0.5), (None, 0.5), (20.0, 20.0), (86_400.0, 20.0)],
)
def test_a_named_wait_is_the_least_up_to_its_cap(named: float | None, waits: float) -> None:
    bench = Bench(retry_after_cap=20.0, max_retry_time=60.0)
    assert bench.ask(limited(named), "page") == ("page", 2)
    assert bench.waits == [waits]


def test_the_time_for_retries_is_bounded() -> None:
    """Ten seconds a try: the third ends at 30.5 + 1.0, and no fourth begins."""
    bench = Bench(max_attempts=9, max_retry_time=30.0)
    with pytest.raises(ServerFault):
        bench.ask(down, takes=10.0)
    assert bench.calls == 3 and bench.waits == [0.5, 1.0]


@pytest.mark.parametrize(("named", "calls"), [(30.0, 2), (30.5, 1)])
def test_a_named_wait_beyond_that_time_ends_the_retries(named: float, calls: int) -> None:
    bench = Bench(retry_after_cap=100.0, max_retry_time=30.0)
    with pytest.raises(RateLimited):
        bench.ask(limited(named))
    assert bench.calls == calls


def test_nobody_need_listen() -> None:
    bench = Bench()
    quiet = Retry(
        Source(name="main", base_url="http://gateway.test"),
        rng=Highest(),
        sleep=bench.sleep,
        monotonic=lambda: bench.now,
        on_retry=None,
    )
    answers = iter([True, False])

    def once() -> str:
        if next(answers):
            raise ServerFault("down", status=503)
        return "page"

    assert quiet.call(once) == ("page", 2)


def test_thousands_of_tries_are_no_number_too_large() -> None:
    bench = Bench(max_attempts=1200, max_backoff=0.5, max_retry_time=10_000.0)
    with pytest.raises(ServerFault):
        bench.ask(down)
    assert bench.calls == 1200
