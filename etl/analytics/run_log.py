"""How the mirror works: its runs, their pages, what it could not understand, and fields nobody announced."""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from etl.analytics.filters import bind_values
from etl.analytics.queries import Table, as_table
from etl.db.engine import storage_errors
from etl.schema.views.columns import Column
from etl.schema.views.dialects import Dialect, make_dialect

_SOURCE = Column("source", "text", "Name of the source.")
_RUNS = (
    Column("run", "integer", "The run's number."),
    _SOURCE,
    Column("kind", "text", "incremental, first or reconcile."),
    Column("status", "text", "running, ok, failed or interrupted."),
    Column("started_at", "instant", "Start, our clock."),
    Column("duration_seconds", "seconds", "How long it took; null while running."),
    Column("pages", "integer", "Pages received."),
    Column("requests", "integer", "HTTP requests sent, retries included."),
    Column("retries", "integer", "Requests repeated after a retriable failure."),
    Column("seen", "integer", "Items on believed pages."),
    Column("inserted", "integer", "Jobs not known before."),
    Column("updated", "integer", "Known jobs that had changed."),
    Column("unchanged", "integer", "Known jobs as they were."),
    Column("rejected", "integer", "Items that could not be understood."),
    Column("unlisted", "integer", "Jobs found to be no longer listed."),
    Column("error_class", "text", "Name of the error that ended it."),
    Column("error_message", "text", "Its message."),
)
_COUNTS = ("jobs_seen", "jobs_inserted", "jobs_updated", "jobs_unchanged", "jobs_rejected", "jobs_unlisted")


def _runs_sql(d: Dialect) -> str:
    counts = ", ".join(f"r.{name}" for name in _COUNTS)
    return f"""
SELECT r.id, s.name, r.kind, r.status, r.started_at, {d.seconds("r.started_at", "r.finished_at")}, r.pages,
  r.requests, r.retries, {counts}, r.error_class, r.error_message
FROM sync_runs r JOIN sources s ON s.id = r.source_id WHERE {{where}} ORDER BY r.id DESC"""


_PAGES = (
    Column("run", "integer", "The run."),
    Column("received_at", "instant", "When the body was complete, our clock."),
    Column("cursor", "text", "The `after` asked for."),
    Column("order", "text", "asc or desc."),
    Column("limit", "integer", "Limit asked for."),
    Column("items", "integer", "Items on the page."),
    Column("has_more", "flag", "As sent."),
    Column("http_status", "integer", "HTTP status."),
    Column("attempts", "integer", "Requests it took."),
    Column("duration_ms", "number", "Time of the last request in ms."),
    Column("bytes", "integer", "Size of the body."),
    Column("believed", "flag", "No: the gateway's cache served it."),
    Column("provider", "text", "As the page says."),
)


def _pages_sql(d: Dialect) -> str:
    order, limit = ("`order`", "`limit`") if d.family == "mysql" else ('"order"', '"limit"')
    return f"""
SELECT r.run_id, r.received_at, r.cursor, r.{order}, r.{limit}, r.items, r.has_more, r.http_status,
  r.attempts, r.duration_ms, r.bytes, r.accepted, r.provider
FROM list_pages r JOIN sources s ON s.id = r.source_id WHERE {{where}} ORDER BY r.id DESC""".replace(
        "r.cursor", "r.`cursor`" if d.family == "mysql" else "r.cursor"
    )


_REJECTS = (
    _SOURCE,
    Column("rejected_at", "instant", "First time, our clock."),
    Column("last_seen_at", "instant", "Last time, our clock."),
    Column("times_seen", "integer", "How often it came."),
    Column("reason", "text", "Why it could not be understood."),
    Column("job_id", "text", "Its id, when that much could be read."),
    Column("after_id", "text", "For a record nobody can read: the known job just before it."),
    Column("before_id", "text", "And the one just after."),
    Column("run", "integer", "The run that met it first."),
    Column("payload", "text", "The item as it came."),
)


def _rejects_sql(_d: Dialect) -> str:
    return """
SELECT s.name, r.rejected_at, r.last_seen_at, r.times_seen, r.reason, r.job_id, r.after_id, r.before_id,
  r.run_id, r.payload
FROM rejected_items r JOIN sources s ON s.id = r.source_id WHERE {where}
ORDER BY r.last_seen_at DESC, r.id DESC"""


_DRIFT = (
    _SOURCE,
    Column("path", "text", "Where: a dotted path."),
    Column("type", "text", "JSON type seen there."),
    Column("times", "integer", "How often it was seen."),
    Column("first_seen_at", "instant", "First time, our clock."),
    Column("last_seen_at", "instant", "Last time, our clock."),
)


def _drift_sql(_d: Dialect) -> str:
    return """
SELECT s.name, r.path, r.type, r.count, r.first_seen_at, r.last_seen_at
FROM unknown_fields r JOIN sources s ON s.id = r.source_id WHERE {where}
ORDER BY r.last_seen_at DESC, r.path"""


LOGS = {
    "runs": ("Runs", _RUNS, _runs_sql),
    "pages": ("Pages of the list", _PAGES, _pages_sql),
    "rejects": ("Rejected items", _REJECTS, _rejects_sql),
    "drift": ("Fields that the contract does not name", _DRIFT, _drift_sql),
}


def read_log(
    engine: sa.Engine,
    name: str,
    sources: tuple[str, ...] = (),
    *,
    run: int | None = None,
    limit: int | None = None,
) -> Table:
    """One of LOGS, newest first. `run` chooses the pages of one run. Raises StorageError."""
    title, columns, sql = LOGS[name]
    parts, values = ["1 = 1"], dict[str, Any]()
    if sources:
        parts.append("s.name IN :sources")
        values["sources"] = list(sources)
    if run is not None and name == "pages":
        parts.append("r.run_id = :run")
        values["run"] = run
    with storage_errors(), engine.connect() as conn:
        text = sql(make_dialect(conn.dialect.name)).replace("{where}", " AND ".join(parts))
        cut = "" if limit is None else f" LIMIT {int(limit) + 1}"
        rows = list(conn.execute(bind_values(text + cut, values)))
    table = as_table(name, title, columns, rows[:limit])
    return replace(table, cut=limit is not None and len(rows) > limit, ranged=False)


def source_names(engine: sa.Engine) -> list[str]:
    """Every source of the database."""
    with storage_errors(), engine.connect() as conn:
        return list(conn.scalars(sa.text("SELECT name FROM sources ORDER BY name")))
