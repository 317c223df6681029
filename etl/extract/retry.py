"""Which failures are worth another try, how often, and how long to wait before it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from etl.config import Source
from etl.errors import GarbledAnswer, GatewayError, Retriable, Unparseable

if TYPE_CHECKING:
    import tenacity

_T = TypeVar("_T")

#: A wrong address answers HTML for ever, and a record that the gateway cannot decode fails for ever: one more
#: try tells, and none where such records are known.
_HOPELESS_AFTER = 2
BASE_WAIT = 0.5


class Retry:
    """Exponential backoff with full jitter, bounded by attempts and by total time; honours Retry-After."""

    def __init__(
        self,
        source: Source,
        *,
        rng: random.Random,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        on_retry: Callable[[GatewayError, float], None] | None,
    ) -> None:
        self._source, self._rng, self._sleep, self._monotonic = source, rng, sleep, monotonic
        self._on_retry = on_retry
        self.unreadable_after = _HOPELESS_AFTER

    def call(self, once: Callable[[], _T], *, attempts: int | None = None) -> tuple[_T, int]:
        """`once` until it succeeds or hope is gone, and how often; the last error carries its `attempts`."""
        begun = self._monotonic()
        try:
            return once(), 1  # nearly always; the loop below costs as much as decoding a page
        except (Retriable, Unparseable) as error:
            first = [error]
        tried = 0

        def again() -> _T:
            nonlocal tried
            tried += 1
            if first:
                raise first.pop()
            return once()

        try:
            return self._make_loop(attempts or self._source.max_attempts, begun)(again), tried
        except GatewayError as error:
            error.attempts = tried
            if tried > 1:
                error.args = (f"{error} (asked {tried} times)",)
            raise

    def _make_loop(self, limit: int, begun: float) -> tenacity.Retrying:
        import tenacity  # 0.03 s, which a run without a failure is spared

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_worth_it),
            stop=lambda state: self._is_over(state, limit, begun),
            wait=self._seconds_to_wait,
            sleep=self._sleep,
            before_sleep=self._report_retry,
            reraise=True,
        )

    def _is_over(self, state: tenacity.RetryCallState, limit: int, begun: float) -> bool:
        error = _error_of_attempt(state)
        if isinstance(error, Unparseable):
            limit = min(limit, self.unreadable_after)
        elif isinstance(error, GarbledAnswer) and error.hopeless:
            limit = min(limit, _HOPELESS_AFTER)
        spent = self._monotonic() - begun
        return state.attempt_number >= limit or spent + self._least_wait(state) > self._source.max_retry_time

    def _seconds_to_wait(self, state: tenacity.RetryCallState) -> float:
        ceiling = min(self._source.max_backoff, BASE_WAIT * 2.0 ** min(state.attempt_number - 1, 60))
        return max(self._rng.uniform(0.0, ceiling), self._least_wait(state))

    def _least_wait(self, state: tenacity.RetryCallState) -> float:
        """The least that the next wait will take: a Retry-After is certain, a jittered wait may be none."""
        error = _error_of_attempt(state)
        named = error.retry_after if isinstance(error, Retriable) else None
        return 0.0 if named is None else min(max(named, 0.0), self._source.retry_after_cap)

    def _report_retry(self, state: tenacity.RetryCallState) -> None:
        error = _error_of_attempt(state)
        if self._on_retry is not None and isinstance(error, GatewayError):
            wait = state.next_action.sleep if state.next_action is not None else 0.0
            self._on_retry(error, wait)


def _error_of_attempt(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


def _worth_it(error: BaseException) -> bool:
    return isinstance(error, Retriable | Unparseable)
