"""Views that count and add up: jobs and failures by day, how long it takes, cache lookups.

Money is added by group: a group has one provider, model, size and UTC day, so it has one price. A whole
history is not read job by job: see `etl.load.totals`.
"""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from etl.schema.views.columns import Column, CountedDays, Scope, View
from etl.schema.views.details import DETAIL_JOIN, FILTERED
from etl.schema.views.dialects import Dialect, nearest_rank
from etl.schema.views.job_facts import COUNTED, failure_class, outcome_sql
from etl.schema.views.pricing import job_cost, join_prices

_KEYS = (
    Column("day", "day", "Day of creation, gateway's clock (UTC)."),
    Column("source", "text", "Name of the source."),
    Column("provider", "text", "Provider that made the videos."),
    Column("model", "text", "Model as the gateway names it."),
    Column("size", "text", "Resolution as sent."),
)
_CURRENCY = Column("currency", "text", "Currency of the money; null when nothing is priced.")


def price_groups(d: Dialect, groups: str) -> str:
    """The groups g of `groups` with their source s and price p."""
    prices = join_prices(d, "g", d.midnight("g.utc_day"))
    return f"FROM ({groups}) g JOIN sources s ON s.id = g.source_id {prices}"


def _day_columns(d: Dialect, scope: Scope) -> str:
    """The report's day, and the UTC day that prices follow."""
    return f"{scope.day('j.created_at')} AS day, {d.day('j.created_at')} AS utc_day"


_COMPLETE = "(SELECT complete FROM totals)"


def totals_or_jobs(scope: Scope, kept: Callable[[str], str], counted: Callable[[Scope], str]) -> str:
    """What the totals say of whole days, while they are complete, with the jobs of the rest; else all jobs
    are counted now: somebody may have written or deleted some by hand."""
    if scope.kept is None:
        return counted(scope)
    complete = (
        "(SELECT COALESCE(SUM(jobs), 0) FROM daily_totals) = (SELECT COUNT(*) FROM video_jobs)"
        " - (SELECT COUNT(*) FROM video_jobs WHERE twin_source_id IS NOT NULL)"
        " AND NOT EXISTS (SELECT 1 FROM daily_totals WHERE jobs < 0)"
    )
    yes, no = (f"{_COMPLETE} = {flag}" for flag in (1, 0))
    parts = [kept(f"{scope.which} AND {scope.kept.days} AND {yes}"), counted(scope.only(no))]
    if scope.kept.edges is not None:
        parts.append(counted(scope.only(f"({scope.kept.edges}) AND {yes}")))
    union = "\n  UNION ALL ".join(parts)
    return f"""
  WITH totals AS (SELECT CASE WHEN {complete} THEN 1 ELSE 0 END AS complete)
  {union}"""


# --- daily_jobs --------------------------------------------------------------------------------

_KIND = "j.source_id, j.provider, j.model, j.seconds, j.size, j.width, j.height, j.status"


def _days_kept(where: str) -> str:
    return f"""
  SELECT j.day AS day, j.day AS utc_day, {_KIND}, j.outcome, j.jobs
  FROM daily_totals j WHERE j.jobs <> 0 AND {where}"""


def days_counted(d: Dialect, scope: Scope) -> str:
    return f"""
  SELECT {_day_columns(d, scope)}, {_KIND}, {outcome_sql()} AS outcome, COUNT(*) AS jobs
  FROM video_jobs j WHERE {COUNTED} AND {scope.where}
  GROUP BY 1, 2, {_KIND}, {outcome_sql()}"""


def _days_moved(d: Dialect, scope: Scope) -> str:
    """Jobs that the totals have on the UTC day, taken from there and put on the time zone's."""
    assert scope.kept is not None
    kind = _KIND.replace("j.", "m.")
    return f"""
  SELECT CASE WHEN sign = 1 THEN m.day ELSE m.utc_day END AS day, m.utc_day, {kind}, m.outcome,
    m.jobs * sign AS jobs
  FROM ({_moved_cells(d, scope, scope.kept)}) m CROSS JOIN (SELECT 1 AS sign UNION ALL SELECT -1) signs
  WHERE m.jobs <> 0"""


def _moved_cells(d: Dialect, scope: Scope, kept: CountedDays) -> str:
    """From the totals, which know whole hours; else each job is looked at."""
    if scope.hours is None or scope.hours.jobs is None:
        inside = "" if kept.edges is None else f" AND NOT ({kept.edges})"
        return days_counted(d, scope.only(f"{_COMPLETE} = 1{inside} AND {scope.moved}"))
    return f"""
  SELECT {scope.hours.day} AS day, j.day AS utc_day, {_KIND}, j.outcome, {scope.hours.jobs} AS jobs
  FROM daily_totals j WHERE {scope.which} AND {kept.days} AND {_COMPLETE} = 1"""


