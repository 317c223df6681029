"""What keeps a Delta table small: few files, a short log, and nothing on disk that nobody may still read.

Every fourth delivery of a table cleans it up, and the first one with nothing new once what was replaced may
go. Files are joined step by step, as soon as there are enough of about one size: each row is written anew as
often as there are steps, not as often as there are deliveries. How many deliveries there were, when the last
change was and which one was cleaned up after stands in the table, as Delta's application transactions. The
table's own history would tell as well, but deltalake lets no other thread run while it reads that: a slow
store would stop the service's heartbeats.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial

import pyarrow as pa
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties

from etl.feed.tables import REPLACED, ranged_columns

#: Deliveries between two clean-ups, while a table is larger than `_LITTLE`; a little state is cleaned up each
#: time, because most of it is written anew by every change.
_EVERY, _LITTLE = 4, 2 * 2**20
#: Deliveries between two checkpoints of the log.
_CHECKPOINT = 8
_KIB = 1024
_APP = "bifrost-etl"
#: When rows were last written, and which of these changes was cleaned up after: ms since 1970, UTC.
_CHANGED, _CLEANED = "changed_at", "cleaned_up"
#: Joining small files writes all of one again that is smaller than this: it bounds what a delivery costs.
_LARGE = 2_048 * _KIB
#: A change of state writes the file anew that held the job: small files bound what five changes cost. There
#: are some thirty of them, until they are as large as the second size.
_STATE_FILES, _STATE_SIZES = 32, (64 * _KIB, 256 * _KIB)
#: So many files of one step are joined, and a step is so many times as large as the one below.
_STEP_FILES, _STEP, _LOWEST = 6, 8, 32 * _KIB
#: While a table is fed, large files are joined when they are no more than this part of it, or than so many
#: bytes: what they took the place of lies beside them for `keep_replaced`.
_PART, _LITTLE_PART = 4, 512 * _KIB


def written_as(table: str) -> WriterProperties:
    """How data files are written. What their footers say of columns by which nobody looks for rows would be
    most of a small file, and of the log."""
    ranges = dict.fromkeys(ranged_columns(table), ColumnProperties(statistics_enabled="CHUNK"))
    plain = ColumnProperties(statistics_enabled="NONE")
    return WriterProperties(compression="ZSTD", default_column_properties=plain, column_properties=ranges)


def target_size(table: str, held: int) -> int:
    """Bytes of a data file, in a table of so many."""
    if table not in REPLACED:
        return _LARGE
    size, largest = _STATE_SIZES
    while size < largest and size * _STATE_FILES < held:
        size *= 2
    return size


def properties(table: str, keep: float, held: int = 0) -> dict[str, str]:
    """What a table of ours is set to, that holds so many bytes."""
    kept = f"interval {math.floor(keep)} seconds"
    return {
        "delta.logRetentionDuration": kept,
        "delta.deletedFileRetentionDuration": kept,
        "delta.targetFileSize": str(target_size(table, held)),
        "delta.dataSkippingStatsColumns": ",".join(ranged_columns(table)),
    }


def is_due(name: str, table: DeltaTable, deliveries: int) -> bool:
    """Whether the delivery of this number is one that cleans up."""
    return deliveries % _EVERY == 0 or (name in REPLACED and sum(_file_sizes(table)) < _LITTLE)


def is_quiet(table: DeltaTable, keep: float, now: Callable[[], float] = time.time) -> bool:
    """Whether what was replaced last may go now, and has not gone yet."""
    changed = noted_version(table, _CHANGED)
    if table.version() == 0 or changed is None or changed == noted_version(table, _CLEANED):
        return False
    return now() - changed / 1000 >= keep


def noted_version(table: DeltaTable, name: str) -> int | None:
    """One of our application transactions."""
    return table.transaction_version(f"{_APP}/{name}")


def note_versions(**versions: int) -> list[Transaction]:
    return [Transaction(f"{_APP}/{name}", version) for name, version in versions.items()]


def note_change(now: Callable[[], float] = time.time) -> list[Transaction]:
    """For a commit that replaces files."""
    return note_versions(**{_CHANGED: round(now() * 1000)})


def keep_up(name: str, table: DeltaTable, keep: float, *, is_fed: bool) -> None:
    """Small files become large ones, and what was replaced more than `keep` seconds ago goes. A table that
    `is_fed` is not quiet, however long ago its rows were written: a delivery may take longer than `keep`."""
    quiet_since = noted_version(table, _CHANGED) if not is_fed and is_quiet(table, keep) else None
    sizes = _file_sizes(table)
    target = target_size(name, sum(sizes))
    _set_properties(table, properties(name, keep, sum(sizes)))
    before = table.version()
    if joined := target if quiet_since else size_to_join(sizes, target):
        table.optimize.compact(
            target_size=joined, writer_properties=written_as(name), commit_properties=only_next()
        )
    has_joined = table.version() > before
    is_clean = _remove_replaced(table, None if has_joined else quiet_since)
    is_eighth = (noted_version(table, "deliveries") or 0) % _CHECKPOINT == 0
    # The log before a checkpoint goes when that is older than `keep`: when a table has become quiet, the one
    # that is made with the last joining is.
    if is_eighth or (quiet_since and has_joined):
        table.create_checkpoint()
    if is_eighth or is_clean:
        table.cleanup_metadata()


def _remove_replaced(table: DeltaTable, quiet_since: int | None) -> bool:
    """Delete what was replaced long enough ago. True: nothing is left to delete later, and that is noted."""
    # Full: a checkpoint may not know any more which files were replaced. Files younger than the table's
    # retention property stay.
    vacuum = partial(table.vacuum, enforce_retention_duration=False, full=True)
    gone = vacuum(dry_run=True)
    # A joining replaces files as well, and deltalake notes nothing with it.
    is_clean = quiet_since is not None and len(vacuum(retention_hours=0, dry_run=True)) == len(gone)
    noted = note_versions(**{_CLEANED: quiet_since}) if is_clean and quiet_since else None
    if gone or is_clean:
        vacuum(dry_run=False, commit_properties=CommitProperties(app_transactions=noted))
    return is_clean


def size_to_join(sizes: Sequence[int], target: int) -> int | None:
    """Up to which size files are to be joined now: that of the highest step that has enough of them, and does
    not write too much of the table anew. None: there is none."""
    most = max(sum(sizes) // _PART, _LITTLE_PART)
    steps = [target]
    while steps[-1] // _STEP >= _LOWEST:
        steps.append(steps[-1] // _STEP)
    for step in steps:
        # What fills half of the largest size is not written again.
        upper = step // 2 if step == target else step
        lower = step // _STEP if step != steps[-1] else 0
        is_much = step > _STATE_SIZES[-1] and sum(size for size in sizes if size < step) > most
        if sum(lower <= size < upper for size in sizes) >= _STEP_FILES and not is_much:
            return step
    return None


def only_next(noted: list[Transaction] | None = None) -> CommitProperties:
    """A commit that fails when somebody else has committed since the table was opened."""
    return CommitProperties(app_transactions=noted, max_commit_retries=0)


def _file_sizes(table: DeltaTable) -> list[int]:
    sizes: list[int] = pa.table(table.get_add_actions())["size_bytes"].to_pylist()
    return sizes


def _set_properties(table: DeltaTable, wanted: dict[str, str]) -> None:
    """Tables of an older version have others, and settings change."""
    held = table.metadata().configuration
    if any(held.get(name) != value for name, value in wanted.items()):
        table.alter.set_table_properties(wanted)
