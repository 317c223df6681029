"""Jobs that two sources have: two keys of one account list the same ones. Each counts once.

What makes jobs the same is the gateway, the provider and the id. The source that stored a job first counts
it; in the others its row says whose it is (`twin_source_id`), and totals and views leave it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from etl.load import bulk
from etl.load.totals import Totals
from etl.records import JobRow
from etl.schema.tables import leases, sources, video_jobs

_AT_ONCE = 5000

# Put together once, and of one length: a gateway may have hundreds of sources.
_ours = sources.alias("ours")
_id: sa.BindParameter[int] = sa.bindparam("source")
_FAMILY = sa.select(sources.c.id).where(_ours.c.base_url == sources.c.base_url, _ours.c.id == _id)
_SIBLINGS = _FAMILY.where(sources.c.id != _id).order_by(sources.c.id)
_FIRST = sa.select(sa.func.min(leases.c.source_id)).where(leases.c.source_id.in_(_FAMILY))
_TURN = sa.select(leases.c.source_id).where(leases.c.source_id == _FIRST.scalar_subquery()).with_for_update()


def find_twins(conn: sa.Connection, source_id: int, new: Sequence[JobRow]) -> dict[str, int]:
    """The source that already counts the job, by id, for those of `new` that some source counts."""
    siblings = _sibling_sources(conn, source_id) if new else []
    if not siblings:
        return {}
    _take_turns(conn, source_id)
    providers = {row.job_id: row.provider for row in new}
    where, parameters = bulk.of_jobs_of_several(conn, siblings, list(providers))
    query = f"SELECT job_id, provider, source_id FROM video_jobs WHERE {where} AND twin_source_id IS NULL"  # noqa: S608
    found: dict[str, int] = {}
    for row in bulk.run_driver_sql(conn, query, parameters):
        if providers.get(row.job_id, "\0") == row.provider:
            found[row.job_id] = min(row.source_id, found.get(row.job_id, row.source_id))
    return found


def mark_twins(conn: sa.Connection, source_id: int, twins: dict[str, int]) -> None:
    """Say of these jobs who counts them."""
    for sibling in set(twins.values()):
        ids = [job_id for job_id, source in twins.items() if source == sibling]
        where, parameters = bulk.of_jobs(conn, source_id, ids)
        query = f"UPDATE video_jobs SET twin_source_id = {sibling} WHERE {where}"  # noqa: S608
        bulk.run_driver_sql(conn, query, parameters)


def look_again(conn: sa.Connection, source_id: int) -> bool:
    """Jobs that another source counts too are no longer counted twice: at the end of a first load, which does
    not look while it goes on, and of a reconcile, for what an older version counted twice. False: the gateway
    has no other source."""
    siblings, last = _sibling_sources(conn, source_id), ""
    if siblings:
        _take_turns(conn, source_id)
    while siblings and (rows := conn.execute(_doubled_jobs(source_id, siblings, last)).all()):
        for gone in (False, True):
            doubled = [JobRow._make(row[2:]) for row in rows if (row.unlisted_at is not None) is gone]
            totals = Totals()
            totals.subtract(Totals(doubled, unlisted=gone))
            totals.write(conn, source_id)
        mark_twins(conn, source_id, {row.job_id: row.twin for row in rows})
        last = rows[-1].job_id
    return bool(siblings)


def _doubled_jobs(source_id: int, siblings: Sequence[int], last: str) -> sa.Select[Any]:
    """Some thousands, behind the job `last`; `twin` is the first source that counts it."""
    other, ours = video_jobs.alias("other").c, video_jobs.c
    theirs = sa.select(sa.func.min(other.source_id)).where(
        other.source_id.in_(siblings),
        other.job_id == ours.job_id,
        other.twin_source_id.is_(None),
        sa.func.coalesce(other.provider, "") == sa.func.coalesce(ours.provider, ""),
    )
    twin = theirs.scalar_subquery().label("twin")
    columns = (twin, ours.unlisted_at, *(ours[name] for name in JobRow._fields))
    found = sa.select(*columns).where(
        ours.source_id == source_id, ours.job_id > last, ours.twin_source_id.is_(None)
    )
    every = found.subquery("every_job")
    doubled = sa.select(every).where(every.c.twin.is_not(None))
    return doubled.order_by(every.c.job_id).limit(_AT_ONCE)


def _take_turns(conn: sa.Connection, source_id: int) -> None:
    """Until the transaction ends no other of these looks who counts a job: two that look at one moment would
    both count it, or neither. The lock is the lease row of the first of them: every commit holds its own
    source's, and who holds the first one waits for nobody."""
    conn.execute(_TURN, {"source": source_id})


def _sibling_sources(conn: sa.Connection, source_id: int) -> list[int]:
    """Other sources of the same gateway."""
    return list(conn.scalars(_SIBLINGS, {"source": source_id}))
