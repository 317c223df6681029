"""Who is told what, how often; and that messages arrive through Apprise itself."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from etl.config import Notify, Secret
from etl.errors import ConfigError, DatabaseUnavailable, ServerFault, SuspiciousScan, Unauthorized
from etl.load.source_health import Health
from etl.log import Redactor
from etl.records import Counts, RunResult
from etl.scheduler.notify import FAILURES, Memory, Message, Notifier
from tests.support.command import Command
from tests.support.letterbox import letterbox

NOW = datetime(2026, 4, 15, 12, 0, tzinfo=UTC)
CANARY = "canary-0b1d9fae77"
_MINUTE = timedelta(minutes=1)
# Apprise imports imghdr, which Python is about to drop.
_apprise_itself = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
FINE = Health(NOW, 0, None, None, None, NOW, None)


class Box:
    """Where messages land. `titles()` waits for what was sent before it was called."""

    def __init__(
        self,
        on: tuple[Any, ...] = ("failure", "recovery", "staleness"),
        memory: Memory | None = None,
        **more: Any,
    ) -> None:
        self.messages: list[tuple[str, str]] = []
        self.severities: list[str] = []
        settings = Notify(urls=(Secret("json://localhost"),), on=on, **more)
        self.notifier = Notifier(settings, Redactor([CANARY]), send=self._take, memory=memory)

    def _take(self, message: Message) -> bool:
        self.severities.append(message.severity)
        self.messages.append((message.title, message.text))
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
        f"bifrost-etl failure: main failed {FAILURES} times in a row",
        "bifrost-etl recovery: main works again",
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
    box.notifier.learn({"main": NOW, "new": None})
    for minute in range(60):
        box.notifier.look({"main": 60.0, "new": 60.0}, NOW + minute * _MINUTE)
    fresh = NOW + 60 * _MINUTE
    box.notifier.learn({"main": fresh})
    box.notifier.look({"main": 60.0}, fresh)
    box.notifier.look({"main": 60.0}, fresh + 20 * _MINUTE)
    stale, again = "bifrost-etl warning: main is stale", "bifrost-etl recovery: main is fresh again"
    assert box.titles() == [stale, again, stale]
    assert box.severities == ["warning", "recovery", "warning"]
    assert box.messages[0][1].endswith("UTC, more than 10m ago.")


def test_a_slow_schedule_is_not_stale():
    box = Box(max_age=600.0)
    box.notifier.learn({"main": NOW})
    box.notifier.look({"main": 3600.0}, NOW + 119 * _MINUTE)
    assert box.titles() == []


def test_staleness_without_the_database_is_judged_by_memory():
    box = Box(max_age=15.0)
    box.notifier.learn({"known": NOW - _MINUTE})
    for seconds in (0, 10, 20, 30):  # nothing more is learnt: the database is away
        box.notifier.look({"known": 5.0, "unheard": 5.0}, NOW + timedelta(seconds=seconds))
    assert box.titles() == ["bifrost-etl warning: known is stale", "bifrost-etl warning: unheard is stale"]
    assert "Last complete 2026-04-15 11:59 UTC" in box.messages[0][1]


def test_a_database_that_is_away_is_told_once_for_all_sources_and_when_it_is_back():
    box = Box()
    away = DatabaseUnavailable("connection refused", hint="start it")
    for n in range(8):
        for name in ("main", "other"):
            at = NOW + n * _MINUTE
            box.notifier.ended(replace(run(away, at), source=name), None, None)
    box.notifier.ended(run(at=NOW + 9 * _MINUTE), FINE, FINE)
    assert box.titles() == [
        f"bifrost-etl failure: the database does not answer: {FAILURES} runs in a row failed",
        "bifrost-etl recovery: the database answers again",
    ]
    assert "connection refused" in box.messages[0][1] and "start it" in box.messages[0][1]
    assert "main" in box.messages[0][1]


def test_failures_that_the_database_does_not_count_are_counted_in_memory():
    box = Box()
    for n in range(5):
        box.notifier.ended(run(RuntimeError("a bug"), NOW + n * _MINUTE), FINE, FINE)
    box.notifier.ended(run(at=NOW + 6 * _MINUTE), FINE, FINE)
    assert box.titles() == [
        f"bifrost-etl failure: main failed {FAILURES} times in a row",
        "bifrost-etl recovery: main works again",
    ]


def test_a_reload_keeps_what_is_remembered():
    box = Box()
    for n in range(FAILURES):
        box.notifier.ended(run(DatabaseUnavailable("gone"), NOW + n * _MINUTE), None, None)
    box.titles()
    after = Box(memory=box.notifier.memory)
    after.notifier.ended(run(), None, FINE)
    assert after.titles() == ["bifrost-etl recovery: the database answers again"]


def test_only_what_was_asked_for():
    box = Box(on=("recovery",))
    box.notifier.ended(run(ServerFault("no")), failing(FAILURES - 1), failing(FAILURES))
    box.notifier.ended(run(), failing(FAILURES), FINE)
    assert box.titles() == ["bifrost-etl recovery: main works again"]


def test_an_outlet_that_hangs_or_raises_blocks_nobody():
    gate, seen = threading.Event(), []

    def send(message: Message) -> bool:
        seen.append(message.title)
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


@_apprise_itself
def test_through_apprise():
    with letterbox() as (port, received):
        notifier = Notifier(Notify(urls=(Secret(f"json://127.0.0.1:{port}/"),)), Redactor([CANARY]))
        notifier.ended(run(ServerFault(f"key {CANARY}")), failing(FAILURES - 1), failing(FAILURES))
        notifier.close()
    [message] = received
    assert "3 times in a row" in message["title"] and message["type"] == "failure"
    assert CANARY not in json.dumps(message)


def test_the_command_says_of_each_url_whether_its_message_arrived(tmp_path: Path):
    with letterbox() as (port, received):
        urls = [f"json://127.0.0.1:{port}/{CANARY}", f"json://127.0.0.1:9/{CANARY}"]
        (tmp_path / "bifrost-etl.yaml").write_text(f"notify: {{urls: {json.dumps(urls)}}}")
        ended = Command(tmp_path, DATABASE_URL="sqlite:///x.db")("notify", "test", "--json")
    assert ended.code == 1
    assert [url["sent"] for url in ended.json["urls"]] == [True, False]
    assert CANARY not in ended.all
    assert received[0]["title"] == "bifrost-etl test: notifications arrive"


def test_the_command_without_urls_says_so(tmp_path: Path):
    ended = Command(tmp_path, DATABASE_URL="sqlite:///x.db")("notify", "test")
    assert ended.code == 2 and "no notify.urls" in ended.err


def test_a_gap_that_was_open_at_the_start_is_told_once():
    box = Box(on=("gap",))
    for minutes in (0, 5):
        box.notifier.ended(replace(run(at=NOW + timedelta(minutes=minutes)), gaps=1), FINE, FINE)
    box.notifier.ended(replace(run(at=NOW + timedelta(minutes=9)), gaps_closed=1), FINE, FINE)
    opened, closed = box.titles()
    assert "a part of the list cannot be read" in opened and "has been read" in closed


def test_a_gap_is_told_when_it_opens_and_when_it_is_read():
    box = Box(on=("gap",))
    box.notifier.ended(replace(run(), gaps=2, gaps_opened=2), FINE, FINE)
    box.notifier.ended(replace(run(at=NOW + timedelta(minutes=5)), gaps=2), FINE, FINE)
    box.notifier.ended(replace(run(at=NOW + timedelta(minutes=9)), gaps_closed=2), FINE, FINE)
    opened, closed = box.titles()
    assert "a part of the list cannot be read" in opened and "has been read" in closed


def test_a_disabled_source_that_is_tried_again_is_not_told_again():
    box = Box()
    refused = replace(failing(4), disabled_at=NOW)
    box.notifier.ended(run(Unauthorized("no")), refused, replace(refused, failures=5))
    assert box.titles() == []