def _local_days(d: Dialect, scope: Scope) -> str:
    """Of a time zone whose days are not UTC's: from the totals all the same, with what differs put right.

    Less than no job tells of jobs that somebody has moved by hand: then all are counted."""
    kind = _KIND.replace("j.", "u.")
    days = totals_or_jobs(scope, _days_kept, partial(days_counted, d))
    wrong = "(SELECT COUNT(*) FROM cells WHERE jobs < 0)"
    counted = days_counted(d, scope.only(f"{wrong} > 0"))
    return f"""
  WITH cells AS (
    SELECT u.day, u.utc_day, {kind}, u.outcome, {d.whole("SUM(u.jobs)")} AS jobs
    FROM ({days}
    UNION ALL {_days_moved(d, scope)}) u
    GROUP BY u.day, u.utc_day, {kind}, u.outcome HAVING SUM(u.jobs) <> 0)
  SELECT * FROM cells WHERE {wrong} = 0
  UNION ALL {counted}"""


def _daily_jobs(d: Dialect, scope: Scope) -> str:
    if scope.kept is None or scope.moved is None:
        groups = totals_or_jobs(scope, _days_kept, partial(days_counted, d))
    else:
        groups = _local_days(d, scope)
    return f"""
SELECT day, source, provider, model, size, status, outcome, {d.whole("SUM(jobs)")} AS jobs,
  SUM(seconds * jobs) AS seconds, {d.sum_of_money("cost", "jobs")} AS cost, currency,
  {d.whole("SUM(CASE WHEN status = 'completed' AND cost IS NULL THEN jobs ELSE 0 END)")} AS uncosted_jobs
FROM (
  SELECT g.day AS day, s.name AS source, g.provider, g.model, g.size, g.status, g.outcome, g.jobs, g.seconds,
    CASE WHEN g.status = 'completed' THEN {job_cost(d, "g")} END AS cost, p.currency
  {price_groups(d, groups)}
) one
GROUP BY day, source, provider, model, size, status, outcome, currency"""


DAILY_JOBS = View(
    "daily_jobs",
    "Jobs by day of creation, source, provider, model, size and status.",
    (
        *_KEYS,
        Column("status", "text", "Status: as reported, or derived."),
        Column("outcome", "text", "What became of them: as in job_facts."),
        Column("jobs", "integer", "Jobs."),
        Column("seconds", "seconds", "Length of all their clips; null when none is known."),
        Column("cost", "money", "What the completed ones cost; null when nothing is charged or priced."),
        _CURRENCY,
        Column("uncosted_jobs", "integer", "Completed jobs without a price or a length: not in cost."),
    ),
    _daily_jobs,
)


# --- failures ----------------------------------------------------------------------------------


def _failures_sql(d: Dialect, scope: Scope) -> str:
    filtered = f"CASE WHEN {FILTERED} THEN 1 ELSE 0 END"
    groups = f"""
  SELECT {_day_columns(d, scope)}, j.source_id, j.provider, j.model, j.seconds, j.size, j.width, j.height,
    j.error_code, j.error_message, {filtered} AS filtered, dt.filter_reasons, COUNT(*) AS jobs,
    MAX(j.created_at) AS last_at
  FROM video_jobs j {DETAIL_JOIN} WHERE j.status = 'failed' AND {COUNTED} AND {scope.where}
  GROUP BY 1, 2, j.source_id, j.provider, j.model, j.seconds, j.size, j.width, j.height, j.error_code,
    j.error_message, {filtered}, dt.filter_reasons"""
    return f"""
SELECT day, source, provider, model, size,
  CASE WHEN filtered = 1 THEN 'moderation' ELSE {failure_class("one")} END AS class,
  error_code, error_message, filter_reasons,
  {d.whole("SUM(jobs)")} AS jobs, SUM(seconds * jobs) AS wasted_seconds,
  {d.sum_of_money("cost", "jobs")} AS would_be_cost, currency, MAX(last_at) AS last_created_at
FROM (
  SELECT g.day AS day, s.name AS source, g.provider, g.model, g.size, g.error_code, g.error_message,
    g.filtered, g.filter_reasons, g.jobs, g.seconds, g.last_at, {job_cost(d, "g")} AS cost, p.currency
  {price_groups(d, groups)}
) one
GROUP BY day, source, provider, model, size, filtered, error_code, error_message, filter_reasons, currency"""


FAILURES = View(
    "failures",
    "Failed jobs by day and error, with a class that is the same for all providers.",
    (
        *_KEYS,
        Column("class", "text", "moderation, quota, invalid_input, provider_fault, timeout or unknown."),
        Column("error_code", "text", "Code of the failure."),
        Column("error_message", "text", "Message of the failure."),
        Column("filter_reasons", "text", "What the content filter says, as job_facts has it."),
        Column("jobs", "integer", "Failed jobs."),
        Column("wasted_seconds", "seconds", "Length of the clips asked for and not delivered."),
        Column("would_be_cost", "money", "What they would have cost; failed jobs are not charged."),
        _CURRENCY,
        Column("last_created_at", "instant", "Creation of the newest of them, gateway's clock."),
    ),
    _failures_sql,
)


