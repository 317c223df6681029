"""The kinds of value that a configuration holds: secrets, durations, sizes, URLs, time zones, cron lines.

Each parser takes text (or a number) and returns the value; what is wrong raises ValueError. The message of a
`Wrong` may be shown: it never holds the value, because a secret can stand in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from etl.config.cron import parse_cron
from etl.config.secret import Secret, SecretUrl, Wrong
from etl.times import parse_length


def parse_duration(value: Any) -> float:
    """Seconds, from `500ms`, `30s`, `15m`, `1h30m`, `7d`, `2w` or a number of seconds."""
    if isinstance(value, str):
        return parse_length(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e10:
        raise ValueError
    return float(value)


def positive_duration(value: Any) -> float:
    """A duration longer than nothing."""
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError
    return seconds


_BYTES = {"": 1, "b": 1, **{f"{p}b": 1000**n for n, p in enumerate("kmgt", 1)}}
_BYTES |= {f"{p}ib": 1024**n for n, p in enumerate("kmgt", 1)}


def parse_size(value: Any) -> int:
    """Bytes, from `64MiB`, `10MB` or a number of bytes; at least one."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).lower())
    if isinstance(value, bool) or match is None or match[2] not in _BYTES:
        raise ValueError
    count = int(float(match[1]) * _BYTES[match[2]])
    if count < 1:
        raise ValueError
    return count


def parse_price(value: Any) -> Decimal:
    """An exact amount of money, 0 allowed: 0.10 stays 0.1 and does not become 0.1000000000000000055."""
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,8}(\.\d+)?(e-\d\d?)?", text):
        raise ValueError
    return Decimal(text)


def suggest_spelling(value: str, known: Iterable[str]) -> str:
    """`; 'ascc' is not one: did you mean asc?`, or nothing when the value is near to none.

    Only a value that is nearly a known word is repeated: anything else could be a secret in the wrong place.
    """
    import difflib  # only needed when something is wrong

    by_small = {word.lower(): word for word in known}
    near = difflib.get_close_matches(value.lower(), by_small, 1, 0.75)
    return f"; {value!r} is not one: did you mean {by_small[near[0]]}?" if near else ""


def time_zone(value: Any) -> str:
    """The name of a time zone that this machine knows."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    if not isinstance(value, str) or not value:
        raise ValueError
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, OSError) as exc:  # a folder of the database raises IsADirectoryError
        raise Wrong(f"expects {_ZONE}{suggest_spelling(value, available_timezones())}") from exc


_USUAL_PORTS = {"http": 80, "https": 443}


def http_url(value: Any) -> SplitResult:
    """An http or https URL with a host and a sound port; only the parts, nothing judged beyond that."""
    text = value.strip() if isinstance(value, str) else " "
    if re.search(r"[\s\x00-\x1f]", text):
        raise Wrong("expects a URL such as http://localhost:8080, without spaces")
    parts = _split_url(text)
    if parts.scheme not in ("http", "https"):
        raise Wrong("expects a URL that starts with http:// or https://")
    if not parts.hostname:
        raise Wrong("this URL names no host")
    return parts


def _split_url(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        # The parser's own message repeats the URL.
        raise Wrong("this URL cannot be read: look at its host and port") from None
    return parts


def base_url(value: Any) -> str:
    """The gateway's address, without a trailing slash and without a trailing /v1; spelled one way, because
    sources of one gateway are told by it."""
    parts = http_url(value)
    if "@" in parts.netloc:
        raise Wrong("credentials do not belong in this URL: use api_key, or username and password")
    if parts.query or parts.fragment:
        raise Wrong("this URL ends in a query or fragment: give only the gateway's address")
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{_host_and_port(parts)}{path}"


def _host_and_port(parts: SplitResult) -> str:
    host = parts.hostname or ""  # in small letters
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _USUAL_PORTS[parts.scheme]) else f"{host}:{parts.port}"


def proxy_url(value: Any) -> SecretUrl:
    """A proxy's address; may hold credentials, which stay hidden."""
    http_url(value)
    return SecretUrl(value.strip())


