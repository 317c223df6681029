"""One job, seen as facts: how long it took, what it cost, what became of it. SQL over video_jobs, called j.

Thresholds are plain numbers, the same for all models: a job is late after LATE seconds, stalled when it is
still open after STALLED seconds.
"""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from etl.schema.views.columns import Column, Scope, View
from etl.schema.views.details import DETAIL_COLUMNS, DETAIL_JOIN, detail_values
from etl.schema.views.dialects import Dialect
from etl.schema.views.owners import OWNER_COLUMNS, OWNER_JOINS, owner_values
from etl.schema.views.pricing import job_cost, join_prices, resolution_band

LATE = 900
STALLED = 3600

#: A failure's class, from its code and message in lower case: the first that matches.
FAILURE_CLASSES = {
    "moderation": ("moderat", "safety", "policy", "content_filter", "blocked_content", "flagged", "sexual"),
    "quota": ("quota", "rate_limit", "rate limit", "budget", "billing", "insufficient", "too many requests"),
    "timeout": ("timeout", "timed out", "timed_out", "deadline", "expired"),
    "invalid_input": ("invalid", "unsupported", "bad_request", "bad request", "validation", "not allowed",
                      "input_image"),
    "provider_fault": ("internal", "server_error", "server error", "unavailable", "overload", "upstream",
                       "generation_failed", "processing_error", "video_generation"),
}  # fmt: skip


def failure_class(t: str = "j") -> str:
    text = f"LOWER({t}.error_code)", f"LOWER({t}.error_message)"
    cases = "".join(
        f" WHEN {' OR '.join(_has_word(part, word) for word in words for part in text)} THEN '{name}'"
        for name, words in FAILURE_CLASSES.items()
    )
    return f"CASE{cases} ELSE 'unknown' END"


def _has_word(text: str, word: str) -> str:
    return f"{text} LIKE '%{word.replace('_', '!_')}%' ESCAPE '!'"


# --- one row per job ---------------------------------------------------------------------------

_COLUMNS = (
    Column("source", "text", "Name of the source."),
    Column("source_id", "integer", "Key of the source."),
    Column("job_id", "text", "The job's id as listed."),
    Column("provider", "text", "Provider that made the video."),
    Column("model", "text", "Model as the gateway names it."),
    Column("status", "text", "Status: as reported, or derived when not sent."),
    Column("prompt", "text", "The prompt, its sha256, or null, as configured."),
    Column("remixed_from_job_id", "text", "Job that this one remixes."),
    Column("size", "text", "Resolution as sent."),
    Column("resolution", "text", "Resolution band: 720p, 1024p, 1080p, 4k, or another shorter side."),
    Column("seconds", "seconds", "Length of the clip."),
    Column("created_at", "instant", "Creation, gateway's clock."),
    Column("completed_at", "instant", "Completion, gateway's clock."),
    Column("expires_at", "instant", "End of the downloadable file, gateway's clock."),
    Column("created_day", "day", "UTC day of creation."),
    Column("created_hour", "integer", "UTC hour of creation, 0-23."),
    Column("first_seen_at", "instant", "First page that showed it, our clock."),
    Column("started_seen_at", "instant", "First page that showed it in progress after queued, our clock."),
    Column("ended_seen_at", "instant", "First page that showed its end after it was seen open, our clock."),
    Column("queue_seconds", "seconds", "From first seen (queued) to first seen in progress, our clock."),
    Column(
        "queue_error_seconds",
        "seconds",
        "Width of the intervals in which the two may have happened; null when it has no bound.",
    ),
    Column("render_seconds", "seconds", "From first seen in progress to first seen completed, our clock."),
    Column("render_error_seconds", "seconds", "Width of the intervals in which the two may have happened."),
    Column("total_seconds", "seconds", "completed_at - created_at, gateway's clock."),
    Column(
        "outcome",
        "text",
        "completed, failed, stopped (cancelled, expired, rejected or otherwise ended), open, or vanished (no "
        "longer listed before an end was seen).",
    ),
    Column("is_terminal", "flag", "It cannot change again."),
    Column("is_late", "flag", f"It took, or has been open, longer than {LATE} seconds."),
    Column("is_stalled", "flag", f"Open and listed, and older than {STALLED} seconds."),
    Column("is_unlisted", "flag", "The gateway no longer lists it."),
    Column("versions", "integer", "Number of its newest version: how often it was seen to change, plus one."),
    Column("error_code", "text", "Code of the failure."),
    Column("error_message", "text", "Message of the failure."),
    Column("price", "money", "Price in force when it was created."),
    Column("price_unit", "text", "What that is the price of: second (of video), clip or request."),
    Column("currency", "text", "Currency of price and cost."),
    Column("cost", "money", "What a completed job cost; null when failed, open, unpriced or unknown."),
    Column(
        "cost_state",
        "text",
        "billed, failed (not charged), unpriced (no price is known), open, or unknown (no length, or the job "
        "vanished).",
    ),
    *OWNER_COLUMNS,
    *DETAIL_COLUMNS,
)

