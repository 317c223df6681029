"""Cuts a JSON object into its members, bytes untouched, where a strict decoder refuses the whole of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = re.compile(r"[ \t\n\r]*+")
#: A text that is never closed goes on to the end.
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
#: Millions of digits are passed over, where a decoder would copy them.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+")
#: Only where a value ends is asked for; Python refuses to read integers of thousands of digits.
_read_value = json.JSONDecoder(strict=False, parse_int=str).raw_decode


class Garbled(Exception):
    """The body is no JSON object; the message says what is wrong."""


def cut_object(body: bytes, listed: str) -> tuple[dict[str, bytes], list[bytes] | None]:
    """The members' values, and the elements of the member `listed` if it is a list. Raises Garbled.

    Control characters, lone surrogates, NaN, bytes that are not UTF-8 and any depth are let through: they
    are the fault of the value that holds them.
    """
    cutter = _Cutter(body.removeprefix(_BYTE_ORDER_MARK))
    members: dict[str, bytes] = {}
    elements: list[bytes] | None = None
    cutter.require("{")
    for _ in cutter.walk_parts("}"):
        name = cutter.cut_name()
        if name == listed and cutter.skips("["):
            elements = [cutter.cut_value() for _ in cutter.walk_parts("]")]
        else:
            members[name] = cutter.cut_value()
    cutter.require_end()
    return members, elements


class _Cutter:
    """Goes through a body by Python's decoder. Latin-1 has a character for each byte, so that a place in the
    text is the same place in the body."""

    def __init__(self, body: bytes) -> None:
        self._body, self._text, self._at = body, body.decode("latin-1"), 0

    def skips(self, mark: str) -> bool:
        """Whether this mark comes next, after blanks; then it is passed."""
        self._skip_blanks()
        found = self._text.startswith(mark, self._at)
        self._at += len(mark) if found else 0
        return found

    def require(self, mark: str) -> None:
        if not self.skips(mark):
            raise Garbled(f"not a JSON object: no {mark!r} at byte {self._at:,}")

    def require_end(self) -> None:
        self._skip_blanks()
        if self._at < len(self._text):
            raise Garbled(f"more than a JSON object: it ends at byte {self._at:,}")

    def walk_parts(self, closing: str) -> Iterator[None]:
        """Stands before each part of an array or object in turn; whoever asks passes the part."""
        if self.skips(closing):
            return
        yield
        while not self.skips(closing):
            self.require(",")
            yield

    def cut_name(self) -> str:
        raw = self.cut_value()
        if not raw.startswith(b'"'):
            raise Garbled(f"not JSON: no name of a member before byte {self._at:,}")
        self.require(":")
        return str(json.loads(raw.decode(errors="replace"), strict=False))

    def cut_value(self) -> bytes:
        self._skip_blanks()
        start = self._at
        number = _NUMBER.match(self._text, start)
        self._at = number.end() if number else self._end_of_value(start)
        return self._body[start : self._at]

    def _end_of_value(self, start: int) -> int:
        try:
            return _read_value(self._text, start)[1]
        except json.JSONDecodeError as error:
            raise Garbled(f"not JSON: {error}") from None
        except RecursionError:
            return self._end_of_deep(start)

    def _end_of_deep(self, start: int) -> int:
        """Where a value ends that is nested too deep for any decoder: by its brackets, unread."""
        depth = 0
        for found in _TEXT_OR_BRACKET.finditer(self._text, start):
            mark = found[0]
            depth += (mark in "[{") - (mark in "]}")
            if depth == 0:
                return found.end()
        raise Garbled("truncated: it ends inside a list or an object")

    def _skip_blanks(self) -> None:
        blanks = _BLANKS.match(self._text, self._at)
        assert blanks is not None
        self._at = blanks.end()
