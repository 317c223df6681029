"""Parquet files in a folder, local or in an object store: TABLE/000000000001.parquet and so on.

A file carries, in its footer, the marks that hold once it is there, so data and marks come into being in
one step: a rename on a disk, the end of an upload in an object store. (dlt's own files are named by a state
on the machine that runs it: lose that and rows double. So these are ours.)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from etl.config import Destination
from etl.errors import ConfigError
from etl.feed import marks as watermarks
from etl.feed.marks import Mark
from etl.feed.sink import Part, required_url
from etl.feed.tables import SMALL

_MARKS = b"bifrost_etl.marks"
_SMALL = {table.name for table in SMALL}


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
    """History, not state: files are never rewritten. docs/warehouse.md has the query for the newest rows."""

    keeps_state = False

    def __init__(self, store: pafs.FileSystem, root: str) -> None:
        self._store, self._root = store, root
        self._last: dict[str, int] = {}

    def marks(self, table: str) -> dict[int, Mark]:
        if table in _SMALL:
            return self._marks_in(self._whole(table))
        number = self._last[table] = self._newest(table)
        return self._marks_in(self._path(table, number)) if number else {}

    def deliver(self, parts: Sequence[Part]) -> None:
        for part in parts:
            if part.whole:
                self._write(self._whole(part.table), _with_marks(part))
                continue
            number = self._last[part.table] + 1
            self._write(self._path(part.table, number), _with_marks(part))
            self._last[part.table] = number

    def close(self) -> None:
        """Nothing is held open."""

    def _marks_in(self, path: str) -> dict[int, Mark]:
        if self._store.get_file_info(path).type != pafs.FileType.File:
            return {}
        with self._store.open_input_file(path) as file:
            found = pq.read_schema(file).metadata or {}
        return watermarks.decode(found.get(_MARKS))

    def _whole(self, table: str) -> str:
        return f"{self._root}/{table}/{table}.parquet"

    def _newest(self, table: str) -> int:
        folder = pafs.FileSelector(f"{self._root}/{table}", allow_not_found=True)
        names = (info.base_name.removesuffix(".parquet") for info in self._store.get_file_info(folder))
        return max((int(name) for name in names if name.isdigit()), default=0)

    def _path(self, table: str, number: int) -> str:
        return f"{self._root}/{table}/{number:012d}.parquet"

    def _write(self, path: str, rows: pa.Table) -> None:
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


def _with_marks(part: Part) -> pa.Table:
    noted = {**(part.rows.schema.metadata or {}), _MARKS: watermarks.encode(part.marks)}
    return part.rows.replace_schema_metadata(noted)
