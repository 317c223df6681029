"""Signing in: what the cookie is, how often a token may be guessed, and which tokens are refused."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.config import Secret
from etl.simulator import World
from etl.web import sessions
from etl.web.throttle import Throttle
from tests.service.test_web import CANARY, Site
from tests.support.command import Command
from tests.support.rig import rig
from tests.support.running import configure

NOW = 1_800_000_000.0


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Site]:
    with rig(World(seed=4, jobs=4), f"sqlite:///{tmp_path / 'etl.db'}") as made:
        site = Site(made.app, host="0.0.0.0", allow_remote=True, token=Secret(CANARY))
        with site.server:
            yield site


def form(token: str) -> bytes:
    return urllib.parse.urlencode({"token": token}).encode()


def test_a_session_is_signed_and_ends():
    value = sessions.issue_cookie(CANARY, NOW)
    assert value.startswith("1800043200.") and len(value) == len("1800043200.") + 64 and CANARY not in value
    assert sessions.is_valid(value, CANARY, NOW)
    assert sessions.is_valid(value, CANARY, NOW + 43199)
    assert not sessions.is_valid(value, CANARY, NOW + 43200)
    assert not sessions.is_valid(value, CANARY + "x", NOW)


@pytest.mark.parametrize(
    "change", ["", ".", "x", CANARY, "1800043200.", "9999999999.{signature}", "١.{signature}", "1800043200.é"]
)
def test_a_forged_session_is_none(change: str):
    signature = sessions.issue_cookie(CANARY, NOW).partition(".")[2]
    assert not sessions.is_valid(change.format(signature=signature), CANARY, NOW)


def test_behind_tls_the_cookie_is_secure(guarded: Site):
    headers = guarded.get("/login", form(CANARY), **{"X-Forwarded-Proto": "https"})[2]
    assert "Secure" in headers["Set-Cookie"]


def test_guesses_are_throttled_in_the_form_and_as_bearer(guarded: Site):
    cookie = guarded.get("/login", form(CANARY))[2]["Set-Cookie"].partition(";")[0]
    for n in range(5):
        assert guarded.get("/login", form(f"guess {n}"))[0] == 403
        assert guarded.get("/hello", Authorization=f"Bearer guess{n}")[0] == 401
    code, page, headers = guarded.get("/login", form(CANARY))
    assert code == 429 and 0 < int(headers["Retry-After"]) <= 6 and "Wait a minute" in page
    code, _, headers = guarded.get("/hello", Authorization=f"Bearer {CANARY}")
    assert code == 429 and 0 < int(headers["Retry-After"]) <= 6
    assert guarded.get("/hello", Cookie=cookie)[0] == 200
    assert guarded.get("/healthz")[0] == 200


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_address_gets_ten_guesses_and_then_one_each_six_seconds():
    throttle = Throttle(clock=(clock := Clock()))
    for _ in range(10):
        assert throttle.wait("192.0.2.1") == 0.0
        throttle.failed("192.0.2.1")
    assert throttle.wait("192.0.2.1") == pytest.approx(6.0)
    assert throttle.wait("192.0.2.2") == 0.0
    clock.now = 5.0
    assert throttle.wait("192.0.2.1") == pytest.approx(1.0)
    clock.now = 6.1
    assert throttle.wait("192.0.2.1") == 0.0


def test_a_network_of_ipv6_counts_as_one_address():
    throttle = Throttle(clock=Clock())
    for n in range(10):
        throttle.failed(f"2001:db8::{n:x}")
    assert throttle.wait("2001:db8::ffff") > 0
    assert throttle.wait("2001:db8:0:1::1") == 0.0
    for _ in range(10):
        throttle.failed("::ffff:192.0.2.7")
    assert throttle.wait("192.0.2.7") > 0


def test_many_addresses_together_are_throttled_but_not_one_that_knew_the_token():
    throttle = Throttle(clock=Clock())
    throttle.succeeded("192.0.2.1")
    for n in range(100):
        throttle.failed(f"198.51.100.{n}")
    assert throttle.wait("203.0.113.1") == pytest.approx(0.6)
    assert throttle.wait("192.0.2.1") == 0.0


def test_memory_is_bounded():
    throttle = Throttle(size=100, clock=Clock())
    for n in range(1000):
        throttle.failed(f"10.0.{n // 250}.{n % 250}")
        throttle.succeeded(f"10.1.{n // 250}.{n % 250}")
    assert (len(throttle._buckets), len(throttle._known)) == (100, 100)


@pytest.mark.parametrize(
    "token", ["x", "fifteen-letters", "aaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabcabc"]
)
@pytest.mark.parametrize("command", ["run", "dashboard"])
def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path, command: str, token: str):
    service = {"host": "0.0.0.0", "allow_remote": True, "token": token}
    source = {"name": "main", "base_url": "http://127.0.0.1:1"}
    configure(tmp_path, f"sqlite:///{tmp_path / 'etl.db'}", [source], service=service)
    done = Command(tmp_path)(command)
    assert done.code == 2
    assert "service.token" in done.all and "16 characters" in done.all and token not in done.all.split()
