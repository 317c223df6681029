"""What a destination holds against what it should hold: counted and summed by day, or row by row.

Rows up to a table's own marks are compared; what waits to be delivered is no fault. The mirror may have let
go of rows that stand there (`prune`): those are counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from etl.config import Mask
from etl.db.engine import storage_errors
from etl.feed import changes, watermarks
from etl.feed.arrow import as_is, join_batches
from etl.feed.masking import mask_rows, masked_columns
from etl.feed.row_digests import RowDigests, WaitingJobs, days_of
from etl.feed.sinks.base import Sink
from etl.feed.tables import (
    DAYS,
    KEYS,
    OBSERVED,
    RUNS,
    SMALL,
    STATE,
    STATE_COLUMNS,
    STREAMS,
    TWIN,
    VERSIONS,
    Stream,
    arrow_fields,
    arrow_schema,
    state_schema,
)
from etl.feed.watermarks import Marks
from etl.schema.tables import video_jobs
from etl.schema.views.dialects import make_dialect

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows are compared by parts of their keys' digests: so many.
_BUCKETS = 16
#: Day → rows, and the sum of their keys (of state: of their versions).
Sums = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class TableState:
    """One table of a destination. `rows` are there, `expected` here as far as they were delivered.

    `missing`, `doubled` and `changed` rows are wrong; `pruned` ones are there only. `days` (UTC) are those on
    which something is wrong. `waits` says that a table which is delivered whole has changed since. `masked`
    of the changed rows differ only where a mask may have left something out.
    """

    table: str
    rows: int
    expected: int
    missing: int = 0
    doubled: int = 0
    changed: int = 0
    pruned: int = 0
    days: tuple[str, ...] = ()
    waits: bool = False
    masked: int = 0

    @property
    def is_wrong(self) -> bool:
        return bool(self.missing or self.doubled or self.changed)


def compare_tables(
    engine: sa.Engine, sink: Sink, mask: Mask, *, deep: bool = False
) -> tuple[TableState, ...]:
    """Every table against the mirror: rows and a sum by day or, `deep`, every column of every row.

    Raises StorageError; whatever the destination's library raises.
    """
    found = [_compare_stream(engine, sink, stream, mask, deep) for stream in STREAMS]
    if sink.keeps_state:
        found.insert(1, _compare_state(engine, sink, mask, deep))
    return (*found, *(_compare_small(engine, sink, table, mask, deep) for table in SMALL))


def _compare_stream(engine: sa.Engine, sink: Sink, stream: Stream, mask: Mask, deep: bool) -> TableState:
    marks, day = sink.marks(stream.name), DAYS[stream.name]
    if not marks:
        return _compare_absent(engine, sink, stream.table, stream.table.c[stream.key].is_not(None))
    here = _sums_here(engine, stream.table, stream.key, day, _rows_up_to(stream, marks))
    there = _sums_there(sink.read(stream.name, ["source_id", stream.key, day]), stream.key, day)
    if here == there and not deep:
        return _compare_sums(stream.name, there)
    upper = {source: mark.key for source, mark in marks.items()}
    fields = arrow_schema(stream.table)
    # Files keep what a row was before.
    keys = KEYS[stream.name] if sink.keeps_state or stream.is_shared else ("source_id", stream.key)
    names = tuple(fields.names) if deep else (stream.key, day)
    days, equal = (None, 0) if deep else (_differing_days(here, there), _count_equal(here, there))

    def compare(names: tuple[str, ...]) -> TableState:
        digests = RowDigests(fields, keys, day, names, days)
        found = changes.read_changes(engine, stream, {}, upper)
        rows_here = (mask_rows(stream.name, batch.rows, mask) for batch in found)
        rows_there = sink.read(stream.name, digests.columns)
        return _by_row(stream.name, digests.of(rows_here), digests.of(rows_there), equal)

    return _count_masked(compare, names, compare(names))


def _compare_state(engine: sa.Engine, sink: Sink, mask: Mask, deep: bool) -> TableState:
    """Compare the state of jobs that have no version waiting: the mirror knows the newest state only."""
    marks, day = sink.marks(STATE), DAYS[STATE]
    if not marks:
        return _compare_absent(engine, sink, video_jobs, sa.true())
    where = [video_jobs.c.source_id.in_(list(marks)), ~_has_waiting_version(marks)]
    here = _sums_here(engine, video_jobs, "version", day, where)
    names: tuple[str, ...] = ("source_id", "job_id", "version", day)
    waiting = _read_waiting(engine, marks)
    there = _sums_there(_settled_rows(sink.read(STATE, names), marks, waiting), "version", day)
    if here == there and not deep:
        return _compare_sums(STATE, there)
    # These may change without a version, and do not travel alone; a twin is told with the run that found it.
    silent = ["progress", *OBSERVED, *([TWIN] if _runs_wait(engine, sink) else [])]
    names = tuple(name for name in STATE_COLUMNS if name not in silent) if deep else names
    days, equal = (None, 0) if deep else (_differing_days(here, there), _count_equal(here, there))

    def compare(names: tuple[str, ...]) -> TableState:
        digests = RowDigests(state_schema(), KEYS[STATE], day, names, days)
        query = sa.select(*(as_is(video_jobs.c[name]) for name in digests.columns)).where(*where)
        rows = changes.stream_query(engine, query, arrow_fields(state_schema(), digests.columns))
        found = digests.of(mask_rows(STATE, batch, mask) for batch in rows)
        waiting = _read_waiting(engine, marks)  # what has changed meanwhile, too
        rows_there = _settled_rows(sink.read(STATE, digests.columns), marks, waiting)
        return _by_row(STATE, digests.leave_out(found, waiting), digests.of(rows_there), equal)

    return _count_masked(compare, names, compare(names))


def _count_masked(
    compare: Callable[[tuple[str, ...]], TableState], names: tuple[str, ...], found: TableState
) -> TableState:
    """How many of the changed rows are equal but for what a mask leaves out."""
    plain = tuple(name for name in names if name not in masked_columns(found.table))
    if not found.changed or plain == names:
        return found
    return replace(found, masked=found.changed - compare(plain).changed)


def _has_waiting_version(marks: Marks) -> sa.ColumnElement[bool]:
    version = VERSIONS.table.c
    same = (version.source_id == video_jobs.c.source_id) & (version.job_id == video_jobs.c.job_id)
    return sa.select(sa.literal(1)).where(same, _is_waiting(marks)).exists()


def _read_waiting(engine: sa.Engine, marks: Marks) -> WaitingJobs:
    """By source the jobs of which a version waits."""
    import pyarrow.compute as pc

    version, fields = VERSIONS.table.c, arrow_schema(VERSIONS.table)
    query = sa.select(version.source_id, version.job_id).distinct().where(_is_waiting(marks))
    jobs = changes.read_query(engine, query, arrow_fields(fields, ("source_id", "job_id")))
    present = pc.unique(jobs["source_id"]).to_pylist()
    return {s: jobs.filter(pc.equal(jobs["source_id"], s))["job_id"].combine_chunks() for s in present}


def _is_waiting(marks: Marks) -> sa.ColumnElement[bool]:
    version = VERSIONS.table.c
    return sa.or_(
        *((version.source_id == s) & (version[VERSIONS.key] > mark.key) for s, mark in marks.items())
    )


def _runs_wait(engine: sa.Engine, sink: Sink) -> bool:
    marks = {RUNS.name: sink.marks(RUNS.name)}
    return bool(changes.find_bounds(engine, (RUNS,), marks).upper[RUNS.name])


def _compare_absent(
    engine: sa.Engine, sink: Sink, table: sa.Table, told: sa.ColumnElement[bool]
) -> TableState:
    """A table that has never been delivered, or that somebody has dropped: a delivered run says that all it
    wrote was delivered before."""
    name = str(table.name)
    if table is RUNS.table:
        return TableState(name, 0, 0, waits=bool(sink.marks(VERSIONS.name)))
    run = table.c.first_run_id if table is video_jobs else table.c.run_id
    written = [sa.and_(table.c.source_id == s, run <= mark.key) for s, mark in sink.marks(RUNS.name).items()]
    if not written:
        return TableState(name, 0, 0)
    query = sa.select(sa.func.count()).select_from(table).where(told, sa.or_(*written))
    with storage_errors(), engine.connect() as conn:
        missing = int(conn.scalar(query) or 0)
    return TableState(name, 0, missing, missing=missing)


def _compare_small(engine: sa.Engine, sink: Sink, table: sa.Table, mask: Mask, deep: bool) -> TableState:
    marks = sink.marks(table.name)
    expected = sum(mark.key for mark in marks.values())
    here = mask_rows(table.name, changes.read_whole_table(engine, table), mask)
    waits = marks != watermarks.marks_of_rows(here)
    compared = here.schema.names if deep and not waits else ["id"]
    there = [row for batch in sink.read(table.name, compared) for row in _rows_as(here.schema, batch)]
    missing, more = max(0, expected - len(there)), max(0, len(there) - expected)
    changed = 0 if waits else _count_changed(here.select(compared), there)
    return TableState(
        table.name, len(there), expected, missing=missing, doubled=more, changed=changed, waits=waits
    )


def _rows_as(fields: pa.Schema, batch: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.cast(arrow_fields(fields, batch.column_names)).to_pylist()
    return rows


def _count_changed(here: pa.Table, there: list[dict[str, Any]]) -> int:
    """Rows of which each has a key, `id`: how many say there what they do not say here."""
    ours = {row["id"]: row for row in here.to_pylist()}
    return sum(row != ours.get(row["id"]) for row in there)


def _rows_up_to(stream: Stream, marks: Marks) -> list[sa.ColumnElement[bool]]:
    columns = stream.table.c
    upto = [(columns.source_id == s) & (columns[stream.key] <= mark.key) for s, mark in marks.items()]
    return [sa.or_(*upto)]


def _sums_here(
    engine: sa.Engine, table: sa.Table, value: str, day: str, where: list[sa.ColumnElement[bool]]
) -> Sums:
    on: sa.ColumnElement[Any] = sa.literal_column(make_dialect(engine.dialect.name).day(day))
    query = sa.select(on, sa.func.count(), sa.func.sum(table.c[value])).where(*where).group_by(on)
    with storage_errors(), engine.connect() as conn:
        return {str(name): (int(rows), int(total)) for name, rows, total in conn.execute(query)}


def _sums_there(batches: Iterable[pa.Table], value: str, day: str) -> Sums:
    import pyarrow as pa
    import pyarrow.compute as pc

    sums: Sums = {}
    for batch in batches:
        columns = {"day": pc.cast(days_of(batch[day]), pa.string()), "value": batch[value]}
        grouped = pa.table(columns).group_by("day").aggregate([("value", "count"), ("value", "sum")])
        for row in grouped.to_pylist():
            rows, total = sums.get(row["day"], (0, 0))
            sums[row["day"]] = (rows + row["value_count"], total + row["value_sum"])
    return sums


def _compare_sums(table: str, sums: Sums) -> TableState:
    rows = sum(count for count, _ in sums.values())
    return TableState(table, rows, rows)


def _settled_rows(batches: Iterable[pa.Table], marks: Marks, waiting: WaitingJobs) -> Iterator[pa.Table]:
    """Of sources that have a mark, without the jobs of which a version waits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    marked = pa.array(list(marks), pa.int64())
    known = (batch.filter(pc.is_in(batch["source_id"], marked)) for batch in batches)
    for rows in join_batches(known) if waiting else known:
        for source, jobs in waiting.items():
            waits = pc.and_(pc.equal(rows["source_id"], source), pc.is_in(rows["job_id"], jobs))
            rows = rows.filter(pc.invert(waits))
        yield rows


