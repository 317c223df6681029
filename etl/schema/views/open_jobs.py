"""Views of single jobs: what is open, what expires, how a job changed; and how fresh each source is."""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from etl.records import TRACKED
from etl.schema.views.columns import Column, Scope, View
from etl.schema.views.dialects import Dialect
from etl.schema.views.job_facts import COUNTED, LATE, STALLED, cost_of_job, price_of_job

#: An open job's expected finish comes from the completed ones among this many of the newest jobs.
COMPARED = 20_000

_JOB = (
    Column("source", "text", "Name of the source."),
    Column("job_id", "text", "The job's id as listed."),
    Column("provider", "text", "Provider."),
    Column("model", "text", "Model."),
    Column("size", "text", "Resolution as sent."),
    Column("seconds", "seconds", "Length of the clip."),
)
_JOB_SQL = "s.name AS source, j.job_id, j.provider, j.model, j.size, j.seconds"


# --- open_jobs ---------------------------------------------------------------------------------


def _median_sql(keys: str) -> str:
    """Nearest-rank median of `recent`, by `keys`."""
    return f"""
  SELECT {keys}, n, MIN(CASE WHEN until * 2 >= n THEN total END) AS median
  FROM (SELECT {keys}, total, SUM(jobs) OVER (PARTITION BY {keys}) AS n,
      SUM(jobs) OVER (PARTITION BY {keys} ORDER BY total) AS until FROM recent) ranked
  GROUP BY {keys}, n"""


def _open_jobs(d: Dialect, scope: Scope) -> str:
    age = d.seconds("o.created_at", d.now)
    expected = "COALESCE(a.median, b.median)"
    return f"""
WITH recent AS (
  SELECT j.model, j.size, j.seconds, {d.seconds("j.created_at", "j.completed_at")} AS total, COUNT(*) AS jobs
  FROM (SELECT model, size, seconds, status, created_at, completed_at FROM video_jobs
    WHERE created_at IS NOT NULL ORDER BY created_at DESC LIMIT {COMPARED}) j
  WHERE j.status = 'completed' AND j.completed_at >= j.created_at
  GROUP BY j.model, j.size, j.seconds, 4
), alike AS ({_median_sql("model, size, seconds")}
), same_model AS ({_median_sql("model")}
), o AS (
  SELECT {_JOB_SQL}, j.status, j.progress, j.prompt, j.created_at, j.first_seen_at
  FROM video_jobs j JOIN sources s ON s.id = j.source_id
  WHERE {d.unset("j.settled")} AND j.unlisted_at IS NULL AND {COUNTED} AND {scope.where}
)
SELECT o.source, o.job_id, o.provider, o.model, o.size, o.seconds, o.status, o.progress, o.prompt,
  o.created_at, o.first_seen_at, {age} AS age_seconds, {expected} AS expected_seconds,
  CASE WHEN a.median IS NOT NULL THEN 'same model, size and length'
    WHEN b.median IS NOT NULL THEN 'same model' END AS compared_with,
  {d.whole("COALESCE(a.n, b.n)")} AS compared_jobs, {d.later("o.created_at", expected)} AS expected_at,
  {age} > {LATE} AS is_late, {age} > {STALLED} AS is_stalled
FROM o
LEFT JOIN alike a ON a.model = o.model AND a.size = o.size AND a.seconds = o.seconds
LEFT JOIN same_model b ON b.model = o.model"""


OPEN_JOBS = View(
    "open_jobs",
    "Jobs that may still change, with an expected finish from comparable jobs.",
    (
        *_JOB,
        Column("status", "text", "Status: as reported, or derived."),
        Column("progress", "number", "Percent done."),
        Column("prompt", "text", "The prompt, its sha256, or null, as configured."),
        Column("created_at", "instant", "Creation, gateway's clock."),
        Column("first_seen_at", "instant", "First page that showed it, our clock."),
        Column("age_seconds", "seconds", "From its creation until now."),
        Column(
            "expected_seconds",
            "seconds",
            f"Median of the comparable jobs among the newest {COMPARED:,}; null when there is none.",
        ),
        Column("compared_with", "text", "Which jobs were comparable."),
        Column("compared_jobs", "integer", "How many those were."),
        Column("expected_at", "instant", "created_at + expected_seconds."),
        Column("is_late", "flag", f"Older than {LATE} seconds."),
        Column("is_stalled", "flag", f"Older than {STALLED} seconds."),
    ),
    _open_jobs,
)


# --- expiring_assets ---------------------------------------------------------------------------


def _expiring_sql(d: Dialect, scope: Scope) -> str:
    return f"""
SELECT {_JOB_SQL}, j.prompt, j.completed_at, j.expires_at, {d.seconds(d.now, "j.expires_at")} AS seconds_left,
  {cost_of_job(d)} AS cost, p.currency
FROM video_jobs j
JOIN sources s ON s.id = j.source_id
{price_of_job(d)}
WHERE j.status = 'completed' AND j.expires_at > {d.now} AND j.unlisted_at IS NULL AND {COUNTED}
  AND {scope.where}"""


EXPIRING = View(
    "expiring_assets",
    "Files that can still be downloaded, and until when.",
    (
        *_JOB,
        Column("prompt", "text", "The prompt, its sha256, or null, as configured."),
        Column("completed_at", "instant", "Completion, gateway's clock."),
        Column("expires_at", "instant", "End of the downloadable file, gateway's clock."),
        Column("seconds_left", "seconds", "From now until then."),
        Column("cost", "money", "What making it again would cost at its price; null when unpriced."),
        Column("currency", "text", "Currency of cost."),
    ),
    _expiring_sql,
)


# --- job_history -------------------------------------------------------------------------------

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


# --- sync_freshness ----------------------------------------------------------------------------


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
  {count("video_jobs", f" AND {d.unset('x.settled')} AND x.unlisted_at IS NULL")} AS open_jobs,
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
