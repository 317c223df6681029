"""Ranges of time as people say them, and days as their clocks cut them."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from etl.errors import ConfigError
from etl.schema.views.dialects import Dialect

_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: Stored instants lie between these (etl.transform.parsers); zones and sums do not bear the years 1 and 9999.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_HINT = "write 7d, 24h, today, yesterday, 2026-01-31 or 2026-01-31T14:00"


def moment(text: str, now: datetime, zone: str, *, end: bool = False) -> datetime:
    """The instant (UTC) that `text` means to someone in `zone`.

    `7d` and `24h` count back from `now`; a day is its start, or with `end` its end. What lies beyond all that
    is stored is moved to where that ends: a range there is empty, and no error. Raises ConfigError.
    """
    first, last = (_FIRST, _LAST + _DAY) if end else (_FIRST - _DAY, _LAST)
    return min(max(_moment(text, now, zone, end), first), last)


def _moment(text: str, now: datetime, zone: str, end: bool) -> datetime:
    text, here = text.strip().lower(), ZoneInfo(zone)
    span = _SPAN.fullmatch(text)
    today = now.astimezone(here).date()
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        if span:
            return (now - timedelta(**{_UNITS[span[2]]: int(span[1])})).astimezone(UTC)
        if text == "now":
            return now.astimezone(UTC)
        if text in named or re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = named.get(text) or date.fromisoformat(text)
            day = min(max(day, _FIRST.date() - 2 * _DAY), _LAST.date() + 2 * _DAY)
            return _start(day + _DAY if end else day, here)
        found = datetime.fromisoformat(text.upper())
        if not _FIRST.year - 1 <= found.year <= _LAST.year:
            return _LAST + _DAY if found.year > _LAST.year else _FIRST - _DAY
        return (found if found.tzinfo else found.replace(tzinfo=here)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(f"{text!r} is no date, time or length of time", hint=_HINT) from None


def _start(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def local_day(d: Dialect, column: str, zone: str, since: datetime, until: datetime) -> str:
    """The day of `column` in `zone`, for instants from `since` to `until`.

    The databases' own time zones differ, and SQLite has none: the offsets in force are written out, one for
    each time that the clocks change.
    """
    return _by_offset(
        column, zone, since, until, d, lambda ahead: d.day(d.shifted(column, ahead) if ahead else column)
    )


def local_hour(d: Dialect, column: str, zone: str, since: datetime, until: datetime) -> str:
    """The UTC text of the instant at which the hour of `column` begins on the clocks of `zone`.

    In India hours begin at half past those of UTC.
    """

    def hour(ahead: int) -> str:
        past = ahead % 3600
        return d.hour_past(column, past) if past else d.hours(column)

    return _by_offset(column, zone, since, until, d, hour)


def _by_offset(
    column: str, zone: str, since: datetime, until: datetime, d: Dialect, sql: Callable[[int], str]
) -> str:
    """What `sql` gives for the seconds that the clocks are ahead of UTC, whatever those are at `column`."""
    offsets = list(_offsets(ZoneInfo(zone), since, until)) or [(until, _offset(ZoneInfo(zone), until))]
    cases = [sql(offset) for _, offset in offsets]
    if len(set(cases)) == 1:
        return cases[0]
    whens = "".join(
        f" WHEN {column} < {d.instant(end)} THEN {case}"
        for (end, _), case in zip(offsets, cases, strict=True)
    )
    return f"CASE{whens} ELSE {cases[-1]} END"


def _offsets(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, int]]:
    """(end, seconds ahead of UTC) of each stretch of time without a change of the clocks."""
    start, day = since, timedelta(days=1)
    while start < until:
        end = start
        while end < until and _offset(zone, end) == _offset(zone, start):
            end += day
        end = min(end, until)
        if _offset(zone, end) != _offset(zone, start):
            end = _change(zone, max(start, end - day), end)
        yield end, _offset(zone, start)
        start = end


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second with the new offset."""
    old = _offset(zone, before)
    span = range(int((after - before).total_seconds()) + 1)
    return before + timedelta(
        seconds=bisect(span, 0, key=lambda s: _offset(zone, before + timedelta(seconds=s)) != old)
    )


def _offset(zone: ZoneInfo, at: datetime) -> int:
    ahead = at.astimezone(zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())
