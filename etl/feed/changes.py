"""Rows out of the database, in the order of their keys, as Arrow: bounded memory, no long transaction.

Each query reads a few thousand rows after the last key and ends its transaction, so that a slow destination
holds up nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from etl.db.engine import is_sqlite, storage_errors
from etl.errors import StorageError
from etl.feed import watermarks
from etl.feed.arrow import as_is, fetch_raw_rows, make_record_batch
from etl.feed.tables import BESIDE, RUNS, Stream, arrow_schema, delivered_columns
from etl.feed.watermarks import START, Mark, Marks
from etl.schema.tables import sources, video_jobs

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of a query, rows and bytes of a batch. Raw answers make rows large, hence the bytes.
FETCH, BATCH_ROWS, BATCH_BYTES = 5_000, 50_000, 64 * 1024 * 1024
_FIRST_FETCH = 200  # until it is known how large rows are
_QUERY_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Some rows, and how far they reach: the last key of each source in them."""

    rows: pa.Table
    marks: dict[int, Mark]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is deliverable now: per stream, source id → last visible key."""

    upper: Mapping[str, Mapping[int, int]]


def find_bounds(engine: sa.Engine, streams: Sequence[Stream], delivered: Mapping[str, Marks]) -> Bounds:
    """How far each source may be delivered now. Runs are looked at first: see `tables.STREAMS`."""
    ordered = sorted(streams, key=lambda stream: stream is not RUNS)
    with storage_errors(), engine.connect() as conn:
        return Bounds({s.name: _highest_visible_keys(conn, s, delivered.get(s.name, {})) for s in ordered})


def _highest_visible_keys(conn: sa.Connection, stream: Stream, delivered: Marks) -> dict[int, int]:
    """The last visible key of each source that has any behind its mark. Every table answers for itself."""
    table = stream.table
    key = table.c[stream.key]
    last = sa.select(key).where(table.c.source_id == sources.c.id, key.is_not(None))
    if stream is RUNS:  # only the newest run of a source can still be running
        last = last.where(table.c.status != "running")
    last = last.order_by(key.desc()).limit(1)
    found = conn.execute(sa.select(sources.c.id, last.scalar_subquery()))
    return {s: top for s, top in found if top is not None and top > delivered.get(s, START).key}


def make_durable(engine: sa.Engine) -> None:
    """On SQLite a power cut may take back commits that were seen already: they stand in a log that nobody has
    told the disk to keep. A checkpoint would do so too, but waits for whoever reads."""
    if not is_sqlite(engine):
        return
    log = Path(f"{engine.url.database}-wal")
    for path in (log, log.parent):  # the folder as well: it may not know of the log yet
        with suppress(FileNotFoundError, PermissionError), _locked_file(path) as handle:
            os.fsync(handle)


@contextmanager
def _locked_file(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        yield handle
    finally:
        os.close(handle)


def verify_marks(engine: sa.Engine, stream: Stream, delivered: Marks) -> None:
    """Raises StorageError when the rows at the marks are not the ones that were delivered."""
    if not stream.proof:
        return  # the other tables' marks prove it
    wanted = {mark.key: (source, mark) for source, mark in delivered.items() if mark.key}
    columns = stream.table.c
    chosen = [columns[name] for name in (stream.key, "source_id", *stream.proof)]
    keys = list(wanted)
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        query = sa.select(*chosen).where(columns[stream.key].in_(chunk))
        with storage_errors(), engine.connect() as conn:
            found = {row[0]: (row[1], watermarks.prove_row(row[2:])) for row in conn.execute(query)}
        for key in chunk:
            source, mark = wanted[key]
            if found.get(key) != (source, mark.proof):
                raise _another_history(stream, source, key)


def _another_history(stream: Stream, source: int, key: int) -> StorageError:
    return StorageError(
        f"the destination holds {stream.name} of source {source} up to {stream.key} {key}, "
        "and this database does not have that row: it was restored from a backup, it is another database, "
        "or the destination was restored and the row has been pruned here since",
        hint="empty the destination, or name another one (a new url or dataset): it is filled from the start",
    )


def read_changes(
    engine: sa.Engine,
    stream: Stream,
    delivered: Marks,
    upper: Mapping[int, int],
    *,
    state: bool = False,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[ChangeBatch]:
    """The rows after `delivered` up to `upper`, per source, in the order of their keys.

    `state` adds columns of `video_jobs` that history does not have: `tables.BESIDE`.
    """
    collected: list[pa.RecordBatch] = []
    rows = size = 0
    latest: dict[int, Mark] = {}
    together = [upper] if stream.is_shared else [{source: high} for source, high in upper.items()]
    limit = min(FETCH, batch_rows)
    found = (part for some in together for part in _read_parts(engine, stream, delivered, some, state, limit))
    for part, marks in found:
        collected.append(part)
        latest.update(marks)
        rows, size = rows + part.num_rows, size + part.nbytes
        if rows >= batch_rows or size >= BATCH_BYTES:
            yield _make_batch(collected, latest)
            collected, latest, rows, size = [], {}, 0, 0
    if collected:
        yield _make_batch(collected, latest)


def _make_batch(parts: list[pa.RecordBatch], marks: dict[int, Mark]) -> ChangeBatch:
    import pyarrow as pa

    return ChangeBatch(pa.Table.from_batches(parts), marks)


def _read_parts(
    engine: sa.Engine,
    stream: Stream,
    delivered: Marks,
    upper: Mapping[int, int],
    state: bool,
    limit: int,
) -> Iterator[tuple[pa.RecordBatch, dict[int, Mark]]]:
    if not upper:
        return
    after, high = min(delivered.get(source, START).key for source in upper), max(upper.values())
    query, fields = _changes_query(stream, list(upper), state), _changes_schema(stream, state)
    key_at, size = fields.get_field_index(stream.key), min(limit, _FIRST_FETCH)
    while after < high:
        with storage_errors(), engine.connect() as conn:
            found = fetch_raw_rows(conn, query.limit(size), {"after": after, "high": high})
        if not found:
            return
        after = found[-1][key_at]
        part = _between_marks(make_record_batch(found, fields), stream.key, delivered, upper)
        if part.num_rows:
            yield part, _marks_after(part, stream)
            size = max(1, min(limit, _QUERY_BYTES * part.num_rows // max(part.nbytes, 1)))


def _between_marks(
    part: pa.RecordBatch, key: str, delivered: Marks, upper: Mapping[int, int]
) -> pa.RecordBatch:
    """The rows behind their source's mark and not above what is visible of it; of other sources none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    sources_ = list(upper)
    place = pc.index_in(part["source_id"], pa.array(sources_, pa.int64()))
    low = pc.take(pa.array([delivered.get(s, START).key for s in sources_], pa.int64()), place)
    high = pc.take(pa.array([upper[s] for s in sources_], pa.int64()), place)
    chosen = pc.and_(pc.greater(part[key], low), pc.less_equal(part[key], high))
    return part if pc.all(chosen, skip_nulls=False).as_py() else part.filter(chosen)


