"""Watermarks: how far each source of each table has been delivered, and proof that it was this history."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Mark(NamedTuple):
    """The last delivered key of one source, and a digest of what that row said."""

    key: int
    proof: str


#: Source id → mark, of one table in one destination.
Marks = Mapping[int, Mark]
START = Mark(0, "")


def proof(values: Sequence[Any]) -> str:
    """A digest of columns that never change; the same from every database and every driver."""
    text = json.dumps([_plain(value) for value in values], ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=7).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return value


def encode(marks: Marks) -> str:
    return json.dumps({str(source): list(mark) for source, mark in sorted(marks.items())})


def decode(text: str | bytes | None) -> dict[int, Mark]:
    found = json.loads(text) if text else {}
    return {int(source): Mark(int(key), str(digest)) for source, (key, digest) in found.items()}
