"""Bytes to JSON values that every database can hold, and back to text.

Databases refuse NUL and lone surrogates in text, and infinities in JSON. They arrive all the same.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from etl.json_parts import exceeds_parts

#: Levels of arrays and objects. Far below every decoder's and database's own limit.
MAX_DEPTH = 64
#: A longer id is no key.
MAX_ID = 512
#: Longer integers than this stay text: Python itself refuses to read very long ones.
MAX_DIGITS = 100

#: Arrays, objects, members and elements of one item, or of a page's extra_fields: a job has some twenty.
MAX_PARTS = 20_000
#: A job larger than this, without its videos, fits no database's message.
MAX_BYTES = 4 << 20

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ESCAPED_NUL = b"\\u0000"
_BACKSLASH, _BRACKET = b"\\["  # as integers: `92 in raw` takes an eighth of the time of `b"\\" in raw`
_fast_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode
_CONTAINERS = frozenset({dict, list})
_TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    dict: "object",
    list: "array",
}


class _OnlyId(msgspec.Struct):
    id: Any = None


_decode_id = msgspec.json.Decoder(_OnlyId).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
_NOT_KEPT = frozenset({"videos", "extra_fields"})


class Unusable(Exception):
    """An item that cannot become a row; the message says why and quotes nothing of it.

    A page turns it into a reject. `value` is what was decoded, if anything.
    """

    def __init__(self, reason: str, value: Any = None) -> None:
        super().__init__(reason)
        self.value = value


def decode_json(raw: bytes) -> Any:
    """The JSON value, safe to store. Raises Unusable: not UTF-8, not JSON, too deep, too much in it."""
    if exceeds_parts(raw, MAX_PARTS):
        raise Unusable(f"more than {MAX_PARTS:,} members and elements", _only_id(raw))
    try:
        value, unsafe = _fast_decode(raw), has_escaped_nul(raw)
    except _UNREADABLE:
        value, unsafe = _patient_decode(raw), True
    if (_BRACKET in raw or raw.rfind(b"{") > 0) and deeper_than(value, MAX_DEPTH):
        raise Unusable(f"nested deeper than {MAX_DEPTH} levels", value)
    return _storable_value(value) if unsafe else value


def without_videos(item: bytes) -> bytes:
    """The item, without its videos if it is large: nobody keeps them. Raises Unusable when it stays large."""
    if len(item) <= MAX_BYTES or exceeds_parts(item, MAX_PARTS):
        return item
    try:
        members = _decode_members(item)
    except _UNREADABLE:
        raise Unusable(f"larger than {MAX_BYTES >> 20} MiB, and no strict JSON") from None
    kept = [(_encode(name), memoryview(raw)) for name, raw in members.items() if name not in _NOT_KEPT]
    if sum(len(name) + len(value) + 1 for name, value in kept) > MAX_BYTES:  # asked before they are copied
        raise Unusable(f"larger than {MAX_BYTES >> 20} MiB without its videos", _only_id(item))
    return b"{" + b",".join(name + b":" + value for name, value in kept) + b"}"


def _only_id(raw: bytes) -> dict[str, Any] | None:
    """What a reject still tells of a job that is not decoded; reading past the rest of it takes no memory."""
    try:
        found = _decode_id(raw).id
    except _UNREADABLE:
        return None
    return {"id": found} if type(found) is str else None


def has_escaped_nul(raw: bytes) -> bool:
    """True when a text may hold NUL; msgspec itself refuses all else that databases refuse."""
    return _BACKSLASH in raw and _ESCAPED_NUL in raw  # clean bytes pay for a single-byte search only


def _patient_decode(raw: bytes) -> Any:
    """Takes what msgspec refuses: control characters, half surrogate pairs, NaN, numbers out of range."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise Unusable(f"not UTF-8 (byte {exc.start})") from None
    try:
        return json.loads(
            text, strict=False, parse_float=_read_float, parse_int=_read_int, parse_constant=str
        )
    except json.JSONDecodeError as exc:
        raise Unusable(f"not JSON: {exc.msg} (character {exc.pos})") from None
    except RecursionError:
        raise Unusable(f"nested deeper than {MAX_DEPTH} levels") from None


def _read_float(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else digits


def _read_int(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def deeper_than(value: Any, levels: int) -> bool:
    """True when arrays and objects are nested more than `levels` deep; looks no deeper than that."""
    if levels == 0:
        return type(value) in _CONTAINERS
    children = value.values() if type(value) is dict else value if type(value) is list else ()
    for child in children:  # noqa: SIM110 - twice as fast as any(), and every drifting item comes by
        if type(child) in _CONTAINERS and deeper_than(child, levels - 1):
            return True
    return False


def clean_text(text: str) -> str:
    """NUL and lone surrogates become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def _storable_value(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(key): _storable_value(child) for key, child in value.items()}
    return [_storable_value(child) for child in value] if isinstance(value, list) else value


def json_text(value: Any) -> str:
    """Compact JSON with sorted keys, of a value that `decode_json` gave."""
    return _encode(value).decode()


def json_type(kind: type) -> str:
    """string, number, boolean, object, array or null, of a decoded value's type."""
    return _TYPES.get(kind, "null")
