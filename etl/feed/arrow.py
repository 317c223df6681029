"""Rows of a query as Arrow, column by column: Python does nothing value by value that Arrow can do for all.

`as_is` and `fetch_raw_rows` leave values as the driver gives them.
`make_record_batch` knows what drivers give: SQLite texts for instants, numbers for flags and doubles for
decimals, PyMySQL naive instants, psycopg documents for JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

if TYPE_CHECKING:
    import pyarrow as pa

Rows = Sequence[Sequence[Any]]


def as_is(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The column, whose values SQLAlchemy will not touch."""
    return sa.type_coerce(column, sa.types.NullType()).label(column.name)


def fetch_raw_rows(conn: sa.Connection, query: sa.Select[Any], values: Mapping[str, Any]) -> Rows:
    """The driver's own rows: SQLAlchemy's cost as much again as reading them."""
    rows: Rows = conn.execute(query, values).cursor.fetchall()
    return rows


def make_record_batch(rows: Rows, fields: pa.Schema) -> pa.RecordBatch:
    """Rows, whose values stand in the order of `fields`."""
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else [()] * len(fields)
    arrays = [_make_array(values, field.type) for values, field in zip(columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=fields)


def join_batches(batches: Iterable[pa.Table], rows: int = 250_000) -> Iterator[pa.Table]:
    """The same rows in fewer, larger tables: each look-up makes a table of what is looked for."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    for batch in batches:
        waiting.append(batch)
        if sum(part.num_rows for part in waiting) >= rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _make_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    sample = next((value for value in values if value is not None), None)
    if sample is None:
        return pa.nulls(len(values), kind)
    if pa.types.is_timestamp(kind) and isinstance(sample, str):
        return pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(kind)
    if pa.types.is_boolean(kind) and not isinstance(sample, bool):
        return pa.array(values, pa.int8()).cast(kind)
    if pa.types.is_decimal(kind) and not isinstance(sample, Decimal):  # fewer digits than a double holds
        return pa.array(values, pa.float64()).cast(kind)
    if pa.types.is_string(kind) and not isinstance(sample, str):
        return pa.array([_document_text(value) for value in values], kind)
    return pa.array(values, kind)


def _document_text(value: Any) -> str | None:
    """A document that psycopg has decoded, as text again."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