# --- latency_percentiles -----------------------------------------------------------------------


_MAKER = "j.source_id, j.provider, j.model"


def _durations_kept(d: Dialect, where: str) -> str:
    total = d.rounded("j.milliseconds / 1000.0", 3)
    return f"""
    SELECT {_MAKER}, {total} AS total, SUM(j.jobs) AS jobs
    FROM (SELECT t.*, 'completed' AS status FROM duration_totals t) j WHERE j.milliseconds >= 0 AND {where}
    GROUP BY {_MAKER}, j.milliseconds HAVING SUM(j.jobs) <> 0"""


def _durations_counted(d: Dialect, scope: Scope) -> str:
    return f"""
    SELECT {_MAKER}, {d.seconds("j.created_at", "j.completed_at")} AS total, COUNT(*) AS jobs
    FROM video_jobs j
    WHERE j.status = 'completed' AND j.completed_at >= j.created_at AND {COUNTED} AND {scope.where}
    GROUP BY {_MAKER}, 4"""


def count_durations(d: Dialect, scope: Scope) -> str:
    """Completed jobs by source_id, provider, model and the time that they took in all."""
    whole = scope if scope.whole else replace(scope, kept=None)
    return totals_or_jobs(whole, partial(_durations_kept, d), partial(_durations_counted, d))


def _latency_sql(d: Dialect, scope: Scope) -> str:
    percentiles = ", ".join(
        f"{nearest_rank(n, 't.total', 't.until', 't.n')} AS p{n}" for n in (50, 90, 95, 99)
    )
    # Lengths of time are few: counting equal ones first leaves little to rank.
    return f"""
SELECT s.name AS source, t.provider, t.model, {d.whole("MAX(t.n)")} AS jobs, MIN(t.total) AS fastest,
  {percentiles}, MAX(t.total) AS slowest
FROM (
  SELECT u.*, SUM(u.jobs) OVER (PARTITION BY u.source_id, u.provider, u.model) AS n,
    SUM(u.jobs) OVER (PARTITION BY u.source_id, u.provider, u.model ORDER BY u.total) AS until
  FROM ({count_durations(d, scope)}) u
) t
JOIN sources s ON s.id = t.source_id
GROUP BY s.name, t.provider, t.model"""


LATENCY = View(
    "latency_percentiles",
    "Seconds from creation to completion of completed jobs, gateway's clock, by nearest rank.",
    (
        *_KEYS[1:4],
        Column("jobs", "integer", "Completed jobs."),
        Column("fastest", "seconds", "The fastest job."),
        Column("p50", "seconds", "Half of the jobs took no longer."),
        Column("p90", "seconds", "90 of 100 took no longer."),
        Column("p95", "seconds", "95 of 100 took no longer."),
        Column("p99", "seconds", "99 of 100 took no longer."),
        Column("slowest", "seconds", "The slowest job."),
    ),
    _latency_sql,
)


# --- cache_daily -------------------------------------------------------------------------------


def _cache_daily(d: Dialect, scope: Scope) -> str:
    def count(condition: str) -> str:
        return d.whole(f"SUM(CASE WHEN {condition} THEN 1 ELSE 0 END)")

    return f"""
SELECT {scope.day("j.looked_up_at")} AS day, s.name AS source, COUNT(*) AS lookups,
  {count("j.cache_hit")} AS hits, {count("j.cache_hit AND j.hit_type = 'direct'")} AS direct_hits,
  {count("j.cache_hit AND j.hit_type = 'semantic'")} AS semantic_hits,
  {d.share(count("j.cache_hit"), "COUNT(*)")} AS hit_rate,
  {d.whole("SUM(j.input_tokens)")} AS input_tokens, AVG(j.similarity) AS average_similarity
FROM cache_lookups j
JOIN sources s ON s.id = j.source_id
WHERE {scope.where}
GROUP BY 1, s.name"""


CACHE_DAILY = View(
    "cache_daily",
    "Lookups in the gateway's cache, by day.",
    (
        Column("day", "day", "Day of the lookup, our clock (UTC)."),
        Column("source", "text", "Name of the source."),
        Column("lookups", "integer", "Pages that carried the cache's own account."),
        Column("hits", "integer", "Served from the cache."),
        Column("direct_hits", "integer", "Hits on the same request."),
        Column("semantic_hits", "integer", "Hits on a similar request."),
        Column("hit_rate", "ratio", "hits / lookups."),
        Column("input_tokens", "integer", "Tokens spent on embeddings."),
        Column("average_similarity", "ratio", "Mean similarity, where one was reported."),
    ),
    _cache_daily,
)
