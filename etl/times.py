"""Lengths of time and moments as people write them: one grammar for settings, commands and pages.

A length is `500ms`, `30s`, `15m`, `1h30m`, `7d`, `2w` or a number of seconds. A moment is a length, counted
back from now, or `now`, `today`, `yesterday`, `2026-01-31`, `2026-01-31T14:00`, with or without a zone.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


class NoTime(ValueError):
    """A text that means no time; `hint` says what does."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


LENGTHS = "write 500ms, 30s, 15m, 1h30m, 7d or 2w"
MOMENTS = "write 7d, 1h30m, now, today, yesterday, 2026-01-31 or 2026-01-31T14:00"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdw])")
_LENGTH = re.compile(rf"(?:{_PART.pattern} ?)+")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_LONGEST = 1e10
#: What is earlier or later stands for these: zones and sums do not bear the years 1 and 9999.
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_ONE = timedelta(days=1)


def parse_length(text: str) -> float:
    """Seconds. Raises NoTime for what is no length, or longer than 300 years."""
    low = text.strip().lower()
    if _LENGTH.fullmatch(low):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(low))
    elif _NUMBER.fullmatch(low):
        seconds = float(low)
    else:
        raise NoTime(f"{text!r} is not a length of time", LENGTHS)
    if seconds >= _LONGEST:
        raise NoTime(f"{text!r} is longer than 300 years", LENGTHS)
    return seconds


def span_text(seconds: float) -> str:
    """`42s`, `12m`, `3h 10m`, `5d 2h`, `3d 20m`: two units at most, whole ones, none that is 0."""
    rest, parts = int(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:,}{unit}")
    return " ".join(parts[:2]) or "0s"


def duration_text(seconds: float) -> str:
    """How long something took: `8.25s`, `1m 42s`, `3h 10m`, `5d 2h`."""
    if abs(seconds) < 10:
        return f"{seconds:.3g}s"
    return ("-" if seconds < 0 else "") + span_text(round(abs(seconds)))


def which_time(here: datetime) -> str:
    """Nothing, but ` -05:00` where clocks show a time twice, as they do each autumn: tells the two apart."""
    first, second = (here.replace(fold=fold).utcoffset() for fold in (0, 1))
    return "" if first == second else f" {here.replace(microsecond=0).isoformat()[19:]}"


def parse_moment(text: str, now: datetime, zone: str, *, end: bool = False) -> datetime:
    """The instant (UTC) that `text` means to someone in `zone`; a day is its start or, with `end`, its end.

    A moment before 1970 or after 2200 is moved to there: nothing is stored beyond, a range there is empty.
    Raises NoTime for what is none.
    """
    try:
        found = _parse_moment(text.strip(), now, ZoneInfo(zone), end)
    except (ValueError, OverflowError):
        sign, positive = text.strip()[:1], text.strip()[1:].lower()
        if sign == "-" and _LENGTH.fullmatch(positive):
            hint = f"write {positive}: a length of time is already counted back from now"
            raise NoTime(f"{text!r} is a negative length of time", hint) from None
        raise NoTime(f"{text!r} is not a date, a time or a length of time", MOMENTS) from None
    first, last = (FIRST, LAST + _ONE) if end else (FIRST - _ONE, LAST)
    return min(max(found, first), last)


def _parse_moment(text: str, now: datetime, zone: ZoneInfo, end: bool) -> datetime:
    today = now.astimezone(zone).date()
    days = {"today": today, "yesterday": today - _ONE}
    low = text.lower()
    if low == "now":
        return now.astimezone(UTC)
    if low in days or _DAY.fullmatch(text):
        return _edge_of_day(days.get(low) or date.fromisoformat(text), zone, end)
    if _LENGTH.fullmatch(low):
        return (now - timedelta(seconds=parse_length(low))).astimezone(UTC)
    found = datetime.fromisoformat(text.upper())
    if not FIRST.year - 1 <= found.year <= LAST.year:
        return LAST + _ONE if found.year > LAST.year else FIRST - _ONE
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def _edge_of_day(day: date, zone: ZoneInfo, end: bool) -> datetime:
    day = min(max(day, FIRST.date() - 2 * _ONE), LAST.date() + 2 * _ONE)
    return datetime.combine(day + _ONE if end else day, time(), zone).astimezone(UTC)
