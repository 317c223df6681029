"""Watermarks: how far each source of each table has been delivered, and proof that it was this history."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa


class Mark(NamedTuple):
    """The last delivered key of one source, and a digest of what that row said."""

    key: int
    proof: str


#: Source id → mark, of one table in one destination.
Marks = Mapping[int, Mark]
START = Mark(0, "")
#: Where the mark of a table stands that is delivered whole: its rows, and a digest of all they say.
WHOLE = 0


def prove_row(values: Sequence[Any]) -> str:
    """A digest of columns that never change; the same from every database and every driver."""
    text = json.dumps([_plain_value(value) for value in values], ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=7).hexdigest()


def marks_of_rows(rows: pa.Table) -> dict[int, Mark]:
    """The mark of a table that holds exactly these rows."""
    said = hashlib.blake2b(repr(rows.schema.names).encode(), digest_size=7)
    for batch in rows.to_batches(max_chunksize=1_000):
        said.update(repr(batch.to_pylist()).encode("utf-8", "surrogatepass"))
    return {WHOLE: Mark(rows.num_rows, said.hexdigest())}


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return value


def encode_marks(marks: Marks) -> str:
    return json.dumps({str(source): list(mark) for source, mark in sorted(marks.items())})


def decode_marks(text: str | bytes | None) -> dict[int, Mark]:
    found = json.loads(text) if text else {}
    return {int(source): Mark(int(key), str(digest)) for source, (key, digest) in found.items()}
