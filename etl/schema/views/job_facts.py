"""One job, seen as facts: how long it took, what it cost, what became of it. SQL over video_jobs, called j.

Thresholds are plain numbers, the same for all models: a job is late after LATE seconds, stalled when it is
still open after STALLED seconds.
"""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from etl.records import SETTLED_STATUSES
from etl.schema.views.columns import Column, Scope, View
from etl.schema.views.dialects import Dialect

LATE = 900
STALLED = 3600

_ENDED = ", ".join(f"'{status}'" for status in sorted(SETTLED_STATUSES))

_SHORTER = "CASE WHEN {t}.width < {t}.height THEN {t}.width ELSE {t}.height END"
_NAMES = "CASE LOWER({t}.size) WHEN '4k' THEN '4k' WHEN '2160p' THEN '4k' WHEN 'uhd' THEN '4k' {same} END"
_SAME = " ".join(f"WHEN '{name}' THEN '{name}'" for name in ("480p", "720p", "1024p", "1080p"))

#: A failure's class, from its code and message in lower case: the first that matches.
_CLASSES = {
    "moderation": ("moderat", "safety", "policy", "content_filter", "blocked_content", "flagged", "sexual"),
    "quota": ("quota", "rate_limit", "rate limit", "budget", "billing", "insufficient", "too many requests"),
    "timeout": ("timeout", "timed out", "timed_out", "deadline", "expired"),
    "invalid_input": ("invalid", "unsupported", "bad_request", "bad request", "validation", "not allowed"),
    "provider_fault": ("internal", "server_error", "server error", "unavailable", "overload", "upstream",
                       "generation_failed", "processing_error", "video_generation"),
}  # fmt: skip


def band(d: Dialect, t: str = "j") -> str:
    """The resolution band: the shorter side, or the name that stands instead of a size."""
    shorter, named = _SHORTER.format(t=t), _NAMES.format(t=t, same=_SAME)
    by_size = f"CASE {shorter} WHEN 2160 THEN '4k' ELSE {d.joined(shorter, _quote('p'))} END"
    return f"CASE WHEN {t}.width IS NULL OR {t}.height IS NULL THEN {named} ELSE {by_size} END"


def price_id(d: Dialect, t: str, moment: str) -> str:
    """The price in force at `moment` for `t`'s provider, model and band; null when there is none.

    Prices begin at midnight (UTC), so every moment of a day has the same; a job's creation is compared as it
    is stored, no text is built for it.
    """
    return f"({_price(d, t, moment, 'x.id')})"


def priced(d: Dialect, t: str, moment: str) -> str:
    """A join that gives `t` its price p. Cheap tests first: it runs for every job or group."""
    if d.family == "postgresql":  # it would look up the id twice for each row
        return f"LEFT JOIN LATERAL ({_price(d, t, moment, 'x.*')}) p ON TRUE"
    return f"LEFT JOIN prices p ON p.id = {price_id(d, t, moment)}"


def _price(d: Dialect, t: str, moment: str, what: str) -> str:
    """Imported before configured before published; then the more exact model, provider and resolution; then
    the newest."""
    return (
        f"SELECT {what} FROM prices x WHERE x.valid_from <= {moment}"
        f" AND x.provider IN ('*', {t}.provider) AND {d.matches(f'{t}.model', 'x.model_pattern')}"
        f" AND x.resolution IN ('*', {band(d, t)})"
        " ORDER BY CASE x.origin WHEN 'import' THEN 0 WHEN 'config' THEN 1 ELSE 2 END,"
        " CASE WHEN x.model_pattern LIKE '%!%%' ESCAPE '!' THEN 1 ELSE 0 END, LENGTH(x.model_pattern) DESC,"
        " CASE x.provider WHEN '*' THEN 1 ELSE 0 END, CASE x.resolution WHEN '*' THEN 1 ELSE 0 END,"
        " x.valid_from DESC, x.id DESC LIMIT 1"
    )


def failure_class(t: str = "j") -> str:
    text = f"LOWER({t}.error_code)", f"LOWER({t}.error_message)"
    cases = "".join(
        f" WHEN {' OR '.join(_has(part, word) for word in words for part in text)} THEN '{name}'"
        for name, words in _CLASSES.items()
    )
    return f"CASE{cases} ELSE 'unknown' END"


def _has(text: str, word: str) -> str:
    return f"{text} LIKE '%{word.replace('_', '!_')}%' ESCAPE '!'"


def _quote(text: str) -> str:
    return f"'{text}'"


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
    Column("price", "money", "Price of one second in force when it was created."),
    Column("currency", "text", "Currency of price and cost."),
    Column(
        "cost", "money", "seconds x price of a completed job; null when failed, open, unpriced or unknown."
    ),
    Column(
        "cost_state",
        "text",
        "billed, failed (not charged), unpriced (no price is known), open, or unknown (no length, or the job "
        "vanished).",
    ),
)

