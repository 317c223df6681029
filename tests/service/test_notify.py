"""Who is told what, how often; and that messages arrive through Apprise itself."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from etl.config import Notify, Secret
from etl.errors import ConfigError, ServerFault, SuspiciousScan, Unauthorized
from etl.load.source_health import Health
from etl.log import Redactor
from etl.records import Counts, RunResult
from etl.scheduler.notify import FAILURES, Notifier

NOW = datetime(2026, 4, 15, 12, 0, tzinfo=UTC)
CANARY = "canary-0b1d9fae77"
_MINUTE = timedelta(minutes=1)
# Apprise imports imghdr, which Python is about to drop.
_apprise_itself = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
FINE = Health(NOW, 0, None, None, None, NOW, None)


class Box:
    """Where messages land. `titles()` waits for what was sent before it was called."""

    def __init__(self, on: tuple[Any, ...] = ("failure", "recovery", "staleness"), **more: Any) -> None:
        self.messages: list[tuple[str, str]] = []
        settings = Notify(urls=(Secret("json://localhost"),), on=on, **more)
        self.notifier = Notifier(settings, Redactor([CANARY]), send=self._take)

    def _take(self, title: str, text: str) -> bool:
        self.messages.append((title, text))
        return True

    def titles(self) -> list[str]:
        self.notifier.close()
        return [title for title, _ in self.messages]


def run(error: Exception | None = None, at: datetime = NOW) -> RunResult:
    status: Any = "ok" if error is None else "failed"
    return RunResult("main", "incremental", status, 7, at, at, Counts(), error)


def failing(times: int) -> Health:
    return replace(FINE, failures=times)


def test_failure_and_recovery_are_told_once():
    box = Box()
    for n in range(FAILURES + 4):
        box.notifier.ended(run(ServerFault("no")), failing(n), failing(n + 1))
    box.notifier.ended(run(), failing(FAILURES + 4), FINE)
    box.notifier.ended(run(), FINE, FINE)
    assert box.titles() == [
        f"bifrost-etl: main failed {FAILURES} times in a row",
        "bifrost-etl: main works again",
    ]


def test_a_refused_key_and_a_suspicious_scan_are_told_at_once_without_secrets():
    box = Box()
    refused = replace(failing(1), disabled_at=NOW)
    box.notifier.ended(run(Unauthorized(f"Bearer {CANARY} is wrong")), FINE, refused)
    later = NOW + timedelta(hours=1)
    box.notifier.ended(run(SuspiciousScan("the list shrank"), later), FINE, failing(1))
    assert len(box.titles()) == 2
    assert CANARY not in str(box.messages)
    assert "refused" in box.messages[0][0] and "shrank" in box.messages[1][1]


def test_flapping_is_told_at_most_every_quarter_of_an_hour():
    box = Box()
    for minute in range(31):
        at = NOW + timedelta(minutes=minute)
        box.notifier.ended(run(ServerFault("no"), at), failing(FAILURES - 1), failing(FAILURES))
    assert len(box.titles()) == 3


def test_staleness_is_told_once_and_again_after_it_was_fresh():
    box = Box(max_age=600.0)
    for minute in range(60):
        box.notifier.look({"main": NOW, "new": None}, {"main": 60.0, "new": 60.0}, NOW + minute * _MINUTE)
    fresh = NOW + 60 * _MINUTE
    box.notifier.look({"main": fresh}, {"main": 60.0}, fresh)
    box.notifier.look({"main": fresh}, {"main": 60.0}, fresh + 20 * _MINUTE)
    assert box.titles() == ["bifrost-etl: main is stale"] * 2


def test_a_slow_schedule_is_not_stale():
    box = Box(max_age=600.0)
    box.notifier.look({"main": NOW}, {"main": 3600.0}, NOW + 119 * _MINUTE)
    assert box.titles() == []


def test_only_what_was_asked_for():
    box = Box(on=("recovery",))
    box.notifier.ended(run(ServerFault("no")), failing(FAILURES - 1), failing(FAILURES))
    box.notifier.ended(run(), failing(FAILURES), FINE)
    assert box.titles() == ["bifrost-etl: main works again"]


def test_an_outlet_that_hangs_or_raises_blocks_nobody():
    gate, seen = threading.Event(), []

    def send(title: str, text: str) -> bool:
        seen.append(title)
        assert gate.wait(60)
        raise RuntimeError("no mail today")

    notifier = Notifier(Notify(urls=(Secret("x"),)), Redactor([]), send=send)
    for n in range(300):  # more than the queue holds
        at = NOW + timedelta(hours=n)
        notifier.ended(run(ServerFault("no"), at), failing(FAILURES - 1), failing(FAILURES))
    gate.set()
    notifier.close()
    assert len(seen) > 1, "one that raised did not end the thread"


def test_without_urls_nothing_starts():
    before = threading.active_count()
    notifier = Notifier(Notify(), Redactor([]))
    assert not notifier.active
    assert threading.active_count() == before
    notifier.close()


@_apprise_itself
def test_a_url_that_apprise_does_not_know_is_an_error_that_hides_it():
    with pytest.raises(ConfigError) as caught:
        Notifier(Notify(urls=(Secret(f"nosuch://{CANARY}"),)), Redactor([]))
    assert CANARY not in str(caught.value) and "number 1" in str(caught.value)


def test_without_apprise_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(ConfigError) as caught:
        Notifier(Notify(urls=(Secret("json://localhost"),)), Redactor([]))
    assert "bifrost-etl[notify]" in str(caught.value.hint)


@pytest.fixture
def letterbox() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    received: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, received
        server.shutdown()
        thread.join()


@_apprise_itself
def test_through_apprise(letterbox: tuple[int, list[dict[str, Any]]]):
    port, received = letterbox
    notifier = Notifier(Notify(urls=(Secret(f"json://127.0.0.1:{port}/"),)), Redactor([CANARY]))
    notifier.ended(run(ServerFault(f"key {CANARY}")), failing(FAILURES - 1), failing(FAILURES))
    notifier.close()
    [message] = received
    assert "3 times in a row" in message["title"]
    assert CANARY not in json.dumps(message)
