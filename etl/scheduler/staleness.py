"""Which sources have grown stale, by what is remembered: the database may be what broke."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from etl.config import stale_after
from etl.records import time_elapsed
from etl.scheduler.news import News
from etl.times import span_text


class StaleWatch:
    """Remembers when each source was last complete, and which of them were called stale."""

    def __init__(self) -> None:
        self._completed: dict[str, datetime | None] = {}
        self._stale: set[str] = set()
        self._began: datetime | None = None

    def learn(self, completed: Mapping[str, datetime | None]) -> None:
        """When each source was last complete; None while its first load runs, which may take any time."""
        self._completed.update(completed)

    def look(self, limits: Mapping[str, float], max_age: float, moment: datetime) -> list[News]:
        """News of sources that have become stale or fresh. A source of which the database has told nothing
        yet counts from the first look. `limits` are the intervals in seconds, `max_age` the least limit."""
        self._began = self._began or moment
        return list(self._find_changes(limits, max_age, moment))

    def _find_changes(self, limits: Mapping[str, float], max_age: float, moment: datetime) -> Iterator[News]:
        for name, interval in limits.items():
            last = self._completed.get(name, self._began)
            if last is None:
                continue
            limit = timedelta(seconds=stale_after(max_age, interval))
            passed = time_elapsed(last, moment)
            if passed is not None and passed <= limit:
                if name in self._stale:
                    self._stale.discard(name)
                    yield News(
                        "recovery", name, f"{name} is fresh again", f"Complete at {_clock_time(last)}."
                    )
            elif name not in self._stale:
                self._stale.add(name)
                known = "Last complete" if name in self._completed else "Nothing known since"
                text = f"{known} {_clock_time(last)}, more than {span_text(limit.total_seconds())} ago."
                yield News("staleness", name, f"{name} is stale", text)


def _clock_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
