"""What the headers of an answer say."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from etl.extract.http import Reply
from etl.times import NoTime, parse_length

#: What to do about a cache that answers.
GATEWAY_CACHE = "switch the gateway's semantic cache off for this key; a cached list is out of date"
PROXY_CACHE = (
    "let the proxy or CDN before the gateway store nothing below /v1/videos: a cached list is out of date"
)
#: Where a cache between the gateway and us says that it answered: RFC 9211, and proxies' and CDNs' own words.
_CACHE_STATUS = ("Cache-Status", "X-Cache", "X-Cache-Status", "CF-Cache-Status", "X-Proxy-Cache")
_STORED = re.compile(r"(?:^|[\s,;_])(?:hit|stale|updating)\b", re.IGNORECASE)


def answering_key(reply: Reply) -> str | None:
    """The gateway's key that answered, as it says from 2.0 on."""
    return reply.headers.get("X-Bifrost-Routing-Info-Key", "").strip() or None


def is_from_cache(reply: Reply) -> bool:
    """Whether a cache on the way answered, not the gateway: it says how old the answer is (RFC 9111, 5.1), or
    that it had it in store. An answer that it has checked with the gateway is none of these."""
    age = reply.headers.get("Age", "").strip()
    if age.isdigit() and age.strip("0"):
        return True
    return any(_STORED.search(reply.headers.get(name, "")) for name in _CACHE_STATUS)


def retry_after_seconds(reply: Reply, clock: Callable[[], datetime]) -> float | None:
    """Seconds until the time that the answer names: as Retry-After, in its two forms (RFC 9110, 10.2.3) and
    in those that are met, or else, where a limit is reached, as the reset of that limit."""
    milliseconds = _plain_number(reply.headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = reply.headers.get("Retry-After", "").strip()
    named = _plain_number(text.split(",")[0])  # sent twice, its values come as one
    if named is None:
        named = _length(text)
    if named is not None:
        return named
    moment = _parse_date(text)
    if moment is None:
        return _reset_seconds(reply) if reply.status == 429 else None
    return max(0.0, (moment - (sent_at(reply) or clock())).total_seconds())


def _reset_seconds(reply: Reply) -> float | None:
    """Seconds until the last of the used-up limits is whole again, as OpenAI tells it: `6m0s`."""
    waits: list[float] = []
    for unit in ("requests", "tokens"):
        left = _plain_number(reply.headers.get(f"x-ratelimit-remaining-{unit}", ""))
        text = reply.headers.get(f"x-ratelimit-reset-{unit}", "")
        wait = _length(text)
        if wait is not None and not left:
            waits.append(wait)
    return max(waits, default=None)


def _plain_number(text: str) -> float | None:
    try:
        return max(0.0, float(text))  # none for NaN
    except ValueError:
        return None


def _length(text: str) -> float | None:
    try:
        return parse_length(text)
    except NoTime:
        return None


def sent_at(reply: Reply) -> datetime | None:
    """The Date header: the gateway's clock, in UTC."""
    return _parse_date(reply.headers.get("Date", ""))


@lru_cache(maxsize=64)  # a Date header changes once a second; pages come faster
def _parse_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
