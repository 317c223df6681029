"""Tell people through Apprise: a source, the database or a feed fails, recovers, or has grown stale;
a part of a list cannot be read, or can be read again; spend, failures or durations are unusual.

Messages go out from a thread of their own: a mail server that hangs delays nobody. Failures are counted in
the database, whoever ran the source, and failure and recovery are claimed there, so that of several services
only one tells. What the database cannot count, because it is away, `Memory` counts.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from etl.config import Notify
from etl.errors import ConfigError, EtlError
from etl.feed import FeedResult
from etl.load.alerts import FAILURES
from etl.load.source_health import Health
from etl.log import get_logger, make_visible
from etl.records import RunResult, time_elapsed
from etl.scheduler.news import News, NewsKind, judge_away, judge_disabled, judge_gaps, judge_run
from etl.scheduler.outages import Claim
from etl.scheduler.staleness import StaleWatch
from etl.words import how_to_install

__all__ = ["FAILURES", "Memory", "Message", "Notifier", "apprise_sender", "trial_message"]

#: The same news of the same source is told at most once in this time.
QUIET = timedelta(minutes=15)
_BACKLOG = 100
_SEVERITY = {"failure": "failure", "staleness": "warning", "recovery": "recovery"}
_SEVERITY |= dict.fromkeys(("gap", "budget", "trend"), "warning")
_SEVERITY |= {f"{kind}_closed": "recovery" for kind in ("gap", "budget", "trend")}
#: Our severities in Apprise's words, from which services take icons and colours.
_APPRISE_TYPES = {"failure": "failure", "warning": "warning", "recovery": "success", "test": "info"}


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out. `severity`: failure, warning, recovery or test; the title names it, too."""

    severity: str
    title: str
    text: str


Send = Callable[[Message], bool]


