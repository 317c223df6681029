"""The views `open_jobs` and `expiring_assets`: what may still change, and what can still be downloaded."""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from etl.schema.views.columns import Column, Scope, View
from etl.schema.views.dialects import Dialect
from etl.schema.views.job_facts import COUNTED, LATE, STALLED, cost_of_job, is_open, price_of_job

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
  WHERE {is_open(d)} AND {COUNTED} AND {scope.where}
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
