"""A report as a Parquet file: columns with types and comments."""

from __future__ import annotations

from pathlib import Path

from etl.analytics.rendering import Document, one_table
from etl.errors import ConfigError
from etl.words import how_to_install


def to_parquet(document: Document, path: Path) -> None:
    """Writes a file. Raises ConfigError when pyarrow is not installed or the file cannot be written."""
    table = one_table(document, "parquet")
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigError(
            "Parquet needs pyarrow, which is not installed", hint=how_to_install("parquet")
        ) from None
    types = {"integer": pa.int64(), "instant": pa.timestamp("us", tz="UTC"), "day": pa.date32()}
    types |= {"flag": pa.bool_(), "text": pa.string(), "any": None}
    types |= {"money": pa.decimal128(18, 6), "amounts": pa.string()}
    fields, arrays = [], []
    for position, column in enumerate(table.columns):
        values = [row[position] for row in table.rows]
        if column.kind == "any" and len({type(value) for value in values if value is not None}) > 1:
            values = [value if value is None else str(value) for value in values]
        arrays.append(pa.array(values, type=types.get(column.kind, pa.float64())))
        fields.append(pa.field(column.name, arrays[-1].type, metadata={"comment": column.comment}))
    try:
        pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), path)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror or exc}") from None
