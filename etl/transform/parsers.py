"""Parsers of single values. Each returns None for "not known" and raises ValueError for what it cannot read,
so that the caller keeps the original.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

#: Unix times at or above these are milliseconds, microseconds, nanoseconds.
MILLISECONDS, MICROSECONDS, NANOSECONDS, _TOO_LATE = 10**11, 10**14, 10**17, 10**20
#: Times end here, before the year 2200: what every zone, database and sum of times bears.
LATEST = 7_258_118_400
#: A request that took eleven days, and more tokens than were ever counted, are none.
MAX_MILLISECONDS, MAX_TOKENS, MAX_SHARE = 1e9, 10**12, 1e6
#: A clip of eleven days is no clip.
MAX_SECONDS = 1e6
MAX_INT = 2**31 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = _EPOCH + timedelta(seconds=LATEST)
_ZERO_TIME_YEAR = 1  # Go's zero time, 0001-01-01T00:00:00Z
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
_UNITS = re.compile(r"\s*(s|secs?|seconds?)$", re.ASCII | re.IGNORECASE)
_SIZE = re.compile(r"\s*(\d{1,10})\s*[xX×]\s*(\d{1,10})\s*", re.ASCII)
_from_timestamp = datetime.fromtimestamp

#: What providers call the statuses that the gateway knows by other words.
STATUS_ALIASES = {
    "canceled": "cancelled",
    "in-progress": "in_progress",
    "preprocessing": "in_progress",
    "processing": "in_progress",
    "running": "in_progress",
    "complete": "completed",
    "done": "completed",
    "finished": "completed",
    "succeed": "completed",
    "succeeded": "completed",
    "success": "completed",
    "error": "failed",
    "fail": "failed",
    "failure": "failed",
    "not_start": "queued",
    "pending": "queued",
    "preparing": "queued",
    "queueing": "queued",
    "submitted": "queued",
    "throttled": "queued",
}


def parse_number(value: Any) -> float | None:
    """A finite number from a number or a numeric string; None for null and blank."""
    if value is None:
        return None
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        if not _NUMBER.fullmatch(value):
            raise ValueError("not a number")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    try:
        found = float(value)
    except OverflowError as exc:
        raise ValueError("too large") from exc
    if not math.isfinite(found):
        raise ValueError("not finite")
    return found


def parse_instant(value: Any) -> datetime | None:
    """UTC from unix seconds (also milli-, micro-, nanoseconds) or ISO 8601; naive is UTC; 0 is unknown."""
    if type(value) is int and 0 < value < LATEST:
        return _from_timestamp(value, UTC)
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return _in_range(_from_iso(value.strip()))
    unix = _exact_number(value)
    return None if unix is None else _in_range(_from_unix(unix))


def _exact_number(value: Any) -> float | None:
    """Digits too many for a float stay exact: nanoseconds need them."""
    if isinstance(value, str) and (digits := value.strip()).isascii() and digits.isdigit():
        return int(digits)
    return value if type(value) is int else parse_number(value)


def _from_unix(value: float) -> datetime | None:
    if value == 0:
        return None
    if not 0 < value < _TOO_LATE:
        raise ValueError("out of range")
    if value >= NANOSECONDS:
        return _EPOCH + timedelta(microseconds=value // 1000)
    if value >= MICROSECONDS:
        return _EPOCH + timedelta(microseconds=value)
    if value >= MILLISECONDS:
        return _EPOCH + timedelta(milliseconds=value)
    return _EPOCH + timedelta(seconds=value)


def _from_iso(text: str) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(text)
    if found.year == _ZERO_TIME_YEAR:
        return None
    found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    return found if found != _EPOCH else None


def _in_range(found: datetime | None) -> datetime | None:
    if found is not None and not _EPOCH < found < _END:
        raise ValueError("out of range")
    return found


def parse_percent(value: Any) -> float | None:
    """0–100; a fraction below 1 is scaled up. Exactly 1 is left for the caller, who knows the status."""
    if type(value) is int and 1 <= value <= 100:
        return float(value)
    found = parse_number(value)
    if found is None:
        return None
    if not 0 <= found <= 100:
        raise ValueError("out of range")
    return round(found * 100, 6) if 0 < found < 1 else found + 0.0


def parse_seconds(value: Any) -> float | None:
    """Length in seconds from 8, "8" or "8s"; 0 is unknown."""
    if type(value) is str and len(value) <= 16:
        return _seconds_text(value)
    return _known_length(parse_number(value))


@lru_cache(maxsize=256)  # a few lengths make up all jobs
def _seconds_text(text: str) -> float | None:
    return _known_length(parse_number(_UNITS.sub("", text.strip())))


def _known_length(found: float | None) -> float | None:
    if found is not None and not 0 <= found <= MAX_SECONDS:
        raise ValueError("out of range")
    return found or None


def parse_dimensions(size: str | None) -> tuple[int | None, int | None]:
    """Width and height in pixels from 1280x720; (None, None) when it says something else."""
    return _split_dimensions(size) if size is not None and len(size) <= 32 else (None, None)


@lru_cache(maxsize=256)  # a page's jobs repeat a few values
def _split_dimensions(size: str) -> tuple[int | None, int | None]:
    match = _SIZE.fullmatch(size)
    if not match:
        return None, None
    width, height = int(match[1]), int(match[2])
    return (width, height) if 0 < width <= MAX_INT and 0 < height <= MAX_INT else (None, None)
