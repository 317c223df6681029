"""What keeps a Delta table small: few files, a short log, and nothing on disk that nobody may still read.

Every fourth delivery of a table cleans it up, and the first one with nothing new once what was replaced may
go. How many deliveries there were, when the last change was and which one was cleaned up after stands in the
table, as Delta's application transactions. The table's own history would tell as well, but deltalake lets no
other thread run while it reads that: a slow store would stop the service's heartbeats.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties

from etl.feed.tables import REPLACED

#: Deliveries between two clean-ups, while a table is larger than `_LITTLE`; a little state is cleaned up each
#: time, because most of it is written anew by every change.
_EVERY, _LITTLE = 4, 2 * 2**20
_KIB = 1024
_APP = "bifrost-etl"
#: When rows were last written or joined, and which of these changes was cleaned up after: ms since 1970, UTC.
_CHANGED, _CLEANED = "changed_at", "cleaned_up"
#: Joining small files writes all of one again that is smaller than this: it bounds what a delivery costs.
_LARGE = 2_048 * _KIB
#: A change of state writes the file anew that held the job: small files bound what five changes cost.
_TARGET = dict.fromkeys(REPLACED, 256 * _KIB)
#: Quiet tables are looked at for so long after `keep_replaced`: then everything has been taken away.
_QUIET_SECONDS = 3_600
COMPRESSED = WriterProperties(compression="ZSTD")


def target_size(table: str) -> int:
    """Bytes of a data file."""
    return _TARGET.get(table, _LARGE)


def properties(table: str, keep: float) -> dict[str, str]:
    """What a table of ours is set to."""
    kept = f"interval {math.floor(keep)} seconds"
    return {
        "delta.logRetentionDuration": kept,
        "delta.deletedFileRetentionDuration": kept,
        "delta.targetFileSize": str(target_size(table)),
    }


def is_due(name: str, table: DeltaTable, deliveries: int) -> bool:
    """Whether the delivery of this number is one that cleans up."""
    if deliveries % _EVERY == 0:
        return True
    return name in REPLACED and int(pc.sum(_sizes(table)).as_py() or 0) < _LITTLE


def is_quiet(table: DeltaTable, keep: float, now: Callable[[], float] = time.time) -> bool:
    """Whether what was replaced last may go now, and has not gone yet."""
    changed = noted_version(table, _CHANGED)
    if table.version() == 0 or changed is None or changed == noted_version(table, _CLEANED):
        return False
    return keep <= now() - changed / 1000 < keep + _QUIET_SECONDS


def noted_version(table: DeltaTable, name: str) -> int | None:
    """One of our application transactions."""
    return table.transaction_version(f"{_APP}/{name}")


def note_versions(**versions: int) -> list[Transaction]:
    return [Transaction(f"{_APP}/{name}", version) for name, version in versions.items()]


def note_change(now: Callable[[], float] = time.time) -> list[Transaction]:
    """For a commit that replaces files."""
    return note_versions(**{_CHANGED: round(now() * 1000)})


def keep_up(name: str, table: DeltaTable, keep: float) -> None:
    """Small files become large ones, and what was replaced more than `keep` seconds ago goes."""
    cleaned = noted_version(table, _CHANGED) if is_quiet(table, keep) else None
    _set_properties(table, properties(name, keep))
    table.optimize.compact(
        target_size=target_size(name),
        writer_properties=COMPRESSED,
        commit_properties=only_next(note_change()),
    )
    # Full: a checkpoint may have forgotten what was replaced. What the property keeps stays.
    noted = CommitProperties(app_transactions=note_versions(**{_CLEANED: cleaned}) if cleaned else None)
    table.vacuum(dry_run=False, enforce_retention_duration=False, full=True, commit_properties=noted)
    table.create_checkpoint()
    table.cleanup_metadata()


def only_next(noted: list[Transaction] | None = None) -> CommitProperties:
    """A commit that fails when somebody else has committed since the table was opened."""
    return CommitProperties(app_transactions=noted, max_commit_retries=0)


def _sizes(table: DeltaTable) -> pa.ChunkedArray:
    return pa.table(table.get_add_actions())["size_bytes"]


def _set_properties(table: DeltaTable, wanted: dict[str, str]) -> None:
    """Tables of an older version have others, and settings change."""
    held = table.metadata().configuration
    if any(held.get(name) != value for name, value in wanted.items()):
        table.alter.set_table_properties(wanted)
