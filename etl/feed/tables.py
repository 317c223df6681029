"""What the feed delivers: which tables, in which order of change, as which Arrow columns.

Large tables are read by a key that grows within a source, because each commit of a source holds its lease
row: the next commit's keys are larger, and come into sight later. Between sources there is no such order.
Small ones are delivered whole, when anything in them has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from etl.db.types import Bytes, UtcDateTime
from etl.records import TRACKED
from etl.schema.tables import (
    cache_lookups,
    coverage_gaps,
    job_details,
    job_requests,
    list_pages,
    prices,
    rejected_items,
    sources,
    sync_runs,
    video_job_versions,
    video_jobs,
)

if TYPE_CHECKING:
    import pyarrow as pa

#: The current state's columns, as far as history knows them: those that change with a version only.
STATE = "video_jobs"
_STATE_ONLY = ("first_seen_at", "last_changed_at", "unlisted_at", "unlisted_reason")
#: When a job was seen to start and to end, and how far off each may be, as the mirror has it.
OBSERVED = (
    "started_seen_at",
    "ended_seen_at",
    "first_seen_within",
    "started_seen_within",
    "ended_seen_within",
)
#: Which source counts a job that several have; null: its own.
TWIN = "twin_source_id"
STATE_COLUMNS = ("source_id", "job_id", *TRACKED, "settled", "version", *_STATE_ONLY, *OBSERVED, TWIN)

#: What history alone does not know: it may be pruned, and only the mirror's own rule says what is settled.
BESIDE = ("first_seen_at", *OBSERVED, "settled", "unlisted_at", TWIN)


@dataclass(frozen=True, slots=True)
class Stream:
    """A table that is read by a growing key. `proof` names columns that tell two rows of one key apart.

    `is_shared`: no two sources share a key. Without it each source is read by itself. A table without a proof
    has rows that move: told anew, one stands behind all others, and the key it had is nobody's. A row whose
    key is null is not told yet.
    """

    table: sa.Table
    key: str
    proof: tuple[str, ...]
    is_shared: bool = True

    @property
    def name(self) -> str:
        return self.table.name


VERSIONS = Stream(video_job_versions, "change_seq", ("job_id", "version", "valid_from"))
REQUESTS = Stream(job_requests, "request_seq", (), is_shared=False)
DETAILS = Stream(job_details, "detail_seq", (), is_shared=False)
PAGES = Stream(list_pages, "id", ("run_id", "received_at"))
LOOKUPS = Stream(cache_lookups, "id", ("page_id", "looked_up_at"))
RUNS = Stream(sync_runs, "id", ("started_at", "worker"))
#: Runs come last: a delivered run says that all it wrote has been delivered.
STREAMS = (VERSIONS, REQUESTS, DETAILS, PAGES, LOOKUPS, RUNS)
#: What is delivered as a whole whenever it has changed: few rows, any of which may change or go.
SMALL = (sources, prices, coverage_gaps, rejected_items)
#: Names of what stands in a destination, and the columns that identify a row there.
KEYS = {
    VERSIONS.name: ("change_seq",),
    STATE: ("source_id", "job_id"),
    REQUESTS.name: ("source_id", "request_id"),
    DETAILS.name: ("source_id", "job_id"),
    PAGES.name: ("id",),
    LOOKUPS.name: ("id",),
    RUNS.name: ("id",),
}

#: Where a destination can replace rows, those of these tables take the place of older ones of their key.
REPLACED = (STATE, REQUESTS.name, DETAILS.name)
#: What only the loader needs, and changes by itself.
_OURS = {REQUESTS.name: ("reads_left",), DETAILS.name: ("reads_left",)}

#: The instant by whose day (UTC) rows are compared, of each. It never changes: a row that replaces another
#: one has the same.
DAYS = {
    VERSIONS.name: "valid_from",
    STATE: "first_seen_at",
    REQUESTS.name: "first_seen_at",
    DETAILS.name: "queued_at",
    PAGES.name: "received_at",
    LOOKUPS.name: "looked_up_at",
    RUNS.name: "started_at",
}
#: The column that grows as rows come in, of each.
CHANGED = {
    VERSIONS.name: VERSIONS.key,
    STATE: "last_changed_at",
    **{stream.name: stream.key for stream in (REQUESTS, DETAILS, PAGES, LOOKUPS, RUNS)},
}


#: Columns, besides keys, by which readers and we look for rows.
_JOBS = dict.fromkeys((STATE, VERSIONS.name), ("job_id", "created_at"))
_LOOKED_FOR = {name: (DAYS[name], CHANGED[name], *_JOBS.get(name, ())) for name in DAYS}


def ranged_columns(table: str) -> list[str]:
    """Columns of which a lake knows each file's lowest and highest value."""
    return sorted({*KEYS.get(table, ("id",)), *_LOOKED_FOR.get(table, ())})


def target_tables(stream: Stream, *, state: bool) -> tuple[str, ...]:
    """The destination's tables that a stream fills."""
    return (stream.name, STATE) if state and stream is VERSIONS else (stream.name,)


def arrow_schema(table: sa.Table) -> pa.Schema:
    """The Arrow schema of a table: 64-bit integers, UTC microseconds, JSON as text; with our comments."""
    import pyarrow as pa

    return pa.schema(map(_arrow_field, delivered_columns(table)), {"comment": str(table.comment)})


def delivered_columns(table: sa.Table) -> list[sa.Column[Any]]:
    """The columns that a destination gets of a table."""
    return [column for column in table.columns if column.name not in _OURS.get(table.name, ())]


def delivered_names(table: sa.Table) -> list[str]:
    """The names of those columns."""
    return [str(column.name) for column in delivered_columns(table)]


def state_schema() -> pa.Schema:
    """The Arrow schema of the current state."""
    import pyarrow as pa

    fields = [_arrow_field(video_jobs.c[name]) for name in STATE_COLUMNS]
    return pa.schema(fields, {"comment": str(video_jobs.comment)})


def arrow_fields(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Some of a schema's fields."""
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in names])


def _arrow_field(column: sa.Column[Any]) -> pa.Field:
    import pyarrow as pa

    # Delta and Spark know a column's comment by the first name, Iceberg by the second.
    said = dict.fromkeys(("comment", "doc"), column.comment) if column.comment else None
    return pa.field(column.name, _arrow_type(column.type), metadata=said)


def _arrow_type(kind: sa.types.TypeEngine[Any]) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, UtcDateTime):
        return pa.timestamp("us", tz="UTC")
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    if isinstance(kind, sa.Float):
        return pa.float64()
    if isinstance(kind, sa.Numeric):  # of which Float is one
        return pa.decimal128(kind.precision or 38, kind.scale or 0)
    if isinstance(kind, Bytes):
        return pa.binary()
    return pa.string()
