"""Rows that a destination holds already and that have changed here without a change of their own.

Texts that somebody had erased, and jobs of which another source turned out to be the one that counts them.
The destination's own rows are put right, so that it never gets ahead of its marks; done again after a crash,
it finds nothing left to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from etl.config import Mask
from etl.db.engine import storage_errors
from etl.feed.arrow import join_batches
from etl.feed.changes import read_query, table_of
from etl.feed.masking import mask_rows
from etl.feed.sinks.base import OnlyRows, Sink
from etl.feed.tables import (
    DETAILS,
    PAGES,
    REQUESTS,
    RUNS,
    STATE,
    TWIN,
    VERSIONS,
    arrow_fields,
    arrow_schema,
    state_schema,
)
from etl.schema.tables import video_jobs

if TYPE_CHECKING:
    import pyarrow as pa

#: Source and id of each job whose texts are gone.
ErasedJobs = set[tuple[int, str]]
#: Rows that are put right at once, and keys of one question to the database.
_AT_ONCE, _KEYS = 20_000, 500


@dataclass(frozen=True, slots=True)
class _Texts:
    """Columns of a table that may quote a prompt, and what names a row within its source."""

    table: sa.Table
    key: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.table.name)

    @property
    def is_of_jobs(self) -> bool:
        return "job_id" in self.table.c


_TEXTS = (
    _Texts(VERSIONS.table, "change_seq", ("prompt", "error_message", "extra")),
    _Texts(REQUESTS.table, "request_id", ("error_message",)),
    _Texts(DETAILS.table, "job_id", ("filter_reasons",)),
    _Texts(PAGES.table, "id", ("raw_request", "raw_response", "extra")),
    _Texts(RUNS.table, "id", ("error_message",)),
)


def find_erased(versions: pa.Table) -> ErasedJobs:
    """The jobs whose erasure is among these changes."""
    import pyarrow.compute as pc

    told = versions.filter(pc.equal(versions["op"], "erase"))
    return set(zip(told["source_id"].to_pylist(), told["job_id"].to_pylist(), strict=True))


def find_scanned(runs: pa.Table) -> list[int]:
    """The sources of which one of these runs went through the whole list."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = runs.filter(pc.is_in(runs["kind"], pa.array(["first", "reconcile"])))
    return sorted(set(whole["source_id"].to_pylist()))


def correct_texts(engine: sa.Engine, sink: Sink, mask: Mask, erased: ErasedJobs) -> None:
    """Take out of a destination's tables what an erasure has taken out of ours.

    Where we no longer have a row (`prune`), its texts go too, unless they are a raw answer that names none
    of the jobs. Raises StorageError; whatever the destination's library raises.
    """
    for texts in _TEXTS:
        done: set[tuple[Any, ...]] = set()
        while (rows := _next_wrong_texts(engine, sink, mask, texts, erased, done)) is not None:
            sink.replace(texts.name, rows)


def _next_wrong_texts(
    engine: sa.Engine, sink: Sink, mask: Mask, texts: _Texts, erased: ErasedJobs, done: set[tuple[Any, ...]]
) -> pa.Table | None:
    """Some of the rows that say more than they may, put right; each once."""
    import pyarrow as pa

    found: list[pa.Table] = []
    only = OnlyRows("job_id", sorted({job for _, job in erased})) if texts.is_of_jobs else None
    for rows in _read_held(sink, texts.name, arrow_schema(texts.table), only):
        wanted = _candidates(rows, texts, erased)
        if wanted.num_rows:
            found.append(_put_right(engine, mask, texts, erased, wanted, done))
        if sum(part.num_rows for part in found) >= _AT_ONCE:
            break
    right = pa.concat_tables(found) if found else None
    return right if right is not None and right.num_rows else None


def _read_held(sink: Sink, table: str, fields: pa.Schema, only: OnlyRows | None = None) -> Iterator[pa.Table]:
    """What a destination holds, in our types: of our columns those that it has."""
    import pyarrow as pa

    there = set(sink.columns(table))
    chosen = pa.schema([field for field in fields if field.name in there])
    return (rows.select(chosen.names).cast(chosen) for rows in sink.read(table, chosen.names, only))


def _candidates(rows: pa.Table, texts: _Texts, erased: ErasedJobs) -> pa.Table:
    """Rows that belong to an erased job; of a log those of its source that say anything."""
    import pyarrow as pa
    import pyarrow.compute as pc

    sources = pa.array(sorted({source for source, _ in erased}), pa.int64())
    rows = rows.filter(pc.is_in(rows["source_id"], sources))
    if texts.is_of_jobs:
        rows = rows.filter(
            pc.is_in(rows["job_id"], pa.array(sorted({job for _, job in erased}), pa.string()))
        )
        keys = zip(rows["source_id"].to_pylist(), rows["job_id"].to_pylist(), strict=True)
        return rows.filter(pa.array([key in erased for key in keys], pa.bool_()))
    said = [pc.is_valid(rows[name]) for name in texts.columns]
    return rows.filter(_any_of(said))


def _put_right(
    engine: sa.Engine,
    mask: Mask,
    texts: _Texts,
    erased: ErasedJobs,
    rows: pa.Table,
    done: set[tuple[Any, ...]],
) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    right = _texts_here(engine, mask, texts, erased, rows)
    differs = [
        pc.not_equal(pc.fill_null(rows[name], "\0"), pc.fill_null(right[name], "\0"))
        for name in texts.columns
    ]
    rows = right.filter(_any_of(differs))
    keys = list(zip(*(rows[name].to_pylist() for name in _identity(texts, rows)), strict=True))
    fresh = rows.filter(pa.array([key not in done for key in keys], pa.bool_()))
    done.update(keys)
    return fresh


