"""The lease is renewed in time, and not where a commit has just done so."""

from __future__ import annotations

import threading
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from etl.errors import LeaseLost
from etl.pipeline.heartbeat import _beat

SECONDS = 60.0


class Time:
    """An event whose waits pass at once; `commits` are the moments at which a commit renewed the lease."""

    def __init__(self, until: float, commits: tuple[float, ...] = (), *, fails: bool = False) -> None:
        self.now, self._until, self._commits, self._fails = 0.0, until, commits, fails
        self.renewals: list[float] = []
        self.store: Any = SimpleNamespace(
            lease=SimpleNamespace(seconds=SECONDS, age=self.age), renew=self.renew
        )

    def wait(self, seconds: float) -> bool:
        assert seconds > 0, "it would never rest"
        self.now += seconds
        return self.now >= self._until

    def age(self) -> float:
        done = [moment for moment in (*self._commits, *self.renewals) if moment <= self.now]
        return self.now - max(done, default=-1e9)

    def renew(self) -> None:
        if self._fails:
            raise LeaseLost("taken")
        self.renewals.append(self.now)

    def beat(self) -> list[float]:
        _beat(self.store, self)  # type: ignore[arg-type]
        return self.renewals


def test_a_run_that_waits_renews_every_third_of_the_lease():
    assert Time(100).beat() == [20, 40, 60, 80]


def test_a_run_that_commits_needs_no_renewal():
    assert Time(1000, tuple(range(0, 1000, 5))).beat() == []


@pytest.mark.parametrize("last", [0.125, 7, 19.75, 20, 33, 59])
def test_the_first_renewal_after_the_last_commit_is_a_third_later(last: float):
    time = Time(200, (*range(0, int(last), 3), last))
    assert time.beat()[0] == pytest.approx(last + SECONDS / 3)


@pytest.mark.parametrize("apart", [1, 19, 20, 21, 30, 45, 59])
def test_the_lease_never_runs_out(apart: int):
    time = Time(3600, tuple(range(0, 3600, apart)))
    time.beat()
    known = sorted([0.0, *time._commits, *time.renewals])
    assert max(later - earlier for earlier, later in pairwise(known)) <= SECONDS / 3 + 1


def test_a_renewal_that_fails_is_the_last():
    assert Time(1000, fails=True).beat() == []


def test_it_ends_at_once_when_it_is_told():
    ended = threading.Event()
    ended.set()
    _beat(Time(1).store, ended)
