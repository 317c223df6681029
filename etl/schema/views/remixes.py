"""Views of jobs that belong together: remixes of remixes, and the same request made again."""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from etl.schema.views.columns import Column, Scope, View
from etl.schema.views.dialects import Dialect
from etl.schema.views.job_facts import COUNTED, cost_of_job, price_of_job
from etl.schema.views.pricing import job_cost, join_prices

#: Longer chains are cut, and marked: a cycle would never end.
DEEPEST = 500

# --- remixes -----------------------------------------------------------------------------------


def _tree_members(scope: Scope) -> str:
    """CTEs: every job with a tree, by climbing from each remix to its parents through the primary key.

    Where a climb ends stands a remix's root: the last ancestor met, or for a cycle the smallest one. Of a
    root that two sources have, the one that counts it has the family. The scope chooses whole trees: those
    with a remix in it.
    """
    inside = f"CASE WHEN {scope.where} THEN 1 ELSE 0 END"
    chosen = "inside" if scope.unbounded else "MAX(inside) OVER (PARTITION BY family, root)"
    return f"""
WITH RECURSIVE climb AS (
  SELECT j.source_id, j.job_id, {inside} AS inside, 1 AS depth, j.remixed_from_job_id AS ancestor,
    j.remixed_from_job_id AS smallest, {_parent_sql("j.source_id", "j.remixed_from_job_id")} AS above
  FROM video_jobs j
  WHERE j.remixed_from_job_id IS NOT NULL AND j.remixed_from_job_id <> j.job_id AND {COUNTED}
  UNION ALL
  SELECT c.source_id, c.job_id, c.inside, c.depth + 1 AS depth, c.above AS ancestor,
    CASE WHEN c.above < c.smallest THEN c.above ELSE c.smallest END AS smallest,
    {_parent_sql("c.source_id", "c.above")} AS above
  FROM climb c WHERE c.above IS NOT NULL AND c.ancestor <> c.job_id AND c.depth < {DEEPEST}
), remixes AS (
  SELECT * FROM (
    SELECT r.*, {chosen} AS chosen FROM (SELECT e.*, {_FAMILY} AS family FROM ({_ENDS}) e) r
  ) r WHERE chosen = 1
), members AS (
  SELECT source_id, family, root, job_id, depth, cyclic FROM remixes
  UNION ALL
  SELECT r.family, r.family, r.root, j.job_id, 0, 0
  FROM (SELECT DISTINCT family, root FROM remixes WHERE cyclic = 0) r
  JOIN video_jobs j ON j.source_id = r.family AND j.job_id = r.root
)"""


#: A chain of parents that leads back to its own beginning, or is longer than is followed.
_ROUND = f"(depth = {DEEPEST} OR ancestor = job_id)"
_ENDS = f"""
  SELECT source_id, job_id, depth, inside, CASE WHEN {_ROUND} THEN smallest ELSE ancestor END AS root,
    CASE WHEN {_ROUND} THEN 1 ELSE 0 END AS cyclic
  FROM climb WHERE above IS NULL OR {_ROUND}"""


#: The source that counts the root. Where no two have a job in common, nothing is looked up.
_FAMILY = """CASE WHEN EXISTS (SELECT 1 FROM video_jobs t WHERE t.twin_source_id IS NOT NULL)
      THEN COALESCE((SELECT a.twin_source_id FROM video_jobs a
        WHERE a.source_id = e.source_id AND a.job_id = e.root), e.source_id)
      ELSE e.source_id END"""


def _parent_sql(source: str, job_id: str) -> str:
    """A job's parent. Not a join: PostgreSQL would read all jobs for each step."""
    return (
        f"(SELECT a.remixed_from_job_id FROM video_jobs a WHERE a.source_id = {source}"
        f" AND a.job_id = {job_id} AND a.remixed_from_job_id <> a.job_id)"
    )


def _remix_jobs(d: Dialect, scope: Scope) -> str:
    # LEFT JOIN, though every member is a job: MariaDB would look for each job among all members.
    return f"""{_tree_members(scope)}
SELECT s.name AS source, m.root AS root_job_id, j.job_id, j.remixed_from_job_id, m.depth AS depth,
  (m.cyclic = 1) AS is_cycle, j.provider, j.model, j.status, j.seconds, j.created_at,
  {cost_of_job(d)} AS cost, p.currency
FROM members m
LEFT JOIN video_jobs j ON j.source_id = m.source_id AND j.job_id = m.job_id
LEFT JOIN sources s ON s.id = m.family
{price_of_job(d)}"""


def _remix_trees(d: Dialect, scope: Scope) -> str:
    one_currency = "MAX(currency) = MIN(currency)"
    return f"""
SELECT source, root_job_id, (MIN(depth_min) > 0 AND MAX(cycle_mark) = 0) AS is_orphan,
  (MAX(cycle_mark) = 1) AS is_cycle, {d.whole("SUM(jobs)")} AS jobs, MAX(depth) AS depth,
  SUM(seconds) AS seconds, CASE WHEN {one_currency} THEN {d.sum_of_money("cost")} END AS cost,
  CASE WHEN {one_currency} THEN MAX(currency) END AS currency, {d.amounts("currency", "cost")} AS costs,
  {d.whole("SUM(uncosted_jobs)")} AS uncosted_jobs,
  MIN(first_at) AS first_created_at, MAX(last_at) AS last_created_at
FROM (
  SELECT source, root_job_id, currency, MIN(depth) AS depth_min, MAX(depth) AS depth, COUNT(*) AS jobs,
    MAX(CASE WHEN is_cycle THEN 1 ELSE 0 END) AS cycle_mark, SUM(seconds) AS seconds,
    {d.sum_of_money("cost")} AS cost, MIN(created_at) AS first_at, MAX(created_at) AS last_at,
    SUM(CASE WHEN status = 'completed' AND cost IS NULL THEN 1 ELSE 0 END) AS uncosted_jobs
  FROM ({_remix_jobs(d, scope)}) f GROUP BY source, root_job_id, currency
) m
GROUP BY source, root_job_id"""


