"""Who asked for a job and what it cost by the gateway's own log: joins of job_requests to video_jobs j.

A job has one request that made it, at most, and one that settled it (`role`): each counts once. Up to
Bifrost 1.5.1 the log does not say which request made a job; who first read it by id stands in. The log is the
gateway's: where a source reads none, that of another source of the same gateway tells.
"""

# ruff: noqa: S608 (SQL is put together from our own snippets)

from __future__ import annotations

from etl.schema.views.columns import Column
from etl.schema.views.dialects import Dialect

#: Whom jobs belong to: column of a view, and columns of job_requests.
DIMENSIONS = {
    "virtual_key": "virtual_key",
    "team": "team",
    "customer": "customer",
    "user_name": "user",
    "business_unit": "business_unit",
}

OWNER_COLUMNS = (
    Column("virtual_key", "text", "Virtual key that asked for it, from the gateway's log."),
    Column("team", "text", "Team that the key belongs to."),
    Column("customer", "text", "Customer that the key belongs to."),
    Column("user_name", "text", "User who asked for it."),
    Column("business_unit", "text", "Business unit that the user belongs to."),
    Column("key_name", "text", "The provider's key that the gateway took."),
    Column("owner_source", "text", "made: the request that made it tells; polled: one that read it by id."),
    Column("settled_cost", "money", "What it cost in USD by the gateway's log; null when that does not say."),
    Column(
        "settled_cost_source",
        "text",
        "settled: when the job had ended; at creation: the gateway's estimate from the seconds asked for, "
        "of completed jobs.",
    ),
)


def _fits(column: str) -> str:
    """Both sources ask for the same, or one of them for all."""
    return f"(other.{column} IS NULL OR own.{column} IS NULL OR other.{column} = own.{column})"


#: Whose reading of the log tells of a source's jobs: its own, where it has read it.
_LOG_READER = f"""LEFT JOIN (
  SELECT own.id AS source_id, CASE WHEN y.log_until IS NOT NULL THEN own.id ELSE COALESCE((
    SELECT MIN(other.id) FROM sources other JOIN sync_state o ON o.source_id = other.id
    WHERE o.log_until IS NOT NULL AND other.base_url = own.base_url
      AND {_fits("provider")} AND {_fits("key_name")}
    ), own.id) END AS reader_id
  FROM sources own LEFT JOIN sync_state y ON y.source_id = own.id
) lg ON lg.source_id = j.source_id
"""

OWNER_JOINS = _LOG_READER + "\n".join(
    f"LEFT JOIN job_requests {alias} ON {alias}.source_id = lg.reader_id AND {alias}.job_id = j.job_id"
    f" AND {alias}.role = '{role}'"
    for alias, role in (("mk", "made"), ("pl", "polled"), ("st", "settled"))
)

#: Of a request r that several sources have read in the log of one gateway: an earlier source has it too.
READ_TWICE = """EXISTS (
  SELECT 1 FROM sources own JOIN sources other ON other.base_url = own.base_url AND other.id < own.id
  JOIN job_requests x ON x.source_id = other.id AND x.request_id = r.request_id WHERE own.id = r.source_id)"""


#: Of a request r that failed: one of its fallbacks succeeded, so that its asker got a job after all.
FELL_BACK = """(r.status = 'error' AND (r.source_id, r.request_id) IN (
  SELECT b.source_id, b.parent_request_id FROM job_requests b
  WHERE b.fallback_index > 0 AND b.status = 'success' AND b.parent_request_id IS NOT NULL))"""


def owner_name(column: str, *aliases: str) -> str:
    """Name, or else id, in the first of these rows that says."""
    return f"COALESCE({', '.join(f'{a}.{column}_{part}' for a in aliases for part in ('name', 'id'))})"


_ESTIMATED = "j.status = 'completed' AND mk.cost IS NOT NULL"


def settled_cost(d: Dialect) -> str:
    """What job j cost by the gateway's log, over OWNER_JOINS."""
    return d.money(f"CASE WHEN st.cost IS NOT NULL THEN st.cost WHEN {_ESTIMATED} THEN mk.cost END")


def owner_values(d: Dialect) -> str:
    """SQL for OWNER_COLUMNS, over OWNER_JOINS."""
    owners = ", ".join(f"{owner_name(of, 'mk', 'st', 'pl')} AS {name}" for name, of in DIMENSIONS.items())
    return f"""{owners},
  COALESCE(mk.key_name, st.key_name, pl.key_name) AS key_name,
  CASE WHEN mk.request_id IS NOT NULL THEN 'made' WHEN st.request_id IS NOT NULL THEN 'settled'
    WHEN pl.request_id IS NOT NULL THEN 'polled' END AS owner_source,
  {settled_cost(d)} AS settled_cost,
  CASE WHEN st.cost IS NOT NULL THEN 'settled' WHEN {_ESTIMATED} THEN 'at creation' END
    AS settled_cost_source"""
