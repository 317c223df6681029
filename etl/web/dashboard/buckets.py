"""How finely a range is cut: in minutes, hours or days; and where one that counts back from now begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from etl.analytics.filters import Filter

#: Ranges up to these lengths are cut in minutes and in hours.
MINUTES_UP_TO = timedelta(hours=2)
HOURS_UP_TO = timedelta(days=3)
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


def is_hourly(chosen: Filter) -> bool:
    """A range that was made whole may be longer by an hour."""
    return chosen.since is not None and (chosen.until or chosen.now) - chosen.since < HOURS_UP_TO + _HOUR


def is_minutely(chosen: Filter) -> bool:
    return chosen.since is not None and (chosen.until or chosen.now) - chosen.since < MINUTES_UP_TO + _MINUTE


def start_of_bar(since: datetime, now: datetime, zone: str) -> datetime:
    """The beginning of the bar that `since` lies in, of a chart from there to now."""
    here = since.astimezone(ZoneInfo(zone)).replace(second=0, microsecond=0)
    if now - since > MINUTES_UP_TO:
        here = here.replace(minute=0)
    if now - since > HOURS_UP_TO:
        here = here.replace(hour=0, fold=0)
    return here.astimezone(UTC)
