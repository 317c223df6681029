"""What the parameters of MySQL's and MariaDB's URLs mean to PyMySQL, whichever client's they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

#: How each client calls encryption, and how its words are told.
_MODES = ("ssl-mode", "ssl_mode", "sslmode", "sslMode")
_SWITCHES = ("useSSL", "requireSSL", "ssl", "tls")
_OFF = ("disabled", "disable", "false", "0", "no")
_TRYING = ("preferred", "prefer", "allow")
_ENCRYPTED = ("required", "require", "true", "1", "yes", "skip-verify")
_CHECKED = ("verify_ca", "verify-ca")
_NAMED = ("verify_identity", "verify-identity", "verify-full", "verify_full")
_NUMBERS = ("connect_timeout", "read_timeout", "write_timeout", "max_allowed_packet")
_TEXTS = ("unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "bind_address", "server_public_key")
_TRUTHS = ("ssl_verify_cert", "ssl_verify_identity", "ssl_disabled")
#: What we set ourselves, or what means nothing to us, in the words of other clients.
_IGNORED = (
    *("charset", "characterEncoding", "useUnicode", "serverTimezone", "parseTime", "loc"),
    "allowPublicKeyRetrieval",
)


def read_url(url: sa.URL) -> tuple[sa.URL, dict[str, Any], str | None]:
    """The URL without its parameters, what they mean to PyMySQL, and what is wrong with one."""
    arguments: dict[str, Any] = {}
    for name, value in url.query.items():
        found = _read_option(name, str(value))
        if isinstance(found, str):
            return url, {}, found
        arguments |= found
    return url.set(query={}), arguments, None


def _read_option(name: str, value: str) -> dict[str, Any] | str:
    if name in _MODES or name in _SWITCHES:
        return _read_encryption(name, value.lower())
    if name in _IGNORED:
        return {}
    reader = _READERS.get(name)
    if reader is None:
        return f"MySQL's and MariaDB's URLs have no parameter {name} here"
    try:
        return {name: reader(value)}
    except ValueError:
        return f"{name} cannot be {value[:40]!r}"


def _read_encryption(name: str, value: str) -> dict[str, Any] | str:
    if value in _OFF:
        return {"ssl_disabled": True}
    if value in _TRYING:
        return {}
    if value in _ENCRYPTED:
        return {"ssl": {"verify_mode": "none"}}
    if value in _CHECKED:
        return {"ssl_verify_cert": True}
    if value in _NAMED:
        return {"ssl_verify_cert": True, "ssl_verify_identity": True}
    return f"{name} takes disabled, preferred, required, verify-ca or verify-identity, not {value[:40]!r}"


def _read_truth(value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise ValueError
    return value.lower() in ("true", "1")


_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(_NUMBERS, int),
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(_TRUTHS, _read_truth),
}
