"""The view `job_history`: every version of every job, with the moment that ended it."""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from etl.records import TRACKED
from etl.schema.views.columns import Column, Scope, View
from etl.schema.views.dialects import Dialect

_KINDS = {"progress": "number", "seconds": "seconds", "width": "integer", "height": "integer"}


def _job_history(_d: Dialect, scope: Scope) -> str:
    tracked = ", ".join(f"j.{name}" for name in TRACKED)
    return f"""
SELECT s.name AS source, j.source_id, j.job_id, j.version, j.op, j.valid_from, n.valid_from AS valid_to,
  (n.version IS NULL) AS is_current, j.change_seq, j.run_id, j.changed_fields, {tracked}, j.unlisted_reason
FROM video_job_versions j
JOIN sources s ON s.id = j.source_id
LEFT JOIN video_job_versions n
  ON n.source_id = j.source_id AND n.job_id = j.job_id AND n.version = j.version + 1
WHERE {scope.where}"""


def _tracked_column(name: str) -> Column:
    kind = "instant" if name.endswith("_at") else _KINDS.get(name, "text")
    return Column(name, kind, "As in video_jobs, while this version was the newest.")  # type: ignore[arg-type]


JOB_HISTORY = View(
    "job_history",
    "Every version of every job, with the moment that ended it. "
    "valid_from <= T and (valid_to > T or valid_to is null) gives what was known at T.",
    (
        Column("source", "text", "Name of the source."),
        Column("source_id", "integer", "Key of the source."),
        Column("job_id", "text", "The job's id as listed."),
        Column("version", "integer", "1 for the first sight, then one more each."),
        Column("op", "text", "insert, update, unlist, relist or erase."),
        Column("valid_from", "instant", "When the page that showed it came, our clock."),
        Column("valid_to", "instant", "The next version's valid_from; null for the newest."),
        Column("is_current", "flag", "The newest version."),
        Column("change_seq", "integer", "Order of change; grows within a source."),
        Column("run_id", "integer", "The run that wrote it."),
        Column("changed_fields", "text", "JSON array of columns that changed; null for an insert."),
        *(_tracked_column(name) for name in TRACKED),
        Column("unlisted_reason", "text", "Evidence, for an unlist."),
    ),
    _job_history,
)
