"""Bytes to JSON values that every database can hold, and back to text.

Databases refuse NUL and lone surrogates in text, and infinities in JSON. They arrive all the same.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

#: Levels of arrays and objects. Far below every decoder's and database's own limit.
MAX_DEPTH = 64
#: Longer integers than this stay text: Python itself refuses to read very long ones.
MAX_DIGITS = 100

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ESCAPED_NUL = b"\\u0000"
_fast_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode
_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}


class Unusable(Exception):
    """An item that cannot become a row; the message says why and quotes nothing of it.

    Never leaves this package: a page turns it into a reject. `value` is what was decoded, if anything.
    """

    def __init__(self, reason: str, value: Any = None) -> None:
        super().__init__(reason)
        self.value = value


def decode(raw: bytes) -> Any:
    """The JSON value, safe to store. Raises Unusable: not UTF-8, not JSON, too deep."""
    try:
        value = _fast_decode(raw)
        # msgspec refuses all else that databases refuse, so clean bytes pay for one search only.
        unsafe = _ESCAPED_NUL in raw
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value, unsafe = _patient_decode(raw), True
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and deeper_than(value, MAX_DEPTH):
        raise Unusable(f"nested deeper than {MAX_DEPTH} levels", value)
    return _storable(value) if unsafe else value


def _patient_decode(raw: bytes) -> Any:
    """Takes what msgspec refuses: control characters, half surrogate pairs, NaN, numbers out of range."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise Unusable(f"not UTF-8 (byte {exc.start})") from None
    try:
        return json.loads(text, strict=False, parse_float=_float, parse_int=_int, parse_constant=str)
    except json.JSONDecodeError as exc:
        raise Unusable(f"not JSON: {exc.msg} (character {exc.pos})") from None
    except RecursionError:
        raise Unusable(f"nested deeper than {MAX_DEPTH} levels") from None


def _float(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else digits


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def deeper_than(value: Any, levels: int) -> bool:
    """True when arrays and objects are nested more than `levels` deep; looks no deeper than that."""
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    return any(deeper_than(child, levels - 1) for child in children)


def clean(text: str) -> str:
    """NUL and lone surrogates become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _storable(child) for key, child in value.items()}
    return [_storable(child) for child in value] if isinstance(value, list) else value


def json_text(value: Any) -> str:
    """Compact JSON with sorted keys, of a value that `decode` gave."""
    return _encode(value).decode()


def json_type(value: Any) -> str:
    """string, number, boolean, object, array or null."""
    return _TYPES.get(type(value), "null")
