"""An answer becomes a page, or an object: what its body holds, and the errors that say why it is none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from etl.errors import GarbledAnswer
from etl.extract.cursors import NEXT
from etl.extract.decode import Envelope, Garbled, decode_object, decode_page
from etl.extract.http import Reply
from etl.extract.paging import find_end
from etl.extract.reply_headers import answering_key, is_from_cache, sent_at
from etl.records import PageRequest, RawPage

_T = TypeVar("_T")

_KNOWN = frozenset({"object", "first_id", "last_id", "has_more"})


def read_envelope(reply: Reply, where: str) -> Envelope:
    """Raises GarbledAnswer."""
    return _decode_json(reply, where, decode_page)


def read_object(reply: Reply, where: str) -> tuple[bytes, dict[str, bytes]]:
    """The object without the members that nobody keeps, and what was cut out. Raises GarbledAnswer."""
    return _decode_json(reply, where, decode_object)


def _decode_json(reply: Reply, where: str, decode: Callable[[bytes], _T]) -> _T:
    """The body decides, not its label: proxies call JSON what they like, and web pages too."""
    begin = reply.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_labelled = not kind or kind == "application/json" or kind.endswith("+json")
    if begin == b"<" or (begin not in (b"{", b"[") and not is_labelled):
        raise GarbledAnswer(
            f"{where}: answered {'a web page' if begin == b'<' else kind}, not JSON",
            status=200,
            hint="is base_url the gateway's own address? A wrong path answers with its web page",
            hopeless=True,
        )
    try:
        return decode(reply.body)
    except Garbled as error:
        hint = "look at the proxy in front of the gateway; a smaller page_size may pass"
        whole = reply.body.rstrip().endswith(b"}")
        raise GarbledAnswer(f"{where}: the body is {error}", status=200, hint=hint, whole=whole) from None


def require_list(envelope: Envelope, where: str) -> None:
    """Raises GarbledAnswer for what neither holds jobs nor calls itself a list."""
    if not envelope.listed and envelope.fields.get("object") != "list":
        hint = "is base_url a gateway? Something else answered"
        raise GarbledAnswer(f"{where}: JSON, but not a list of jobs", status=200, hint=hint, hopeless=True)


def make_page(request: PageRequest, reply: Reply, envelope: Envelope, tried: int, now: datetime) -> RawPage:
    """The page as the answer shows it, after `tried` attempts, complete at `now`."""
    fields = envelope.fields
    unknown = {name: value for name, value in fields.items() if name not in _KNOWN}
    last_id = _next_cursor(fields) or _take_text(fields, "last_id", unknown)
    return RawPage(
        request=request,
        items=tuple(envelope.items),
        first_id=_take_text(fields, "first_id", unknown),
        last_id=last_id,
        has_more=_take_flag(fields, unknown),
        extra_fields=envelope.extra_fields,
        received_at=now,
        http_status=reply.status,
        attempts=tried,
        duration=reply.seconds,
        size=len(reply.body),
        gateway_date=sent_at(reply),
        unknown=unknown,
        account=answering_key(reply),
        leads_to=find_end(envelope.items, last_id),
        cached=is_from_cache(reply),
    )


def _next_cursor(fields: dict[str, Any]) -> str | None:
    """What servers of other make say that leads on, unless it is an address."""
    said = next((fields[name] for name in NEXT if fields.get(name)), None)
    return said if isinstance(said, str) and not said.startswith(("/", "?")) and "://" not in said else None


def _take_text(fields: dict[str, Any], name: str, unknown: dict[str, Any]) -> str | None:
    value = fields.get(name)
    if isinstance(value, str):
        return value or None
    if value is not None:
        unknown[name] = value
    return None


def _take_flag(fields: dict[str, Any], unknown: dict[str, Any]) -> bool | None:
    value = fields.get("has_more")
    if value is None or isinstance(value, bool):
        return value
    unknown["has_more"] = value
    return None
