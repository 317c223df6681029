"""A copy of the mirror as files: one folder per table, one per day (UTC), and a manifest.

Everything is written beside the target and renamed into place at the end: the folder is there in full, or
not at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from etl.db.engine import storage_errors
from etl.errors import ConfigError
from etl.feed.arrow import Rows
from etl.feed.export_formats import Format, Writer, writer_for
from etl.feed.tables import DETAILS, delivered_columns, delivered_names
from etl.records import as_utc
from etl.schema.tables import metadata
from etl.version import __version__
from etl.words import how_to_install

#: What can be exported, and the column whose day (UTC) tells which folder a row belongs in. Tables without
#: one are what the others refer to: always whole, in one folder.
DAYS: dict[str, str | None] = {
    "video_jobs": "created_at",
    "video_job_versions": "valid_from",
    "job_requests": "requested_at",
    "job_details": "queued_at",
    "sync_runs": "started_at",
    "list_pages": "received_at",
    "cache_lookups": "looked_up_at",
    "rejected_items": "rejected_at",
    "coverage_gaps": "detected_at",
    "sources": None,
    "prices": None,
}
#: Days whose files are open at the same time; a day that comes back later gets another part.
_OPEN = 16
_CHUNK = 2_000


class File(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the manifest. `first_change` and `last_change` are change_seqs, of history only."""

    path: str
    table: str
    day: str
    rows: int
    bytes: int
    sha256: str
    first_change: int | None = None
    last_change: int | None = None


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json`."""

    version: str
    format: str
    exported_at: datetime
    since: datetime | None
    until: datetime | None
    files: list[File]


@dataclass(frozen=True, slots=True)
class Selection:
    """What to export: rows of `tables` whose day column is in [since, until), and tables without one."""

    tables: tuple[str, ...] = tuple(DAYS)
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for name in self.tables:
            if name not in DAYS:
                raise ConfigError(f"table {name!r} cannot be exported", hint=f"one of: {', '.join(DAYS)}")


def export_tables(
    engine: sa.Engine,
    folder: Path,
    kind: Format,
    selection: Selection,
    *,
    raw: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    watch: Callable[[str, int], None] | None = None,
) -> Manifest:
    """Write `folder`, which must not exist or be empty. Each table is one consistent snapshot.

    `watch` is told a table and its rows so far. Raises ConfigError, StorageError, OSError.
    """
    _check_folder(folder, kind)
    building = folder.absolute().with_name(f".{folder.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        files: list[File] = []
        for name in selection.tables:
            files += _export_table(engine, building, metadata.tables[name], kind, selection, raw, watch)
        manifest = Manifest(__version__, kind, now(), selection.since, selection.until, files)
        document = msgspec.json.format(msgspec.json.encode(manifest))
        (building / "manifest.json").write_bytes(document + b"\n")
        if folder.exists():
            folder.rmdir()
        building.rename(folder.absolute())
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return manifest


def _check_folder(folder: Path, kind: Format) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists already, and is not empty", hint="name a new folder")
    if kind == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("Parquet needs the package pyarrow", hint=how_to_install("parquet"))


def _export_table(
    engine: sa.Engine,
    building: Path,
    table: sa.Table,
    kind: Format,
    selection: Selection,
    raw: bool,
    watch: Callable[[str, int], None] | None,
) -> list[File]:
    days = _Days(building, table, kind, writer_for(kind, table, raw=raw))
    done = 0
    with (
        days,
        storage_errors(),
        engine.connect().execution_options(stream_results=True) as conn,
    ):
        for rows in conn.execute(_table_query(table, selection)).partitions(_CHUNK):
            days.write(rows)
            done += len(rows)
            if watch is not None:
                watch(table.name, done)
    return days.files


def _table_query(table: sa.Table, selection: Selection) -> sa.Select[Any]:
    at = DAYS[table.name]
    if at is None:
        return sa.select(*delivered_columns(table)).order_by(table.c.id)
    day = table.c[at]
    # The current state has no key that follows time; the rest is nearly in the order of its days.
    order = day if table.name == "video_jobs" else next(iter(table.primary_key.columns))
    query = sa.select(*delivered_columns(table)).order_by(order)
    if table is DETAILS.table:
        query = query.where(table.c[DETAILS.key].is_not(None))
    if selection.since is not None:
        query = query.where(day >= selection.since)
    return query if selection.until is None else query.where(day < selection.until)


@dataclass(slots=True)
class _TablePart:
    path: Path
    day: str
    writer: Writer
    rows: int = 0
    first: int | None = None
    last: int | None = None


class _Days:
    """The files of one table; leaving it closes them, and completes `files`."""

    def __init__(
        self, building: Path, table: sa.Table, kind: Format, open_file: Callable[[Path], Writer]
    ) -> None:
        names = delivered_names(table)
        self._root, self._table, self._kind, self._opener = building, str(table.name), kind, open_file
        day = DAYS[table.name]
        self._day_at = None if day is None else names.index(day)
        self._key_at = names.index("change_seq") if "change_seq" in names else None
        self._open: dict[str, _TablePart] = {}
        self._parts: dict[str, int] = {}
        self.files: list[File] = []

    def write(self, rows: Rows) -> None:
        by_day: dict[str, list[Sequence[Any]]] = {}
        for row in rows:
            by_day.setdefault(self._day_of(row), []).append(row)
        for day, chosen in by_day.items():
            part = self._part_of_day(day)
            part.writer.write(chosen)
            part.rows += len(chosen)
            if self._key_at is not None:
                part.first = part.first or chosen[0][self._key_at]
                part.last = chosen[-1][self._key_at]

    def _day_of(self, row: Sequence[Any]) -> str:
        if self._day_at is None:
            return "all"
        moment = row[self._day_at]
        return "unknown" if moment is None else f"{as_utc(moment):%Y-%m-%d}"

    def __enter__(self) -> _Days:
        return self

    def __exit__(self, *_how: object) -> None:
        for day in list(self._open):
            self._close_day(day)

    def _part_of_day(self, day: str) -> _TablePart:
        if day not in self._open:
            if len(self._open) >= _OPEN:
                self._close_day(next(iter(self._open)))
            number = self._parts[day] = self._parts.get(day, 0) + 1
            path = self._root / self._table / f"day={day}" / f"part-{number:04d}.{self._kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open[day] = _TablePart(path, day, self._opener(path))
        part = self._open[day] = self._open.pop(day)  # the least recently used is closed first
        return part

    def _close_day(self, day: str) -> None:
        part = self._open.pop(day)
        part.writer.close()
        with part.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        place = part.path.relative_to(self._root).as_posix()
        size = part.path.stat().st_size
        self.files.append(File(place, self._table, day, part.rows, size, digest, part.first, part.last))