COST_STATE = (
    "CASE WHEN j.status = 'completed' AND p.price IS NULL THEN 'unpriced'"
    " WHEN j.status = 'completed' AND j.seconds IS NULL THEN 'unknown'"
    " WHEN j.status = 'completed' THEN 'billed' WHEN j.settled THEN 'failed'"
    " WHEN j.unlisted_at IS NOT NULL THEN 'unknown' ELSE 'open' END"
)


def price_of_job(d: Dialect) -> str:
    """A join that gives job j its price p."""
    return priced(d, "j", "j.created_at")


def cost_of_job(d: Dialect) -> str:
    return f"CASE WHEN j.status = 'completed' THEN {d.rounded('j.seconds * p.price', 6)} END"


def outcome(t: str = "j") -> str:
    """What became of a job: `etl.records.outcome`, in SQL."""
    return (
        f"CASE WHEN {t}.status IN ('completed', 'failed') THEN {t}.status WHEN {t}.settled THEN 'stopped'"
        f" WHEN {t}.unlisted_at IS NOT NULL THEN 'vanished' ELSE 'open' END"
    )


def _sight_before(d: Dialect, sight: str, previous: str | None) -> str:
    """The last moment at which the job was surely still as before the version `sight`.

    A run that ended well has read every open job, unless the job had to be re-read by id because it stayed
    open for too long; then only the version before counts.
    """
    run = (
        f"(SELECT r.started_at FROM sync_runs r WHERE r.source_id = {sight}.source_id"
        f" AND r.id < {sight}.run_id AND r.status = 'ok' ORDER BY r.id DESC LIMIT 1)"
    )
    if previous is None:
        return run
    later = d.latest(f"{previous}.valid_from", f"COALESCE({run}, {previous}.valid_from)")
    return f"CASE WHEN j.reread_at IS NULL THEN {later} ELSE {previous}.valid_from END"


def _version(alias: str, condition: str) -> str:
    """Joins a version of job j by its key."""
    key = f"{alias}.source_id = j.source_id AND {alias}.job_id = j.job_id"
    return f"LEFT JOIN video_job_versions {alias} ON {key} AND {alias}.version = {condition}"


def _first(condition: str) -> str:
    return (
        "(SELECT MIN(x.version) FROM video_job_versions x WHERE x.source_id = j.source_id"
        f" AND x.job_id = j.job_id AND {condition})"
    )


def _job_facts(d: Dialect, scope: Scope) -> str:
    age = d.seconds("j.created_at", d.now)
    total = d.seconds("j.created_at", "j.completed_at")
    # Our clock only: v1 first sight, b then a the versions around the start, y then z around the end.
    start = f"{d.seconds(_sight_before(d, 'a', 'b'), 'a.valid_from')}"
    first = f"{d.seconds(_sight_before(d, 'v1', None), 'v1.valid_from')}"
    end = f"{d.seconds(_sight_before(d, 'z', 'y'), 'z.valid_from')}"
    rendered = "z.status = 'completed'"
    return f"""
SELECT s.name AS source, j.source_id, j.job_id, j.provider, j.model, j.status, j.prompt,
  j.remixed_from_job_id, j.size, {band(d)} AS resolution, j.seconds,
  j.created_at, j.completed_at, j.expires_at,
  {scope.day("j.created_at")} AS created_day, {d.hour("j.created_at")} AS created_hour,
  j.first_seen_at, a.valid_from AS started_seen_at, z.valid_from AS ended_seen_at,
  {d.seconds("v1.valid_from", "a.valid_from")} AS queue_seconds,
  {d.rounded(f"{first} + {start}", 3)} AS queue_error_seconds,
  CASE WHEN {rendered} THEN {d.seconds("a.valid_from", "z.valid_from")} END AS render_seconds,
  CASE WHEN {rendered} THEN {d.rounded(f"{start} + {end}", 3)} END AS render_error_seconds,
  {total} AS total_seconds, {outcome()} AS outcome, j.settled AS is_terminal,
  CASE WHEN j.completed_at IS NOT NULL THEN {total} > {LATE}
    WHEN j.settled OR j.unlisted_at IS NOT NULL THEN NULL ELSE {age} > {LATE} END AS is_late,
  CASE WHEN j.settled OR j.unlisted_at IS NOT NULL THEN 1 = 0 ELSE {age} > {STALLED} END AS is_stalled,
  (j.unlisted_at IS NOT NULL) AS is_unlisted, j.version AS versions, j.error_code, j.error_message,
  {d.rounded("p.price", 6)} AS price, p.currency, {cost_of_job(d)} AS cost, {COST_STATE} AS cost_state
FROM video_jobs j
JOIN sources s ON s.id = j.source_id
{_version("v1", "1")}
{_version("a", _first("x.status = 'in_progress'"))} AND v1.status = 'queued'
{_version("b", "a.version - 1")}
{_version("z", _first(f"x.status IN ({_ENDED})"))} AND v1.status NOT IN ({_ENDED})
{_version("y", "z.version - 1")}
{price_of_job(d)}
WHERE {scope.where}"""


JOB_FACTS = View("job_facts", "One row per job: durations, cost, day, flags.", _COLUMNS, _job_facts)