def _identity(texts: _Texts, rows: pa.Table) -> list[str]:
    """Files hold a request once more for each time that it was told."""
    names = ("source_id", texts.key, "request_seq", "detail_seq")
    return [name for name in names if name in rows.column_names]


def _texts_here(engine: sa.Engine, mask: Mask, texts: _Texts, erased: ErasedJobs, rows: pa.Table) -> pa.Table:
    """These rows with the texts that they have in our table."""
    import pyarrow as pa

    ours = _read_texts(engine, texts, rows)
    names = [job.partition(":")[0] for _, job in erased]
    made = []
    for row in rows.select(["source_id", texts.key, *texts.columns]).to_pylist():
        here = ours.get((row["source_id"], row[texts.key]))
        made.append(here or [_kept_text(name, row[name], names) for name in texts.columns])
    for at, name in enumerate(texts.columns):
        place = rows.schema.get_field_index(name)
        column = pa.array([values[at] for values in made], rows.schema.field(name).type)
        rows = rows.set_column(place, rows.schema.field(name), column)
    return mask_rows(texts.name, rows, mask)


def _kept_text(column: str, text: str | None, names: Iterable[str]) -> str | None:
    """What may stay of a row that we have no more. Nobody knows what else quotes a prompt that is erased."""
    if text is None or not column.startswith("raw_") or any(name in text for name in names):
        return None
    return text


def _read_texts(engine: sa.Engine, texts: _Texts, rows: pa.Table) -> Mapping[tuple[int, Any], Sequence[Any]]:
    """The texts of our rows, by source and key."""
    import pyarrow as pa

    names = ("source_id", texts.key, *texts.columns)
    query, fields = sa.select(*(texts.table.c[name] for name in names)), arrow_schema(texts.table)
    schema = pa.schema([fields.field(name) for name in names])
    found: dict[tuple[int, Any], Sequence[Any]] = {}
    keys = list(dict.fromkeys(rows[texts.key].to_pylist()))
    for start in range(0, len(keys), _KEYS):
        asked = texts.table.c[texts.key].in_(keys[start : start + _KEYS])
        with storage_errors(), engine.connect() as conn:
            read = conn.execute(query.where(asked)).fetchall()
        for row in table_of(read, schema).to_pylist():
            found[row["source_id"], row[texts.key]] = [row[name] for name in texts.columns]
    return found


def correct_twins(engine: sa.Engine, sink: Sink, sources: Iterable[int]) -> None:
    """Say of jobs in a destination's state which source counts them, where that was found out later.

    A source says it of many jobs at once, at the end of a first load or of a reconcile. Raises StorageError;
    whatever the destination's library raises.
    """
    for source in sources:
        wrong = _find_wrong_twins(sink, source, _read_twins(engine, source))
        for start in range(0, wrong.num_rows, _AT_ONCE):
            sink.replace(STATE, _read_corrected(sink, source, wrong.slice(start, _AT_ONCE)))


def _read_twins(engine: sa.Engine, source: int) -> pa.Table:
    c, fields = video_jobs.c, state_schema()
    query = sa.select(c.job_id, c[TWIN]).where(c.source_id == source, c[TWIN].is_not(None))
    return read_query(engine, query, arrow_fields(fields, ("job_id", TWIN)))


def _find_wrong_twins(sink: Sink, source: int, twins: pa.Table) -> pa.Table:
    """Of the jobs that the destination holds those of which it says something else. Reads no text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wrong = [twins.slice(0, 0)]
    fields = arrow_fields(state_schema(), ("source_id", "job_id", TWIN))
    for rows in join_batches(_read_held(sink, STATE, fields)) if twins.num_rows else ():
        rows = rows.filter(pc.equal(rows["source_id"], source))
        held = rows[TWIN] if TWIN in rows.column_names else pa.nulls(rows.num_rows, pa.int64())
        place = pc.index_in(rows["job_id"], twins["job_id"].combine_chunks())
        right = twins[TWIN].take(place)
        differs = pc.and_(pc.is_valid(right), pc.fill_null(pc.not_equal(held, right), True))
        wrong.append(twins.take(place.filter(differs)))
    return pa.concat_tables(wrong)


def _read_corrected(sink: Sink, source: int, twins: pa.Table) -> pa.Table:
    """The rows of these jobs as the destination holds them, with the twins that they should have."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pa.concat_tables(
        _read_held(sink, STATE, state_schema(), OnlyRows("job_id", twins["job_id"].to_pylist()))
    )
    rows = rows.filter(pc.equal(rows["source_id"], source))
    place = pc.index_in(rows["job_id"], twins["job_id"].combine_chunks())
    return _with_twin(rows, twins[TWIN].take(place))


def _with_twin(rows: pa.Table, right: pa.ChunkedArray) -> pa.Table:
    field = state_schema().field(TWIN)
    if TWIN in rows.column_names:
        return rows.set_column(rows.schema.get_field_index(TWIN), field, right)
    return rows.append_column(field, right)


def _any_of(flags: Sequence[Any]) -> Any:
    import pyarrow.compute as pc

    found = flags[0]
    for more in flags[1:]:
        found = pc.or_(found, more)
    return found
