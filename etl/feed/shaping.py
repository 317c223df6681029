"""From rows of history to what a destination's tables hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl.feed.tables import BESIDE, STATE, STATE_COLUMNS, VERSIONS, state_schema
from etl.feed.watermarks import START, Marks

if TYPE_CHECKING:
    import pyarrow as pa


def behind_marks(rows: pa.Table, key: str, delivered: Marks) -> pa.Table:
    """The rows behind their source's mark. A crash can leave one table of a destination ahead of another."""
    import pyarrow as pa
    import pyarrow.compute as pc

    present = pc.unique(rows["source_id"]).to_pylist()
    lows = [delivered.get(source, START).key for source in present]
    place = pc.index_in(rows["source_id"], pa.array(present, pa.int64()))
    return rows.filter(pc.greater(rows[key], pc.take(pa.array(lows, pa.int64()), place)))


def shape_rows(table: str, rows: pa.Table) -> pa.Table:
    """What `table` of a destination gets out of rows that were read with what stands beside history."""
    if table == STATE:
        return _newest_versions(rows)
    if table != VERSIONS.name:
        return rows
    return rows.drop_columns([name for name in BESIDE if name in rows.column_names])


def _newest_versions(versions: pa.Table) -> pa.Table:
    """The newest version of each job, as `video_jobs` shows it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    newest = versions.group_by(["source_id", "job_id"]).aggregate([("change_seq", "max")])
    last = versions.filter(pc.is_in(versions["change_seq"], newest["change_seq_max"].combine_chunks()))
    # An erasure changes texts only: the job is listed, or is not, as before.
    erased = pc.equal(last["op"], "erase")
    unlisted = pc.if_else(pc.equal(last["op"], "unlist"), last["valid_from"], None)
    made = {
        "last_changed_at": last["valid_from"],
        "unlisted_at": pc.if_else(erased, last["unlisted_at"], unlisted),
        "unlisted_reason": last["unlisted_reason"],
    }
    columns = {name: made[name] if name in made else last[name] for name in STATE_COLUMNS}
    return pa.table(columns, schema=state_schema())
