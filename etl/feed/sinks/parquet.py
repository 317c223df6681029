"""Parquet files in a folder, local or in an object store: TABLE/000000000001.parquet and so on.

A file carries, in its footer, the marks that hold once it is there, so data and marks come into being in
one step: a rename on a disk, the end of an upload in an object store. The newest file grows: while it is
small, it is replaced by itself with the new rows, so that there are few files and readers always see each row
once. All files of a table have the same columns. (dlt's own files are named by a state
on the machine that runs it: lose that and rows double. So these are ours.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from etl.config import Destination
from etl.errors import ConfigError
from etl.feed import watermarks
from etl.feed.sinks.base import OnlyRows, Part, Written, required_url
from etl.feed.tables import CHANGED, SMALL
from etl.feed.watermarks import Mark

_MARKS = b"bifrost_etl.marks"
_SMALL = {table.name for table in SMALL}
#: A file takes more rows until it has so many, or so many bytes.
_FULL_ROWS, _FULL_BYTES = 5_000, 8 * 2**20


def open_sink(destination: Destination) -> ParquetFiles:
    """`url`: a path, file:///folder, s3://bucket/folder, gs://…; `options` as of pyarrow's file systems
    (s3: access_key, secret_key, endpoint_override, region, scheme)."""
    store, root = open_store(required_url(destination), destination.options)
    return ParquetFiles(store, root)


def open_store(url: str, options: dict[str, Any]) -> tuple[pafs.FileSystem, str]:
    """pyarrow's file system for a URL or a path, and the folder in it."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "s3" and options:
            return pafs.S3FileSystem(**options), f"{parts.netloc}{parts.path}".rstrip("/")
        if parts.scheme in ("", "file"):
            return pafs.LocalFileSystem(), str(Path(parts.path or url).expanduser().absolute())
        store, root = pafs.FileSystem.from_uri(url)
    except (pa.ArrowException, TypeError, OSError) as exc:
        raise ConfigError(f"the address of a {parts.scheme or 'file'} store cannot be used") from exc
    return store, root.rstrip("/")


