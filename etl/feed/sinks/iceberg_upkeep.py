"""What keeps an Iceberg table small: few files, few snapshots, and nothing on disk that no snapshot names.

pyiceberg expires snapshots, but it neither joins data files nor removes what only the expired ones held. Both
are done here by its public means: a range of rows overwritten by itself, and a comparison of what lies there
with what the table still names.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pyarrow.fs as pafs
from pyiceberg import expressions
from pyiceberg.conversions import from_bytes
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.table import Table, Transaction
from pyiceberg.table.update.snapshot import ExpireSnapshots

from etl.feed.sinks.iceberg_changes import Changes
from etl.feed.tables import CHANGED, REPLACED, ranged_columns

#: Files added since the last joining that make another one due, and snapshots that are expired at once.
_MANY, _EXPIRED = 5, 4
#: A little state has its snapshots expired each time: most of it is written anew by every change.
_LITTLE = 2 * 2**20
#: Smaller files are joined; so many rows are held in memory for it.
_SMALL, _ROWS = 256 * 1024, 200_000
#: While a table is fed, no file is written anew that is larger than so many times the others together, nor
#: more than this part of the table, unless that is as little as a small file: else each joining would write
#: most of a small lake again, and what it replaces lies beside that for `keep_replaced`.
_LARGER, _PART = 2, 4
_JOINED = "bifrost-etl.files"
_VERSIONS, _MERGED = "write.metadata.previous-versions-max", "commit.manifest.min-count-to-merge"
#: Each commit's file says all columns and comments: with nothing new, one before the last is enough.
_AT_REST = {_VERSIONS: "1"}
_PROPERTIES = {
    "commit.retry.num-retries": "0",  # tried again on top of another feed's commit, rows would double
    "commit.manifest-merge.enabled": "true",
    _MERGED: str(_MANY),
    # What manifests say of columns by which nobody looks for rows would be most of them.
    "write.metadata.metrics.default": "none",
    "write.metadata.delete-after-commit.enabled": "true",
    # A delivery and its clean-up make two: whoever asked the catalogue before them still finds the file.
    _VERSIONS: "2",
}
#: A change of state writes the file anew that held the job: small files bound what a few changes cost. There
#: are some thirty of them, until they are as large as the second size, as counted before compression.
_FILE_SIZE = "write.target-file-size-bytes"
_STATE_FILES, _STATE_SIZES, _SHRINKS = 32, (512 * 1024, 4 * 2**20), 4
_where: Any = expressions


def table_properties(table: str, held: int = 0) -> dict[str, str]:
    """What a table of ours is set to, that holds so many bytes before compression."""
    ranges = {f"write.metadata.metrics.column.{name}": "truncate(16)" for name in ranged_columns(table)}
    return {**_PROPERTIES, **ranges, **({_FILE_SIZE: str(_state_size(held))} if table in REPLACED else {})}


def bytes_held(table: Table) -> int:
    """What a table holds, before compression: about so much."""
    return _SHRINKS * _total(table, "total-files-size")


def _state_size(held: int) -> int:
    size, largest = _STATE_SIZES
    while size < largest and size * _STATE_FILES < held:
        size *= 2
    return size


def is_outdated(table: Table) -> bool:
    """Whether an older version of ours has set it. The next commit sets how large files are, and wakes it."""
    wanted = table_properties(table.name()[-1])
    ours = {name: wanted[name] for name in (_VERSIONS, _FILE_SIZE) if name in wanted}
    return not wanted.items() <= {**table.properties, **ours}.items()


def keep_up(table: Table, keep: timedelta, *, is_quiet: bool = False, now: datetime | None = None) -> None:
    """Join small files, and take away what was replaced more than `keep` ago, when enough came together.

    `is_quiet` says that the table got nothing new: then little is enough.
    """
    edge = (now or datetime.now(UTC)) - keep
    old = _replaced_before(table, edge)
    if is_quiet and not old:
        return
    is_at_rest = _AT_REST.items() <= table.properties.items()
    grown = _total(table, "total-data-files") - int(table.properties.get(_JOINED, "0"))
    many = not is_at_rest if is_quiet else grown >= _MANY
    expires = len(old) >= (1 if is_quiet or _is_little_state(table) else _EXPIRED)
    with Changes(table) as changes:  # one commit: of the files that name what is there, few are kept
        if many:
            join_small_files(table, changes, all_of_them=is_quiet)
        if expires:
            ExpireSnapshots(changes).by_ids(old).commit()
        if is_quiet:
            changes.set_properties(_AT_REST)
    if expires:
        remove_unnamed(table.refresh(), edge)


def _replaced_before(table: Table, edge: datetime) -> list[int]:
    """Snapshots that were not the newest one any more at `edge`. A reader may have begun with the last of the
    older ones just before it was replaced, however old that is."""
    ordered = sorted(table.metadata.snapshots, key=lambda found: found.sequence_number or 0)
    at = edge.timestamp() * 1000
    return [old.snapshot_id for old, newer in itertools.pairwise(ordered) if newer.timestamp_ms < at]


def _is_little_state(table: Table) -> bool:
    return table.name()[-1] in REPLACED and _total(table, "total-files-size") < _LITTLE


def join_small_files(table: Table, changes: Transaction, *, all_of_them: bool) -> None:
    """The rows that the newest small files hold, written once more, together."""
    column = CHANGED.get(table.name()[-1])
    since = _oldest_to_join(table, column, all_of_them=all_of_them) if column is not None else None
    if column is not None and since is not None:
        wanted = _where.GreaterThanOrEqual(column, since)
        rows = table.scan(row_filter=wanted).to_arrow().sort_by(column)
        changes.set_properties({_MERGED: "1"})  # what names the files becomes one file as well
        changes.overwrite(rows, overwrite_filter=wanted)
    joined = _total(changes, "total-data-files")
    changes.set_properties({_JOINED: str(joined), _MERGED: _PROPERTIES[_MERGED]})


def _oldest_to_join(table: Table, column: str, *, all_of_them: bool) -> int | None:
    """Where the range begins that holds as many of the newest small files as memory allows."""
    most = math.inf if all_of_them else max(_SMALL, _total(table, "total-files-size") // _PART)
    larger = math.inf if all_of_them else _LARGER
    files = [(*_file_bounds(table, task.file, column), task.file) for task in table.scan().plan_files()]
    for since in sorted(low for low, _, file in files if file.file_size_in_bytes < _SMALL):
        touched = [file for _, high, file in files if high >= since]
        sizes = sorted(file.file_size_in_bytes for file in touched)
        few = sum(file.record_count for file in touched) <= _ROWS and sum(sizes) <= most
        if few and sizes[-1] <= larger * sum(sizes[:-1]):
            return since
    return None


def _file_bounds(table: Table, file: DataFile, column: str) -> tuple[int, int]:
    """The lowest and the highest value in a file: numbers, or microseconds."""
    field = table.schema().find_field(column)
    kind: Any = field.field_type
    low: Any = from_bytes(kind, file.lower_bounds[field.field_id])
    high: Any = from_bytes(kind, file.upper_bounds[field.field_id])
    return low, high


def _total(table: Table | Transaction, name: str) -> int:
    metadata = table.metadata if isinstance(table, Table) else table.table_metadata
    newest = metadata.current_snapshot()
    summary = newest.summary if newest is not None else None
    return int((summary[name] if summary is not None else None) or 0)


def remove_unnamed(table: Table, before: datetime) -> None:
    """Delete what lies in the table's folders, is older than `before`, and no snapshot names."""
    if not isinstance(table.io, PyArrowFileIO):
        return  # it cannot list
    place = urlsplit(table.location())
    store: pafs.FileSystem = table.io.fs_by_scheme(place.scheme or "file", place.netloc)
    named = {_arrow_path(name) for name in _snapshot_files(table)}
    for folder in ("data", "metadata"):
        root = f"{_arrow_path(table.location())}/{folder}"
        for found in store.get_file_info(pafs.FileSelector(root, recursive=True, allow_not_found=True)):
            if found.is_file and found.path not in named and found.mtime < before:
                store.delete_file(found.path)


def _arrow_path(place: str) -> str:
    """As pyarrow's file systems name it."""
    parts = urlsplit(place)
    return parts.path if parts.scheme in ("", "file") else f"{parts.netloc}{parts.path}"


def _snapshot_files(table: Table) -> Iterator[str]:
    """Every file that the table's snapshots consist of."""
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    yield from (entry.statistics_path for entry in table.metadata.statistics)
    manifests: dict[str, ManifestFile] = {}
    for snapshot in table.metadata.snapshots:
        yield snapshot.manifest_list
        manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(table.io)}
    yield from manifests
    for manifest in manifests.values():
        entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        yield from (entry.data_file.file_path for entry in entries)