def _differing_days(here: Sums, there: Sums) -> list[str]:
    return [day for day in here.keys() | there.keys() if here.get(day) != there.get(day)]


def _count_equal(here: Sums, there: Sums) -> int:
    """Rows of the days on which both say the same."""
    return sum(rows for day, (rows, total) in there.items() if here.get(day) == (rows, total))


def _by_row(table: str, here: pa.Table, there: pa.Table, equal: int) -> TableState:
    import pyarrow.compute as pc

    counts, days = Counter[str](), set[str]()
    for bucket in range(_BUCKETS):  # a join holds several times what it joins
        ours, theirs = (
            rows.filter(pc.equal(pc.bit_wise_and(rows["key"], _BUCKETS - 1), bucket))
            for rows in (here, there)
        )
        days |= _compare_bucket(ours, theirs, counts)
    return TableState(
        table,
        there.num_rows + equal,
        here.num_rows + equal,
        missing=counts["missing"],
        doubled=counts["doubled"],
        changed=counts["changed"],
        pruned=counts["pruned"],
        days=tuple(sorted(days)),
    )


def _compare_bucket(here: pa.Table, there: pa.Table, counts: Counter[str]) -> set[str]:
    """Count what is wrong. Returns the days on which anything is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    once = there.group_by("key").aggregate([("digest", "min"), ("day", "min"), ("digest", "count")])
    joined = here.join(once, keys="key", join_type="full outer")
    missing, pruned = pc.is_null(joined["digest_min"]), pc.is_null(joined["digest"])
    changed = pc.fill_null(pc.not_equal(joined["digest"], joined["digest_min"]), False)
    doubled = pc.fill_null(pc.greater(joined["digest_count"], 1), False)
    for name, flags in (("missing", missing), ("changed", changed), ("pruned", pruned)):
        counts[name] += _count_true(flags)
    counts["doubled"] += there.num_rows - once.num_rows
    wrong = joined.filter(pc.or_(pc.or_(missing, changed), doubled))
    return set(pc.unique(pc.coalesce(wrong["day"], wrong["day_min"])).cast(pa.string()).to_pylist())


def _count_true(flags: Any) -> int:
    import pyarrow.compute as pc

    return int(pc.sum(flags).as_py() or 0)
