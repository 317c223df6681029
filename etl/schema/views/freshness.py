"""The view `sync_freshness`: one row per source, with its last run and what is known to be missing."""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from etl.schema.views.columns import Column, Scope, View
from etl.schema.views.dialects import Dialect
from etl.schema.views.job_facts import is_open


def _freshness_sql(d: Dialect, scope: Scope) -> str:
    def count(table: str, more: str = "") -> str:
        return f"(SELECT COUNT(*) FROM {table} x WHERE x.source_id = s.id{more})"

    last = "(SELECT MAX(x.id) FROM sync_runs x WHERE x.source_id = s.id)"
    return f"""
SELECT s.name AS source, s.base_url, s.provider, t.complete_at,
  {d.seconds("t.complete_at", d.now)} AS age_seconds,
  t.newest_job_at, t.reconciled_at, r.id AS last_run_id, r.kind AS last_run_kind, r.status AS last_run_status,
  r.started_at AS last_run_started_at, r.finished_at AS last_run_finished_at, r.error_class AS last_error,
  COALESCE(t.failures, 0) AS failures, t.disabled_at, t.disabled_reason,
  {count("video_jobs", f" AND {is_open(d, 'x')}")} AS open_jobs,
  {count("rejected_items")} AS rejects, {count("coverage_gaps")} AS gaps
FROM sources s
LEFT JOIN sync_state t ON t.source_id = s.id
LEFT JOIN sync_runs r ON r.id = {last}
WHERE {scope.where}"""


FRESHNESS = View(
    "sync_freshness",
    "One row per source: when it was last complete, its last run, and what is known to be missing.",
    (
        Column("source", "text", "Name of the source."),
        Column("base_url", "text", "The gateway's address."),
        Column("provider", "text", "Provider asked for."),
        Column("complete_at", "instant", "End of the last run that read everything it had to, our clock."),
        Column("age_seconds", "seconds", "From then until now."),
        Column("newest_job_at", "instant", "Creation of the newest job seen, gateway's clock."),
        Column("reconciled_at", "instant", "End of the last complete reconcile, our clock."),
        Column("last_run_id", "integer", "The newest run."),
        Column("last_run_kind", "text", "incremental, first or reconcile."),
        Column("last_run_status", "text", "running, ok, failed or interrupted."),
        Column("last_run_started_at", "instant", "Its start, our clock."),
        Column("last_run_finished_at", "instant", "Its end, our clock."),
        Column("last_error", "text", "Name of the error that ended it."),
        Column("failures", "integer", "Failed runs in a row."),
        Column("disabled_at", "instant", "When a fatal answer stopped the source, our clock."),
        Column("disabled_reason", "text", "What it was."),
        Column("open_jobs", "integer", "Listed jobs that may still change."),
        Column("rejects", "integer", "Items that could not be understood."),
        Column("gaps", "integer", "Coverage gaps: spans in which jobs may have been missed."),
    ),
    _freshness_sql,
)
