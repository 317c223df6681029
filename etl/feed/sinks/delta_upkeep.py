"""What keeps a Delta table small: few files, a short log, and nothing on disk that nobody may still read.

Every fourth delivery of a table cleans it up, and the first one with nothing new once what was replaced may
go. How many deliveries there were stands in the table, as one of Delta's application transactions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties

from etl.feed.tables import REPLACED

#: Deliveries between two clean-ups, while a table is larger than `_LITTLE`; a little state is cleaned up each
#: time, because most of it is written anew by every change.
_EVERY, _LITTLE = 4, 2 * 2**20
_KIB = 1024
#: Joining small files writes all of one again that is smaller than this: it bounds what a delivery costs.
_LARGE = 2_048 * _KIB
#: A change of state writes the file anew that held the job: small files bound what five changes cost.
_TARGET = dict.fromkeys(REPLACED, 256 * _KIB)
#: Quiet tables are looked at for so long after `keep_replaced`: then everything has been taken away.
_QUIET_SECONDS = 3_600
#: Commits that are read for it, and those that take away what others replaced.
_RECENT, _CLEANING = 8, ("VACUUM START", "VACUUM END")
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
    newest = _seconds(table.history(1))
    if table.version() == 0 or not keep <= now() - max(newest, default=0) < keep + _QUIET_SECONDS:
        return False
    latest = table.history(_RECENT)
    changed = max(_seconds(done for done in latest if done["operation"] not in _CLEANING), default=None)
    cleaned = max(_seconds(done for done in latest if done["operation"] in _CLEANING), default=0)
    return changed is not None and cleaned < changed + keep


def _seconds(commits: Iterable[dict[str, Any]]) -> list[float]:
    return [commit["timestamp"] / 1000 for commit in commits]


def keep_up(name: str, table: DeltaTable, keep: float) -> None:
    """Small files become large ones, and what was replaced more than `keep` seconds ago goes."""
    _set_properties(table, properties(name, keep))
    table.optimize.compact(
        target_size=target_size(name), writer_properties=COMPRESSED, commit_properties=only_next()
    )
    # Full: a checkpoint may have forgotten what was replaced. What the property keeps stays.
    table.vacuum(dry_run=False, enforce_retention_duration=False, full=True)
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