def secret_url(value: Any) -> SecretUrl:
    """A URL with a scheme; its password stays hidden. A variable or a file may end it with a line break."""
    text = value.strip() if isinstance(value, str) else ""
    if not re.match(r"[A-Za-z][\w+.-]*:", text):
        raise Wrong("expects a URL such as postgresql://user@host/name or sqlite:///file.db")
    _split_url(text)
    return SecretUrl(text)


def parse_place(value: Any) -> SecretUrl:
    """A URL, or the path of a folder; a URL's password stays hidden."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong("expects a folder, or a URL such as s3://bucket/folder or postgresql://user@host/name")
    _split_url(value)
    return SecretUrl(value)


def parse_secret(value: Any) -> Secret:
    """Text that stays hidden."""
    if not isinstance(value, str):
        raise Wrong("expects text; put quotes around it")
    if not value.strip():
        raise Wrong("is empty")
    return Secret(value)


def header_secret(value: Any) -> Secret:
    """A secret that can travel in an HTTP header."""
    text = parse_secret(value).reveal().strip()
    if not re.fullmatch(r"[\x20-\x7e]+", text):
        raise Wrong("holds a line break or a character that an HTTP header cannot carry")
    return Secret(text)


def existing_file(value: Any) -> Path:
    """A file that is there; relative paths start at the current directory."""
    if not isinstance(value, str) or not value:
        raise Wrong("expects the path of a file")
    path = Path(value).expanduser()
    if not path.is_file():
        raise Wrong("there is no such file")
    return path


#: A path below which a proxy shows pages; no `..` in it.
WEB_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


def parse_web_path(value: Any) -> str:
    """Such a path without a slash at its end; empty for none."""
    text = value.rstrip("/") if isinstance(value, str) else None
    if text is None or (text and not WEB_PATH.fullmatch(text)):
        raise ValueError
    return text


def parse_name(value: Any) -> str:
    """A short name that can stand in a table, a metric and a command line."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise ValueError
    return value


@dataclass(frozen=True)
class ParsedBy:
    """How a value is read, and what to tell someone whose value cannot be."""

    parse: Callable[[Any], Any]
    expects: str = "another value"


_ZONE = "the name of a time zone, such as UTC or Europe/Berlin"
_SPAN = "a duration such as 30s, 15m, 1h30m, 7d or 500ms, or a number of seconds"
#: Seconds, 0 allowed.
Duration = Annotated[float, ParsedBy(parse_duration, _SPAN)]
#: Seconds, more than 0.
PositiveDuration = Annotated[float, ParsedBy(positive_duration, f"{_SPAN}, greater than 0")]
#: Bytes.
Size = Annotated[int, ParsedBy(parse_size, "a size such as 64MiB, 10MB or a number of bytes, at least 1")]
Money = Annotated[Decimal, ParsedBy(parse_price, "an amount such as 0.10, at least 0")]
TimeZone = Annotated[str, ParsedBy(time_zone, _ZONE)]
Cron = Annotated[str, ParsedBy(parse_cron)]
BaseUrl = Annotated[str, ParsedBy(base_url)]
ProxyUrl = Annotated[SecretUrl, ParsedBy(proxy_url)]
DatabaseUrl = Annotated[SecretUrl, ParsedBy(secret_url)]
PlaceUrl = Annotated[SecretUrl, ParsedBy(parse_place)]
HiddenText = Annotated[Secret, ParsedBy(parse_secret)]
HeaderSecret = Annotated[Secret, ParsedBy(header_secret)]
ExistingFile = Annotated[Path, ParsedBy(existing_file)]
WebPath = Annotated[str, ParsedBy(parse_web_path, "a path such as /videos, or nothing")]
Name = Annotated[str, ParsedBy(parse_name, "1 to 64 letters, digits, dots, dashes or underscores")]
