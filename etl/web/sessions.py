"""What a browser shows instead of the token: when its session ends, signed with a key made from the token.

Nothing is kept here: every service with the same token accepts it, and another token ends all sessions.
"""

from __future__ import annotations

import hashlib
import hmac

COOKIE = "bifrost_etl_session"
#: Seconds from signing in until the token is asked for again.
LASTS = 12 * 3600


def issue_cookie(token: str, now: float) -> str:
    """The cookie's value. `now` in seconds since 1970."""
    end = str(int(now) + LASTS)
    return f"{end}.{_sign_session(token, end)}"


def is_valid(value: str, token: str, now: float) -> bool:
    """Whether `issue_cookie` made this value for this token, and its time is not over."""
    end, _, signature = value.partition(".")
    if not (end.isascii() and end.isdigit() and len(end) <= 12 and signature.isascii()):
        return False
    return hmac.compare_digest(signature, _sign_session(token, end)) and now < int(end)


def _sign_session(token: str, end: str) -> str:
    key = hmac.digest(token.encode(), b"bifrost-etl session", hashlib.sha256)
    return hmac.digest(key, end.encode(), hashlib.sha256).hex()
