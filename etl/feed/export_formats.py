"""Files of one format each: open, take rows, close. Only Parquet needs a package, pyarrow."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
import sqlalchemy as sa

from etl.db.types import JsonText
from etl.feed import tables
from etl.spreadsheets import spreadsheet_safe

if TYPE_CHECKING:
    from etl.feed.arrow import Rows

Format = Literal["parquet", "csv", "jsonl"]


class Writer(Protocol):
    """One open file of one table's rows."""

    def write(self, rows: Rows) -> None: ...
    def close(self) -> None: ...


def writer_for(kind: Format, table: sa.Table, *, raw: bool) -> Callable[[Path], Writer]:
    """How to open a file of this format. `raw` leaves CSV cells that look like formulas as they are."""
    if kind == "csv":
        return lambda path: CsvFile(path, table, raw=raw)
    if kind == "jsonl":
        return lambda path: JsonLines(path, table)
    return lambda path: ParquetFile(path, table)


class CsvFile:
    """UTF-8, a header, every text quoted (RFC 4180). An empty cell is null, `""` an empty text."""

    def __init__(self, path: Path, table: sa.Table, *, raw: bool) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._cell = _csv_cell if raw else _safe_cell
        self._file.write(",".join(tables.delivered_names(table)) + "\r\n")

    def write(self, rows: Rows) -> None:
        lines = (",".join([self._cell(value) for value in row]) for row in rows)
        self._file.write("".join(f"{line}\r\n" for line in lines))

    def close(self) -> None:
        self._file.close()


def _safe_cell(value: Any) -> str:
    value = _bytes_as_text(value)
    return _csv_cell(spreadsheet_safe(value) if isinstance(value, str) else value)


def _bytes_as_text(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _csv_cell(value: Any) -> str:
    """Python's csv module cannot tell null from an empty text before 3.12."""
    value = _bytes_as_text(value)
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    if isinstance(value, datetime):
        return _csv_instant(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class JsonLines:
    """One JSON object per line; JSON columns are nested, bytes are base64."""

    def __init__(self, path: Path, table: sa.Table) -> None:
        self._file = path.open("wb")
        self._names = tables.delivered_names(table)
        self._json = {column.name for column in table.columns if isinstance(column.type, JsonText)}
        self._encoder = msgspec.json.Encoder()

    def write(self, rows: Rows) -> None:
        documents = ({n: self._value(n, v) for n, v in zip(self._names, row, strict=True)} for row in rows)
        self._file.write(self._encoder.encode_lines(documents))

    def close(self) -> None:
        self._file.close()

    def _value(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if name in self._json:
            return msgspec.Raw(value.encode())
        return _csv_instant(value) if isinstance(value, datetime) else value


class ParquetFile:
    """Zstandard-compressed; types as the feed delivers them."""

    def __init__(self, path: Path, table: sa.Table) -> None:
        import pyarrow.parquet as pq

        self._schema = tables.arrow_schema(table)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Rows) -> None:
        from etl.feed.arrow import make_record_batch

        self._writer.write_batch(make_record_batch(rows, self._schema))

    def close(self) -> None:
        self._writer.close()


def _csv_instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
