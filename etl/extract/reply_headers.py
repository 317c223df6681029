"""What the headers of an answer say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from etl.extract.http import Reply


def answering_key(reply: Reply) -> str | None:
    """The gateway's key that answered, as it says from 2.0 on."""
    return reply.headers.get("X-Bifrost-Routing-Info-Key", "").strip() or None


def retry_after_seconds(reply: Reply, clock: Callable[[], datetime]) -> float | None:
    """Seconds until the time that Retry-After names, in either of its forms (RFC 9110, 10.2.3)."""
    text = reply.headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        moment = _parse_date(text)
    if moment is None:
        return None
    return max(0.0, (moment - (sent_at(reply) or clock())).total_seconds())


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
