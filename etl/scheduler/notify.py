"""Tell people through Apprise: a source or a feed fails, recovers, or has grown stale; a source is refused.

Messages go out from a thread of their own: a mail server that hangs delays nobody. Failure and recovery are
told when the count of failed runs in the database crosses the line, so of several services only one tells.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from etl.config import Notify
from etl.errors import ConfigError, SuspiciousScan
from etl.feed import FeedResult
from etl.load.source_health import Health
from etl.log import get, visible
from etl.records import RunResult, elapsed

#: Failed runs in a row before somebody is told; a refused key is told at once.
FAILURES = 3
#: The same news of the same source is told at most once in this time.
QUIET = timedelta(minutes=15)
_BACKLOG = 100
_END = ("", "")

Send = Callable[[str, str], bool]


class Notifier:
    """Does nothing without URLs. Raises ConfigError when they cannot be used. `send` is for tests."""

    def __init__(self, notify: Notify, redact: Callable[[str], str], *, send: Send | None = None) -> None:
        self._notify, self._redact = notify, redact
        self._told: dict[tuple[str, str], datetime] = {}
        self._stale: set[str] = set()
        self._send = send or (_apprise(notify) if notify.urls else None)
        self._queue: queue.Queue[tuple[str, str]] = queue.Queue(_BACKLOG)
        self._thread: threading.Thread | None = None
        if self.active:
            self._thread = threading.Thread(target=self._deliver, name="notify", daemon=True)
            self._thread.start()

    @property
    def active(self) -> bool:
        return self._send is not None

    def close(self) -> None:
        """What is waiting still goes out, if that takes less than a few seconds."""
        if self._thread is not None:
            try:
                self._queue.put(_END, timeout=1)
            except queue.Full:
                return
            self._thread.join(5)

    def ended(self, result: RunResult, before: Health | None, after: Health | None) -> None:
        """A run ended; the source stood so before it, and stands so now (None: unknown)."""
        news = judge(result, before, after)
        if news is None:
            return
        kind, title, text = news
        self._tell(kind, result.source, title, text, result.finished_at)

    def fed(self, result: FeedResult, before: int, after: int, moment: datetime) -> None:
        """A delivery ended; so many failed in a row before it, and now."""
        name = f"feed {result.destination}"
        if result.status == "ok" and before >= FAILURES:
            self._tell("recovery", name, f"{name} works again", "Everything is delivered.", moment)
        elif result.status == "failed" and after == FAILURES:
            text = f"{type(result.error).__name__}: {result.error}"
            self._tell("failure", name, f"{name} failed {FAILURES} times in a row", text, moment)

    def look(
        self, completed: Mapping[str, datetime | None], limits: Mapping[str, float], moment: datetime
    ) -> None:
        """Tell of sources not complete for longer than max_age and than twice their own interval."""
        for name, interval in limits.items():
            last = completed.get(name)
            if last is None:  # never loaded: its failures are told, its first load takes what it takes
                continue
            limit = timedelta(seconds=max(self._notify.max_age, 2 * interval))
            passed = elapsed(last, moment)
            if passed is not None and passed <= limit:
                self._stale.discard(name)
            elif name not in self._stale:
                self._stale.add(name)
                text = f"Last complete {last:%Y-%m-%d %H:%M} UTC, longer ago than {limit}."
                self._tell("staleness", name, f"{name} is stale", text, moment)

    def _tell(self, kind: str, source: str, title: str, text: str, moment: datetime) -> None:
        last = self._told.get((kind, source))
        if self._send is None or kind not in self._notify.on or _is_recent(last, moment):
            return
        self._told[kind, source] = moment
        try:
            told = (self._redact(f"bifrost-etl: {title}"), self._redact(text))
            self._queue.put_nowait((visible(told[0], lines=False), visible(told[1])))
        except queue.Full:
            get("notify").warning("notification_dropped", source=source, kind=kind)

    def _deliver(self) -> None:
        while (message := self._queue.get()) != _END:
            assert self._send is not None
            try:
                sent = self._send(*message)
            except Exception as error:  # noqa: BLE001 (Apprise's plugins raise what they like)
                get("notify").warning("notification_failed", error=type(error).__name__)
            else:
                if not sent:
                    get("notify").warning("notification_failed", title=message[0])


def judge(result: RunResult, before: Health | None, after: Health | None) -> tuple[str, str, str] | None:
    """Kind, title and text of what is worth telling about a run, if anything is."""
    troubled = before is not None and (before.failures >= FAILURES or before.disabled_at is not None)
    if result.status == "ok" and troubled:
        return "recovery", f"{result.source} works again", f"Run {result.run_id} succeeded."
    if result.status != "failed" or after is None:
        return None
    text = f"{type(result.error).__name__}: {result.error}"
    if after.disabled_at is not None and (before is None or before.disabled_at is None):
        return "failure", f"{result.source} is refused, and disabled until its settings change", text
    if isinstance(result.error, SuspiciousScan):
        return "failure", f"{result.source}: a reconcile looks wrong; nothing was marked", text
    if after.failures == FAILURES:
        return "failure", f"{result.source} failed {FAILURES} times in a row", text
    return None


def _apprise(notify: Notify) -> Send:
    try:
        import apprise
    except ModuleNotFoundError:
        raise ConfigError(
            "notify.urls needs Apprise, which is not installed", hint="pip install 'bifrost-etl[notify]'"
        ) from None
    outlet: Any = apprise.Apprise()
    for number, url in enumerate(notify.urls, start=1):
        if not outlet.add(url.reveal()):
            raise ConfigError(
                f"notify.urls: number {number} is no Apprise URL (it is not shown: it holds secrets)",
                hint="see https://github.com/caronc/apprise/wiki for the form of each service",
            )
    return lambda title, text: bool(outlet.notify(title=title, body=text))


def _is_recent(told: datetime | None, moment: datetime) -> bool:
    passed = elapsed(told, moment)
    return passed is not None and passed < QUIET
