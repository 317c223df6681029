"""A body becomes an envelope whose items are still bytes, so that one bad item is one reject.

msgspec does it in one pass. It refuses the whole body for what is only one item's fault (a lone surrogate,
NaN, a control character, a byte-order mark, deep nesting); then a scanner cuts the items out verbatim.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from etl.json_parts import exceeds_parts

#: Items that a page may hold: a hundred times what may be asked for.
MAX_ITEMS = 10_000
#: Arrays, objects, members and elements that a body may hold: thousands for each item of a full page.
MAX_PARTS = 250_000
#: Bytes beside `data` that are decoded leniently, which takes four times as much.
MAX_LENIENT = 8 << 20

_ITEM_END = re.compile(rb'["\[\]{},]')
_TEXT_REST = re.compile(rb'(?:[^"\\]++|\\.)*+"', re.DOTALL)


class Envelope(msgspec.Struct):
    """The page as sent. `listed` says that there was a `data`, be it null; `fields` are the other members."""

    items: list[bytes]
    listed: bool
    fields: dict[str, Any]
    extra_fields: bytes | None


class Garbled(Exception):
    """The body is no JSON object; the message says what is wrong."""


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
        return _check_items(_decode_any(body))
    fields = {name: getattr(page, name) for name in ("object", "first_id", "last_id", "has_more")}
    envelope = Envelope(
        [bytes(item) for item in page.data], True, fields, _given_extra(bytes(page.extra_fields))
    )
    return _check_items(envelope)


def _check_parts(body: bytes) -> None:
    """What decoding would cost a hundred times the body is not decoded."""
    if exceeds_parts(body, MAX_PARTS):
        raise Garbled(f"too much to decode: more than {MAX_PARTS:,} members and elements")


def _check_items(page: Envelope) -> Envelope:
    if len(page.items) > MAX_ITEMS:
        raise Garbled(f"too long a list: more than {MAX_ITEMS:,} items")
    return page


def _decode_any(body: bytes) -> Envelope:
    try:
        members = decode_members(body)
        data, extra = members.pop("data", None), members.pop("extra_fields", b"")
        items = [bytes(item) for item in _ARRAY.decode(data or b"null") or []]
        fields = {n: msgspec.json.decode(v) for n, v in members.items()}
    except _UNREADABLE:
        return _scan_page(body)
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
        _check_object(body)
        return body, {}
    names = [name for name in members if name in ("videos", "content_filter", "extra_fields")]
    cut = {name: members.pop(name) for name in names}
    if not cut:
        return body, {}
    cut.pop("videos", None)  # a link, or megabytes of base64
    pairs = [msgspec.json.encode(name) + b":" + value for name, value in members.items()]
    return b"{" + b",".join(pairs) + b"}", cut


def _check_object(body: bytes) -> None:
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not text.startswith(b"{"):
        raise Garbled("not a JSON object")
    _check_item(text)


def _given_extra(extra: bytes) -> bytes | None:
    return None if extra in (b"", b"null") else extra


def _scan_page(body: bytes) -> Envelope:
    """A body that msgspec refuses: `data` is cut out, its elements are taken verbatim, the rest is decoded
    leniently. Elements are cut without recursion, so that one which is nested too deep costs only itself."""
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    start = _value_start(body, b"data")
    if start is None or body[start : start + 1] != b"[":
        return _without_list(_decode_leniently(body))
    items, end = _cut_elements(body, start)
    for item in items:
        _check_item(item)
    fields = _decode_leniently(body[:start] + b"null" + body[end:])
    fields.pop("data", None)
    return Envelope(items, True, fields, _repack_fields(fields))


def _without_list(fields: dict[str, Any]) -> Envelope:
    listed = "data" in fields
    if fields.pop("data", None) is not None:
        raise Garbled("JSON, but its `data` is no list")
    return Envelope([], listed, fields, _repack_fields(fields))


def _repack_fields(fields: dict[str, Any]) -> bytes | None:
    extra = fields.pop("extra_fields", None)
    return None if extra is None else json.dumps(extra).encode()


def _check_item(item: bytes) -> None:
    """An element that is no JSON at all may have swallowed its neighbours: then the body is broken."""
    try:
        json.loads(item.decode("utf-8", "surrogateescape"), strict=False)
    except json.JSONDecodeError as error:
        raise Garbled(f"not JSON: {error}") from None
    except (RecursionError, ValueError):
        return  # too deep, or a number too long: its own fault, and its own reject


def _decode_leniently(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_LENIENT:
        raise Garbled(f"not to be read as it is: more than {MAX_LENIENT >> 20} MiB beside its `data`")
    try:
        parsed = json.loads(body.decode(), strict=False, parse_int=_read_integer)
    except UnicodeDecodeError as error:
        raise Garbled(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise Garbled("nested too deep") from None
    except ValueError as error:
        raise Garbled(f"not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise Garbled(f"JSON, but not an object: {type(parsed).__name__}")
    return parsed


def _read_integer(digits: str) -> int | float:
    """Python refuses to read integers of thousands of digits."""
    return int(digits) if len(digits) < 1000 else float(digits)


def _value_start(body: bytes, name: bytes) -> int | None:
    """Where the value of a top-level member begins."""
    depth, at = 0, 0
    while match := _ITEM_END.search(body, at):
        mark, at = match[0], match.end()
        if mark == b'"':
            end = _string_end(body, at)
            after = end
            while body[after : after + 1].isspace():
                after += 1
            if depth == 1 and body[at : end - 1] == name and body[after : after + 1] == b":":
                after += 1
                while body[after : after + 1].isspace():
                    after += 1
                return after
            at = end
        elif mark in b"{[":
            depth += 1
        elif mark in b"}]":
            depth -= 1
    return None


def _string_end(body: bytes, at: int) -> int:
    """Just behind the quote that closes the string whose first character is at `at`."""
    rest = _TEXT_REST.match(body, at)
    if rest is None:
        raise Garbled("truncated: it ends inside a text")
    return rest.end()


def _cut_elements(body: bytes, start: int) -> tuple[list[bytes], int]:
    """The elements of the array at `start`, verbatim, and where it ends. No recursion."""
    items: list[bytes] = []
    depth, begin, at = 0, start + 1, start
    while match := _ITEM_END.search(body, at):
        mark, at = match[0], match.end()
        if mark == b'"':
            at = _string_end(body, at)
        elif mark in b"[{":
            depth += 1
        elif mark == b"," and depth == 1:
            items.append(body[begin : match.start()].strip())
            begin = at
        elif mark in b"]}":
            depth -= 1
            if depth == 0:
                last = body[begin : match.start()].strip()
                return items + ([last] if last or items else []), at
    raise Garbled("truncated: it ends inside the list")
