"""JSON as pieces of bytes, so that a text can be replaced and every other byte stays as it came.

No decoder is asked: answers that are cut short, doubled, or no JSON at all are what recordings are made for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\],:]|[ \t\r\n]+|[^"{}\[\],:\s]+|\s', re.DOTALL)
_CLOSED = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NUMBER = re.compile(rb"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_WORDS = frozenset({b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity", b"\xef\xbb\xbf"})
_RAW_CONTROLS = re.compile(rb"[\x00-\x1f]")


class Piece(NamedTuple):
    """raw: its bytes. path: the names of the members that it stands in, outermost first.

    kind: text, cut (a text without its end), name, junk (what JSON does not know) or rest.
    """

    raw: bytes
    kind: str
    path: tuple[str, ...]


def cut_pieces(body: bytes) -> Iterator[Piece]:
    """Every byte of the body once, in order."""
    path: list[str | None] = []  # for each open bracket the member's name; None in a list
    is_name = False
    for match in _PIECE.finditer(body):
        raw = match[0]
        names = tuple(name for name in path if name is not None)
        if raw[:1] == b'"':
            if is_name and path and path[-1] is not None and _CLOSED.fullmatch(raw):
                path[-1] = text_of(raw)
                yield Piece(raw, "name", names[:-1])
            else:
                yield Piece(raw, "text" if _CLOSED.fullmatch(raw) else "cut", names)
            continue
        yield Piece(raw, "rest" if _is_plain(raw) else "junk", names)
        if raw == b"{":
            path.append("")
        elif raw == b"[":
            path.append(None)
        elif raw in (b"}", b"]") and path:
            path.pop()
        if raw in (b"{", b",", b":", b"["):
            is_name = raw in (b"{", b",")


def _is_plain(raw: bytes) -> bool:
    is_mark = raw in (b"{", b"}", b"[", b"]", b",", b":") or raw.isspace()
    return is_mark or raw in _WORDS or _NUMBER.fullmatch(raw) is not None


def text_of(raw: bytes) -> str:
    """What a string says; as well as can be told where it is no proper one."""
    inside = raw[1:-1] if _CLOSED.fullmatch(raw) else raw[1:]
    said = inside.decode("utf-8", "replace")
    try:
        return str(json.loads(f'"{said}"', strict=False))
    except ValueError:
        return said


def quote_like(text: str, like: bytes) -> bytes:
    """The text as a JSON string with the oddities of the one that it replaces: bytes that are no UTF-8, raw
    control characters, halves of characters, NUL, a missing end."""
    inside = json.dumps(text)[1:-1].encode() + _find_oddities(like)
    return b'"' + inside + (b'"' if _CLOSED.fullmatch(like) else b"")


def _find_oddities(raw: bytes) -> bytes:
    found = b"".join(sorted(set(_RAW_CONTROLS.findall(raw))))
    said = text_of(raw)
    if any(0xD800 <= ord(letter) < 0xE000 for letter in said):
        found += b"\\ud800"
    if "\0" in said and b"\0" not in raw:
        found += b"\\u0000"
    try:
        raw.decode()
    except UnicodeDecodeError:
        found += b"\xff"
    return found