class ParquetFiles:
    """History, not state: only an erasure changes a row. docs/warehouse.md has the query for the newest."""

    keeps_state = False

    def __init__(self, store: pafs.FileSystem, root: str) -> None:
        self._store, self._root = store, root
        self._written = Written()
        self._seen: dict[str, set[int]] = {}  # the numbers of each table's files, when we last looked

    def marks(self, table: str) -> dict[int, Mark]:
        return self._written.note(table, self._file_marks(table))

    def deliver(self, parts: Sequence[Part]) -> None:
        for part in parts:
            self._written.check(part.table, self._file_marks(part.table))
            if part.whole:
                self._write_file(self._whole_path(part.table), _with_marks(part, part.rows))
            else:
                self._append_part(part)
            self._written.note(part.table, part.marks)

    def read(self, table: str, columns: Sequence[str], only: OnlyRows | None = None) -> Iterator[pa.Table]:
        wanted = [(only.column, "in", only.texts)] if only is not None else None
        folder = pafs.FileSelector(f"{self._root}/{table}", allow_not_found=True)
        for found in self._store.get_file_info(folder):
            if found.base_name.endswith(".parquet") and not found.base_name.startswith("."):
                with self._store.open_input_file(found.path) as file:
                    yield pq.read_table(file, columns=list(columns), filters=wanted)

    def columns(self, table: str) -> list[str]:
        number = self._newest_number(table)
        return list(self._file_schema(self._part_path(table, number)).names) if number else []

    def replace(self, table: str, rows: pa.Table) -> None:
        """File by file, each in one step; a file that has none of the rows is left as it is."""
        for number in range(1, self._newest_number(table) + 1):
            path = self._part_path(table, number)
            if self._is_there(path):
                self._replace_in_file(path, ("source_id", CHANGED[table]), rows)

    def missing_files(self) -> list[str]:
        """They are numbered without a gap. Where the newest is gone, marks are those of the one before."""
        gone: list[str] = []
        for table, there in self._seen.items():
            lost = set(range(1, max(there, default=0))) - there
            gone += [self._part_path(table, number) for number in sorted(lost)]
        return gone

    def upkeep(self) -> None:
        """Nothing piles up."""

    def close(self) -> None:
        """Nothing is held open."""

    def _append_part(self, part: Part) -> None:
        number, rows = self._newest_number(part.table), part.rows
        if number:
            held = self._file_schema(self._part_path(part.table, number))
            fields = _unite_schemas(held, rows.schema)
            if fields.names != held.names:
                self._widen_files(part.table, number, fields)
            rows = _fit_rows(rows, fields)
        if number and not self._is_full(self._part_path(part.table, number)):
            rows = pa.concat_tables(
                [self._read_file(self._part_path(part.table, number)).cast(rows.schema), rows]
            )
        else:
            number += 1
        self._write_file(self._part_path(part.table, number), _with_marks(part, rows))

    def _replace_in_file(self, path: str, key: tuple[str, ...], rows: pa.Table) -> None:
        held = self._read_file(path)
        places = {row: n for n, row in enumerate(_tuples(rows, key))}
        order = [places.get(row) for row in _tuples(held, key)]
        if any(place is not None for place in order):
            order = [n if place is None else held.num_rows + place for n, place in enumerate(order)]
            both = pa.concat_tables([held, rows.select(held.column_names).cast(held.schema)])
            self._write_file(path, both.take(order).replace_schema_metadata(held.schema.metadata))

    def _widen_files(self, table: str, newest: int, fields: pa.Schema) -> None:
        """Give every file the columns that have come. The newest is last: until then this is done again."""
        for number in range(1, newest + 1):
            path = self._part_path(table, number)
            if self._is_there(path) and self._file_schema(path).names != fields.names:
                rows = self._read_file(path)
                self._write_file(path, _fit_rows(rows, fields).replace_schema_metadata(rows.schema.metadata))

    def _is_full(self, path: str) -> bool:
        with self._store.open_input_file(path) as file:
            return bool(file.size() >= _FULL_BYTES or pq.read_metadata(file).num_rows >= _FULL_ROWS)

    def _read_file(self, path: str) -> pa.Table:
        with self._store.open_input_file(path) as file:
            return pq.read_table(file)

    def _file_schema(self, path: str) -> pa.Schema:
        with self._store.open_input_file(path) as file:
            return pq.read_schema(file)

    def _is_there(self, path: str) -> bool:
        return bool(self._store.get_file_info(path).type == pafs.FileType.File)

    def _file_marks(self, table: str) -> dict[int, Mark]:
        path = self._newest_path(table)
        if not self._is_there(path):
            return {}
        return watermarks.decode_marks((self._file_schema(path).metadata or {}).get(_MARKS))

    def _newest_path(self, table: str) -> str:
        if table in _SMALL:
            return self._whole_path(table)
        self._seen[table] = self._numbers(table)
        return self._part_path(table, max(self._seen[table], default=0))

    def _whole_path(self, table: str) -> str:
        return f"{self._root}/{table}/{table}.parquet"

    def _newest_number(self, table: str) -> int:
        return max(self._numbers(table), default=0)

    def _numbers(self, table: str) -> set[int]:
        folder = pafs.FileSelector(f"{self._root}/{table}", allow_not_found=True)
        names = (info.base_name.removesuffix(".parquet") for info in self._store.get_file_info(folder))
        return {int(name) for name in names if name.isdigit()}

    def _part_path(self, table: str, number: int) -> str:
        return f"{self._root}/{table}/{number:012d}.parquet"

    def _write_file(self, path: str, rows: pa.Table) -> None:
        buffer = pa.BufferOutputStream()
        pq.write_table(rows, buffer, compression="zstd")
        if isinstance(self._store, pafs.LocalFileSystem):
            write_file(Path(path), buffer.getvalue())
        else:
            with self._store.open_output_stream(path) as out:
                out.write(buffer.getvalue())


def write_file(path: Path, content: Any) -> None:
    """All of it under its name, or nothing, even after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows has no such thing, and does not need it."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _unite_schemas(held: pa.Schema, new: pa.Schema) -> pa.Schema:
    """The columns that are there, then those that have come."""
    return pa.schema([*held, *(field for field in new if field.name not in held.names)])


def _fit_rows(rows: pa.Table, fields: pa.Schema) -> pa.Table:
    """The rows with all these columns: null where they had none."""
    columns = [
        rows[field.name] if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
        for field in fields
    ]
    return pa.table(columns, schema=fields)


def _tuples(rows: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows[name].to_pylist() for name in names), strict=True)


def _with_marks(part: Part, rows: pa.Table) -> pa.Table:
    noted = {**(part.rows.schema.metadata or {}), _MARKS: watermarks.encode_marks(part.marks)}
    return rows.replace_schema_metadata(noted)