_ROOT = Column("root_job_id", "text", "The job that the tree grew from, as far as it is known.")
_DEPTH = (
    f"Remixes from the root to it or its farthest job; a cycle ends where it closes, a chain after {DEEPEST}."
)

REMIX_JOBS = View(
    "remix_jobs",
    "One row per job of a remix tree, its root included.",
    (
        Column("source", "text", "Name of the source that counts the root."),
        _ROOT,
        Column("job_id", "text", "The job."),
        Column("remixed_from_job_id", "text", "Its parent; null for a root."),
        Column("depth", "integer", _DEPTH),
        Column("is_cycle", "flag", "Its ancestors go round in a circle, or never end."),
        Column("provider", "text", "Provider."),
        Column("model", "text", "Model."),
        Column("status", "text", "Status: as reported, or derived."),
        Column("seconds", "seconds", "Length of the clip."),
        Column("created_at", "instant", "Creation, gateway's clock."),
        Column("cost", "money", "Its cost; null when failed, open, unpriced or unknown."),
        Column("currency", "text", "Currency of cost."),
    ),
    _remix_jobs,
)

REMIX_TREES = View(
    "remix_trees",
    "One row per family of remixes.",
    (
        Column("source", "text", "Name of the source that counts the root."),
        _ROOT,
        Column("is_orphan", "flag", "The root is named by its remixes, but was never listed."),
        Column(
            "is_cycle",
            "flag",
            f"Parents go in a circle, or on for more than {DEEPEST}: the root is the smallest of those.",
        ),
        Column("jobs", "integer", "Jobs of the tree that are known."),
        Column("depth", "integer", _DEPTH),
        Column("seconds", "seconds", "Length of all its clips."),
        Column("cost", "money", "Cost of the whole tree; null when unpriced or in several currencies."),
        Column("currency", "text", "Currency of cost."),
        Column("costs", "amounts", "Cost of the whole tree in every currency."),
        Column("uncosted_jobs", "integer", "Completed jobs that are not in cost."),
        Column("first_created_at", "instant", "Creation of its oldest job, gateway's clock."),
        Column("last_created_at", "instant", "Creation of its newest job, gateway's clock."),
    ),
    _remix_trees,
)


# --- duplicate_requests ------------------------------------------------------------------------


def _duplicates_sql(d: Dialect, scope: Scope) -> str:
    # Sorted by what differs most first: PostgreSQL takes half the time. A size has one width and height.
    same = "j.prompt, j.seconds, j.size, j.model, j.provider"
    avoidable = "CASE WHEN g.completed_jobs > 1 THEN g.completed_jobs - 1 ELSE 0 END"
    return f"""
SELECT g.provider, g.model, g.size, g.seconds, g.prompt, g.jobs,
  {d.whole("g.completed_jobs")} AS completed_jobs, {d.whole(avoidable)} AS avoidable_jobs,
  g.seconds * ({avoidable}) AS avoidable_seconds,
  {d.times(job_cost(d, "g"), avoidable)} AS avoidable_cost, p.currency,
  g.first_created_at, g.last_created_at
FROM (
  SELECT {same}, MAX(j.width) AS width, MAX(j.height) AS height,
    {d.day("MAX(j.created_at)")} AS utc_day, COUNT(*) AS jobs,
    SUM(CASE WHEN j.status = 'completed' THEN 1 ELSE 0 END) AS completed_jobs,
    MIN(j.created_at) AS first_created_at, MAX(j.created_at) AS last_created_at
  FROM video_jobs j WHERE j.prompt IS NOT NULL AND j.prompt <> '' AND {COUNTED} AND {scope.where}
  GROUP BY {same}
  HAVING COUNT(*) > 1
) g
{join_prices(d, "g", d.midnight("g.utc_day"))}"""


DUPLICATES = View(
    "duplicate_requests",
    "Requests made more than once: same provider, model, size, length and prompt.",
    (
        Column("provider", "text", "Provider."),
        Column("model", "text", "Model."),
        Column("size", "text", "Resolution as sent."),
        Column("seconds", "seconds", "Length of the clip."),
        Column("prompt", "text", "The prompt, or its sha256, as configured."),
        Column("jobs", "integer", "How often it was asked for."),
        Column("completed_jobs", "integer", "How often it was delivered."),
        Column("avoidable_jobs", "integer", "Deliveries after the first: a cache would have had them."),
        Column("avoidable_seconds", "seconds", "Length of those clips."),
        Column(
            "avoidable_cost",
            "money",
            "What those cost, at the price of the last one's day; null when unpriced.",
        ),
        Column("currency", "text", "Currency of the cost."),
        Column("first_created_at", "instant", "Creation of the first, gateway's clock."),
        Column("last_created_at", "instant", "Creation of the last, gateway's clock."),
    ),
    _duplicates_sql,
)
