"""One family of remixes: the tree that a job belongs to, drawn from its root downwards."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from etl.analytics.jobs import JOBS, these_jobs
from etl.analytics.queries import Table
from etl.db.engine import storage_errors
from etl.errors import ConfigError
from etl.schema.tables import sources, video_jobs
from etl.schema.views.columns import Column
from etl.schema.views.remixes import DEEPEST

#: Jobs of a tree that are read; a larger one is cut, and says so.
LARGEST = 500
_DEPTH = Column("depth", "integer", "Remixes from the root to it.")
_c = video_jobs.c


def read_tree(engine: sa.Engine, job_id: str, source: str | None = None) -> Table:
    """The tree that `job_id` is in, parents before children; alone, it is a tree of one. An orphan's root is
    not in it: only its remixes name it. Raises ConfigError when nobody names the job.

    Children are found by one pass over the jobs made since the root: their parents are not indexed.
    """
    with storage_errors(), engine.connect() as conn:
        source_id = _source_of_job(conn, job_id, source)
        root, born = _climb_to_root(conn, source_id, job_id)
        order = _descend_tree(root, _read_children(conn, source_id, born))
    found = these_jobs(engine, source_id, [one for one, _ in order[:LARGEST]])
    if not found.rows:
        raise ConfigError(f"no job {job_id!r} in the database")
    return _tree_table(found, dict(order), len(order) > LARGEST)


def _source_of_job(conn: sa.Connection, job_id: str, source: str | None) -> int:
    """The source that has the job, or a remix of it."""
    query = sa.select(sources.c.id, sources.c.name).order_by(sources.c.id)
    if source is not None:
        query = query.where(sources.c.name == source)
    rows = conn.execute(query).all()
    for row in rows:
        if _read_parent(conn, row.id, job_id) is not None:
            return int(row.id)
    if not rows:
        raise ConfigError(f"there is no source {source!r}" if source else "no source was ever synced")
    return int(rows[0].id)


def _read_parent(conn: sa.Connection, source_id: int, job_id: str) -> sa.Row[Any, Any] | None:
    query = sa.select(_c.remixed_from_job_id, _c.created_at)
    return conn.execute(query.where(_c.source_id == source_id, _c.job_id == job_id)).one_or_none()


def _climb_to_root(conn: sa.Connection, source_id: int, job_id: str) -> tuple[str, datetime | None]:
    """The farthest ancestor, and the creation of the oldest one that is known."""
    met, born = [job_id], list[datetime]()
    while (row := _read_parent(conn, source_id, met[-1])) is not None:
        born += [row.created_at] if row.created_at else []
        above = row.remixed_from_job_id
        if above is None or above in met or len(met) > DEEPEST:
            break
        met.append(above)
    return met[-1], min(born, default=None)


def _read_children(conn: sa.Connection, source_id: int, born: datetime | None) -> dict[str, list[str]]:
    query = sa.select(_c.remixed_from_job_id, _c.job_id).where(
        _c.source_id == source_id, _c.remixed_from_job_id.is_not(None)
    )
    if born is not None:
        query = query.where(sa.or_(_c.created_at >= born, _c.created_at.is_(None)))
    below: defaultdict[str, list[str]] = defaultdict(list)
    for parent, child in conn.execute(query.order_by(_c.created_at, _c.job_id)):
        below[parent].append(child)
    return below


def _descend_tree(root: str, below: dict[str, list[str]]) -> list[tuple[str, int]]:
    """Every job of the tree once, with its depth, parents first."""
    found: dict[str, int] = {}
    waiting = [(root, 0)]
    while waiting and len(found) <= LARGEST:
        job_id, depth = waiting.pop()
        if job_id not in found:
            found[job_id] = depth
            waiting.extend((child, depth + 1) for child in reversed(below.get(job_id, [])))
    return list(found.items())


def _tree_table(found: Table, depths: dict[str, int], cut: bool) -> Table:
    place = [column.name for column in JOBS].index("job_id")
    ranks = {job_id: number for number, job_id in enumerate(depths)}
    rows = sorted(found.rows, key=lambda row: ranks[row[place]])
    deep = tuple((depths[row[place]], *row) for row in rows)
    return Table("tree", "Remix tree", (_DEPTH, *JOBS), deep, cut=cut, ranged=False)
