"""A body becomes an envelope whose items are still bytes, so that one bad item is one reject.

msgspec does it in one pass. It refuses the whole body for what is only one item's fault (a lone surrogate,
NaN, a control character, a byte-order mark, deep nesting); then Python's own decoder cuts the items out.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from etl.extract.json_cutter import Garbled, cut_object
from etl.json_parts import exceeds_parts

__all__ = ["Envelope", "Garbled", "decode_members", "decode_object", "decode_page"]

#: Items that a page may hold: a hundred times what may be asked for.
MAX_ITEMS = 10_000
#: Arrays, objects, members and elements that a body may hold: thousands for each item of a full page.
MAX_PARTS = 250_000
#: Bytes beside `data` that are decoded leniently, which takes four times as much.
MAX_LENIENT = 8 << 20


class Envelope(msgspec.Struct):
    """The page as sent. `listed` says that there was a `data`, be it null; `fields` are the other members."""

    items: list[bytes]
    listed: bool
    fields: dict[str, Any]
    extra_fields: bytes | None


class _Ordinary(msgspec.Struct, forbid_unknown_fields=True):
    """The members that nearly every page has, and no other: one pass instead of two."""

    data: list[msgspec.Raw]
    object: Any = None
    first_id: Any = None
    last_id: Any = None
    has_more: Any = None
    extra_fields: msgspec.Raw = msgspec.Raw()


_ORDINARY = msgspec.json.Decoder(_Ordinary)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw] | None)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_page(body: bytes) -> Envelope:
    """Raises Garbled, also for a body that holds more than anybody asked for."""
    _check_parts(body)
    try:
        page = _ORDINARY.decode(body)
    except _UNREADABLE:
        pass  # outside of here, what the attempt has copied is free again
    else:
        return _check_items(_ordinary_envelope(page))
    return _check_items(_decode_any(body) or _decode_patiently(body))


def _ordinary_envelope(page: _Ordinary) -> Envelope:
    fields = {name: getattr(page, name) for name in ("object", "first_id", "last_id", "has_more")}
    items = [bytes(item) for item in page.data]
    return Envelope(items, True, fields, _given_extra(bytes(page.extra_fields)))


def _check_parts(body: bytes) -> None:
    """What decoding would cost a hundred times the body is not decoded."""
    if exceeds_parts(body, MAX_PARTS):
        raise Garbled(f"too much to decode: more than {MAX_PARTS:,} members and elements")


def _check_items(page: Envelope) -> Envelope:
    if len(page.items) > MAX_ITEMS:
        raise Garbled(f"too long a list: more than {MAX_ITEMS:,} items")
    return page


def _decode_any(body: bytes) -> Envelope | None:
    """None for a body that msgspec refuses."""
    try:
        members = _MEMBERS.decode(body)
        data, extra = members.pop("data", None), bytes(members.pop("extra_fields", b""))
        items = [bytes(item) for item in _ARRAY.decode(data or b"null") or []]
        fields = {n: msgspec.json.decode(v) for n, v in members.items()}
    except _UNREADABLE:
        return None
    return Envelope(items, data is not None, fields, _given_extra(extra))


def decode_members(body: bytes) -> dict[str, bytes]:
    """The members of an object, their values verbatim. Raises msgspec's errors, RecursionError."""
    return {name: bytes(raw) for name, raw in _MEMBERS.decode(body).items()}


def decode_object(body: bytes) -> tuple[bytes, dict[str, bytes]]:
    """An object without the members that nobody keeps, and what was cut out. Raises Garbled.

    An object that only a lenient reader reads is left whole.
    """
    _check_parts(body)
    try:
        members = decode_members(body)
    except _UNREADABLE:
        cut_object(body, "")
        return body, {}
    names = [name for name in members if name in ("videos", "content_filter", "extra_fields")]
    cut = {name: members.pop(name) for name in names}
    if not cut:
        return body, {}
    cut.pop("videos", None)  # a link, or megabytes of base64
    pairs = [msgspec.json.encode(name) + b":" + value for name, value in members.items()]
    return b"{" + b",".join(pairs) + b"}", cut


def _given_extra(extra: bytes) -> bytes | None:
    return None if extra in (b"", b"null") else extra


def _decode_patiently(body: bytes) -> Envelope:
    """A body that msgspec refuses: the elements of `data` stay as they are, the rest is decoded leniently."""
    members, items = cut_object(body, "data")
    data = members.pop("data", None)
    if sum(map(len, members.values())) > MAX_LENIENT:
        raise Garbled(
            f"no strict JSON, and too large to repair: more than {MAX_LENIENT >> 20} MiB beside its `data`"
        )
    if items is None and data not in (None, b"null"):
        raise Garbled("JSON, but its `data` is no list")
    fields = {name: _decode_leniently(value) for name, value in members.items()}
    extra = fields.pop("extra_fields", None)
    packed = None if extra is None else json.dumps(extra).encode()
    return Envelope(items or [], items is not None or data is not None, fields, packed)


def _decode_leniently(value: bytes) -> Any:
    try:
        return json.loads(value.decode(), strict=False, parse_int=_read_integer)
    except UnicodeDecodeError:
        raise Garbled("not UTF-8") from None
    except RecursionError:
        raise Garbled("nested too deep") from None


def _read_integer(digits: str) -> int | float:
    """Python refuses to read integers of thousands of digits."""
    return int(digits) if len(digits) < 1000 else float(digits)