def _marks_after(part: pa.RecordBatch, stream: Stream) -> dict[int, Mark]:
    """The mark of each source after these rows, which are in the order of their keys."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pa.Table.from_batches([part.select(dict.fromkeys(("source_id", stream.key, *stream.proof)))])
    newest = rows.group_by("source_id").aggregate([(stream.key, "max")])[f"{stream.key}_max"]
    last = rows.filter(pc.is_in(rows[stream.key], newest.combine_chunks())).to_pylist()
    return {
        row["source_id"]: Mark(row[stream.key], watermarks.prove_row([row[name] for name in stream.proof]))
        for row in last
    }


def _changes_query(stream: Stream, chosen: list[int], state: bool) -> sa.Select[Any]:
    table, key = stream.table, stream.table.c[stream.key]
    query = sa.select(*(as_is(column) for column in delivered_columns(table)))
    if state:
        job = video_jobs.c
        same = (job.source_id == table.c.source_id) & (job.job_id == table.c.job_id)
        # A job whose status has changed since was not settled then.
        settled = sa.and_(job.settled, job.status == table.c.status).label("settled")
        beside = [settled if name == "settled" else job[name] for name in BESIDE]
        query = query.add_columns(*map(as_is, beside)).join_from(table, video_jobs, same)
    if not stream.is_shared:
        query = query.where(table.c.source_id.in_(chosen))
    elif len(chosen) <= 500:  # with more, most rows are wanted anyway
        # By its sources' index a planner would read all of them and sort: the key's range is less.
        query = query.where((table.c.source_id + 0).in_(chosen))
    return query.where(key > sa.bindparam("after"), key <= sa.bindparam("high")).order_by(key)


def _changes_schema(stream: Stream, state: bool) -> pa.Schema:
    import pyarrow as pa

    fields, jobs = arrow_schema(stream.table), arrow_schema(video_jobs)
    more = [jobs.field(name) for name in BESIDE] if state else []
    return pa.schema([*fields, *more], fields.metadata)


def read_whole_table(engine: sa.Engine, table: sa.Table) -> pa.Table:
    """All rows of a small table, in the order of their keys. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        rows = conn.execute(sa.select(table).order_by(table.c.id)).fetchall()
    return table_of(rows, arrow_schema(table))


def read_query(engine: sa.Engine, query: sa.Select[Any], fields: pa.Schema) -> pa.Table:
    """The rows of a query of few columns, which may be many. Raises StorageError."""
    import pyarrow as pa

    return pa.concat_tables([fields.empty_table(), *stream_query(engine, query, fields)])


def stream_query(engine: sa.Engine, query: sa.Select[Any], fields: pa.Schema) -> Iterator[pa.Table]:
    """The rows of a query, some thousands at once. Its transaction lasts until the last of them is taken."""
    with (
        storage_errors(),
        engine.connect() as conn,
        conn.execute(query, execution_options={"yield_per": FETCH}) as found,
    ):
        for rows in found.partitions():
            yield table_of(rows, fields)


def table_of(rows: Sequence[Sequence[Any]], fields: pa.Schema) -> pa.Table:
    """Rows whose values stand in the order of `fields`."""
    import pyarrow as pa

    return pa.Table.from_batches([make_record_batch(rows, fields)])
