"""Who asked for a job and what it cost by the gateway's own log: joins of job_requests to video_jobs j.

A job has one request that made it, at most, and one that settled it (`role`): each counts once. Up to
Bifrost 1.5.1 the log does not say which request made a job; who first read it by id stands in.
"""

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

OWNER_JOINS = "\n".join(
    f"LEFT JOIN job_requests {alias} ON {alias}.source_id = j.source_id AND {alias}.job_id = j.job_id"
    f" AND {alias}.role = '{role}'"
    for alias, role in (("mk", "made"), ("pl", "polled"), ("st", "settled"))
)


def owner_name(column: str, *aliases: str) -> str:
    """Name, or else id, in the first of these rows that says."""
    return f"COALESCE({', '.join(f'{a}.{column}_{part}' for a in aliases for part in ('name', 'id'))})"


def owner_values(d: Dialect) -> str:
    """SQL for OWNER_COLUMNS, over OWNER_JOINS."""
    owners = ", ".join(f"{owner_name(of, 'mk', 'st', 'pl')} AS {name}" for name, of in DIMENSIONS.items())
    estimated = "j.status = 'completed' AND mk.cost IS NOT NULL"
    return f"""{owners},
  COALESCE(mk.key_name, st.key_name, pl.key_name) AS key_name,
  CASE WHEN mk.request_id IS NOT NULL THEN 'made' WHEN st.request_id IS NOT NULL THEN 'settled'
    WHEN pl.request_id IS NOT NULL THEN 'polled' END AS owner_source,
  {d.money(f"CASE WHEN st.cost IS NOT NULL THEN st.cost WHEN {estimated} THEN mk.cost END")} AS settled_cost,
  CASE WHEN st.cost IS NOT NULL THEN 'settled' WHEN {estimated} THEN 'at creation' END
    AS settled_cost_source"""