COST_STATE = (
    "CASE WHEN j.status = 'completed' AND p.price IS NULL THEN 'unpriced'"
    " WHEN j.status = 'completed' AND p.unit = 'second' AND j.seconds IS NULL THEN 'unknown'"
    " WHEN j.status = 'completed' THEN 'billed' WHEN j.settled THEN 'failed'"
    " WHEN j.unlisted_at IS NOT NULL THEN 'unknown' ELSE 'open' END"
)


def price_of_job(d: Dialect) -> str:
    """A join that gives job j its price p."""
    return join_prices(d, "j", "j.created_at")


def cost_of_job(d: Dialect) -> str:
    return f"CASE WHEN j.status = 'completed' THEN {job_cost(d, 'j')} END"


#: Of a job that two sources have, the row that counts.
COUNTED = "j.twin_source_id IS NULL"


def is_open(d: Dialect, t: str = "j") -> str:
    """A condition, as the index of open jobs has it: listed, and not at an end yet."""
    return f"{d.unset(f'{t}.settled')} AND {t}.unlisted_at IS NULL"


def outcome_sql(t: str = "j") -> str:
    """What became of a job: `etl.records.decide_outcome`, in SQL."""
    return (
        f"CASE WHEN {t}.status IN ('completed', 'failed') THEN {t}.status WHEN {t}.settled THEN 'stopped'"
        f" WHEN {t}.unlisted_at IS NOT NULL THEN 'vanished' ELSE 'open' END"
    )


#: Both its start and its completion were seen.
RENDERED = "j.status = 'completed' AND j.started_seen_at IS NOT NULL AND j.ended_seen_at IS NOT NULL"


def _job_facts(d: Dialect, scope: Scope) -> str:
    age = d.seconds("j.created_at", d.now)
    total = d.seconds("j.created_at", "j.completed_at")
    return f"""
SELECT s.name AS source, j.source_id, j.job_id, j.provider, j.model, j.status, j.prompt,
  j.remixed_from_job_id, j.size, {resolution_band(d)} AS resolution, j.seconds,
  j.created_at, j.completed_at, j.expires_at,
  {scope.day("j.created_at")} AS created_day, {d.hour("j.created_at")} AS created_hour,
  j.first_seen_at, j.started_seen_at, j.ended_seen_at,
  {d.seconds("j.first_seen_at", "j.started_seen_at")} AS queue_seconds,
  {d.rounded("j.first_seen_within + j.started_seen_within", 3)} AS queue_error_seconds,
  CASE WHEN {RENDERED} THEN {d.seconds("j.started_seen_at", "j.ended_seen_at")} END AS render_seconds,
  CASE WHEN {RENDERED} THEN {d.rounded("j.started_seen_within + j.ended_seen_within", 3)} END
    AS render_error_seconds,
  {total} AS total_seconds, {outcome_sql()} AS outcome, j.settled AS is_terminal,
  CASE WHEN j.completed_at IS NOT NULL THEN {total} > {LATE}
    WHEN j.settled OR j.unlisted_at IS NOT NULL THEN NULL ELSE {age} > {LATE} END AS is_late,
  CASE WHEN j.settled OR j.unlisted_at IS NOT NULL THEN 1 = 0 ELSE {age} > {STALLED} END AS is_stalled,
  (j.unlisted_at IS NOT NULL) AS is_unlisted, j.version AS versions, j.error_code, j.error_message,
  {d.money("p.price")} AS price, p.unit AS price_unit, p.currency, {cost_of_job(d)} AS cost,
  {COST_STATE} AS cost_state,
  {owner_values(d)},
  {detail_values(d)}
FROM video_jobs j
JOIN sources s ON s.id = j.source_id
{OWNER_JOINS}
{DETAIL_JOIN}
{price_of_job(d)}
WHERE {COUNTED} AND {scope.where}"""


JOB_FACTS = View("job_facts", "One row per job: durations, cost, day, flags.", _COLUMNS, _job_facts)