class Memory:
    """What this process has seen and told. It outlives a reload, and needs no database."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], datetime] = {}
        self.uncounted: dict[str, int] = {}  # by source: failed runs that the database did not count
        self.unread: dict[str, int] = {}  # by source: failed runs since the database answered last
        self.alarms: set[str] = set()
        self.gaps: set[str] = set()  # sources whose coverage gaps were told of
        self.stale = StaleWatch()
        self.lock = threading.Lock()


class Notifier:
    """Does nothing without URLs. Raises ConfigError when they cannot be used. `send` is for tests."""

    def __init__(
        self,
        notify: Notify,
        redact: Callable[[str], str],
        *,
        send: Send | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._notify, self._redact = notify, redact
        self.memory = memory or Memory()
        self._send = send or (_all_of(notify) if notify.urls else None)
        self._queue: queue.Queue[tuple[Message, Callable[[], None] | None] | None] = queue.Queue(_BACKLOG)
        self._thread: threading.Thread | None = None
        if self.active:
            self._thread = threading.Thread(target=self._deliver_messages, name="notify", daemon=True)
            self._thread.start()

    @property
    def active(self) -> bool:
        return self._send is not None

    def close(self) -> None:
        """What is waiting still goes out, if that takes less than a few seconds."""
        if self._thread is not None:
            try:
                self._queue.put(None, timeout=1)
            except queue.Full:
                return
            self._thread.join(5)

    def ended(
        self, result: RunResult, before: Health | None, after: Health | None, claim: Claim | None = None
    ) -> None:
        """A run ended; the source stood so before it, and stands so now (None: unknown). `claim` is asked
        for what other services may tell, too."""
        with self.memory.lock:
            if after is not None:
                self.memory.stale.learn({result.source: after.complete_at})
            found = [*self._of_database(result, after), *self._of_run(result, before, after)]
            found += judge_gaps(result, self.memory.gaps)
        for news in found:
            self._queue_news(news, result.finished_at, claim=claim if news.shared else None)

    def _of_database(self, result: RunResult, after: Health | None) -> list[News]:
        memory, name = self.memory, "database"
        if after is not None:
            memory.unread.clear()
            if name in memory.alarms:
                memory.alarms.discard(name)
                return [News("recovery", name, "the database answers again", "Runs are recorded again.")]
            return []
        news = judge_away(result, memory.unread)
        if news is None or name in memory.alarms:
            return []
        memory.alarms.add(name)
        return [news]

    def _of_run(self, result: RunResult, before: Health | None, after: Health | None) -> list[News]:
        memory, source = self.memory, result.source
        known = after or before
        counted = after is not None and after.failures > (before.failures if before else 0)
        if result.status == "ok":
            memory.uncounted.pop(source, None)
        elif result.status == "failed" and not counted:
            memory.uncounted[source] = memory.uncounted.get(source, 0) + 1
        failed = memory.uncounted.get(source, 0) + (known.failures if known else 0)
        news = judge_run(result, before, after, failed=failed, alarm=source in memory.alarms)
        if news is None:
            return []
        if news.kind == "recovery":
            memory.alarms.discard(source)
        elif not news.shared:  # the database does not know that somebody was told
            memory.alarms.add(source)
        return [news]

    def met_disabled(self, source: str, health: Health, moment: datetime, claim: Claim) -> None:
        """A source that is not asked: a sync by hand may have disabled it, and told nobody but its user."""
        if not health.told and source not in self.memory.alarms:
            news = judge_disabled(source, health.disabled_reason or "")
            self._queue_news(news, moment, claim=claim)

    def fed(self, result: FeedResult, before: int, after: int, moment: datetime) -> None:
        """A delivery ended; so many failed in a row before it, and now."""
        name = f"feed {result.destination}"
        if result.status == "ok" and before >= FAILURES:
            self._queue_news(
                News("recovery", name, f"{name} works again", "Everything is delivered."), moment
            )
        elif result.status == "failed" and after == FAILURES:
            text = f"{type(result.error).__name__}: {result.error}"
            self._queue_news(News("failure", name, f"{name} failed {FAILURES} times in a row", text), moment)

    def learn(self, completed: Mapping[str, datetime | None]) -> None:
        """When each source was last complete, as the database says while it answers."""
        with self.memory.lock:
            self.memory.stale.learn(completed)

    def look(self, limits: Mapping[str, float], moment: datetime) -> None:
        """Tell of sources not complete for longer than max_age and than twice their own interval (seconds),
        by what was learnt last."""
        with self.memory.lock:
            found = self.memory.stale.look(limits, self._notify.max_age, moment)
        for news in found:
            self._queue_news(news, moment)

    def tell(self, news: News, moment: datetime, then: Callable[[], None]) -> None:
        """What somebody else found worth telling; `then` is called once somebody took the message."""
        self._queue_news(news, moment, then)

    def tells(self, kind: NewsKind) -> bool:
        return self._send is not None and kind.removesuffix("_closed") in self._notify.on

    def _queue_news(
        self,
        news: News,
        moment: datetime,
        then: Callable[[], None] | None = None,
        claim: Claim | None = None,
    ) -> None:
        key = (news.kind, news.subject)
        with self.memory.lock:
            if not self.tells(news.kind) or _is_recent(self.memory.told.get(key), moment):
                return
        if claim is not None and self.tells("failure"):  # else there is no claim whose end could be told
            then = claim(news, moment)
            if then is None and not news.urgent:
                return
        with self.memory.lock:
            self.memory.told[key] = moment
        severity = _SEVERITY[news.kind]
        title = make_visible(self._redact(f"bifrost-etl {severity}: {news.title}"), lines=False)
        try:
            message = Message(severity, title, make_visible(self._redact(news.text)))
            self._queue.put_nowait((message, then))
        except queue.Full:
            get_logger("notify").warning("notification_dropped", source=news.subject, kind=news.kind)

    def _deliver_messages(self) -> None:
        while (waiting := self._queue.get()) is not None:
            message, then = waiting
            if self._deliver(message) and then is not None:
                try:
                    then()
                except EtlError as error:  # nobody knows that it was told, so it is told again
                    get_logger("notify").warning("not_noted_as_told", title=message.title, error=str(error))

    def _deliver(self, message: Message) -> bool:
        """Whether it was taken."""
        assert self._send is not None
        try:
            if self._send(message):
                return True
        except Exception as error:  # noqa: BLE001 (Apprise's plugins raise what they like)
            get_logger("notify").warning("notification_failed", error=type(error).__name__)
        else:
            get_logger("notify").warning("notification_failed", title=message.title)
        return False


def trial_message(host: str) -> Message:
    """What `notify test` sends."""
    text = f"Sent by `bifrost-etl notify test` on {host}. Failures, warnings and recoveries come this way."
    return Message("test", "bifrost-etl test: notifications arrive", text)


def apprise_sender(notify: Notify, number: int) -> Send:
    """Sends to the URL of this number, counted from 1. Raises ConfigError when Apprise cannot use it."""
    try:
        import apprise
    except ModuleNotFoundError:
        raise ConfigError(
            "notify.urls needs Apprise, which is not installed", hint=how_to_install("notify")
        ) from None
    outlet: Any = apprise.Apprise()
    if not outlet.add(notify.urls[number - 1].reveal()):
        raise ConfigError(
            f"notify.urls: number {number} is not an Apprise URL (it is not shown: it holds secrets)",
            hint="see https://github.com/caronc/apprise/wiki for the form of each service",
        )
    return lambda message: bool(
        outlet.notify(title=message.title, body=message.text, notify_type=_APPRISE_TYPES[message.severity])
    )


def _all_of(notify: Notify) -> Send:
    """Sends to every URL; False when none of them took it, so that it is tried again."""
    senders = [apprise_sender(notify, number) for number in range(1, len(notify.urls) + 1)]

    def send(message: Message) -> bool:
        took = [_try(sender, message) for sender in senders]  # each is asked, whatever the first one says
        if any(took) and not all(took):
            refused = [number for number, taken in enumerate(took, 1) if not taken]
            get_logger("notify").warning("notification_refused", title=message.title, urls=refused)
        return any(took)

    return send


def _try(sender: Send, message: Message) -> bool:
    try:
        return sender(message)
    except Exception as error:  # noqa: BLE001 (Apprise's plugins raise what they like)
        get_logger("notify").warning("notification_failed", error=type(error).__name__)
        return False


def _is_recent(told: datetime | None, moment: datetime) -> bool:
    passed = time_elapsed(told, moment)
    return passed is not None and passed < QUIET
