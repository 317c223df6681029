"""Rows as a few bytes each, so that two tables of a million can be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl.feed.tables import arrow_fields

if TYPE_CHECKING:
    import pyarrow as pa

#: Source → jobs of it.
WaitingJobs = Mapping[int, "pa.Array"]


@dataclass(frozen=True, slots=True)
class RowDigests:
    """What of each row is compared: a digest of its key, its day, and a digest of the columns `names`; if
    `days` are given, of their rows only."""

    fields: pa.Schema
    keys: tuple[str, ...]
    day: str
    names: tuple[str, ...]
    days: list[str] | None

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys((*self.names, *self.keys, self.day)))

    def of(self, batches: Iterable[pa.Table]) -> pa.Table:
        import pyarrow as pa

        kinds = {"key": pa.int64(), "day": pa.date32(), "digest": pa.int64()}
        return pa.concat_tables([pa.schema(kinds).empty_table(), *map(self._of_batch, batches)])

    def _of_batch(self, batch: pa.Table) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = batch.select(self.columns).cast(arrow_fields(self.fields, self.columns))
        day = days_of(rows[self.day])
        if self.days is not None:
            wanted = pc.is_in(day.cast(pa.string()), pa.array(self.days, pa.string()))
            rows, day = rows.filter(wanted), day.filter(wanted)
        key, digest = (_digest_columns([rows[name] for name in some]) for some in (self.keys, self.names))
        return pa.table({"key": key, "day": day, "digest": digest})

    def leave_out(self, found: pa.Table, waiting: WaitingJobs) -> pa.Table:
        """What was found, of a table whose key is source and job, without these jobs."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for source, jobs in waiting.items():
            keys = _digest_columns([pa.repeat(pa.scalar(source, pa.int64()), len(jobs)), jobs])
            found = found.filter(pc.invert(pc.is_in(found["key"], keys)))
        return found


def days_of(instants: Any) -> Any:
    import pyarrow as pa

    return instants.cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us")).cast(pa.date32(), safe=False)


def _digest_columns(columns: list[Any]) -> Any:
    import pyarrow as pa

    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    said = (repr(row).encode("utf-8", "surrogatepass") for row in rows)
    digests = (hashlib.blake2b(text, digest_size=8).digest() for text in said)
    return pa.array((int.from_bytes(digest, signed=True) for digest in digests), pa.int64())
