"""Jobs that share their second of creation with others: what a scan missed among them."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile

import sqlalchemy as sa

from etl.load.lookup import is_placed
from etl.load.unlisting import suspect_conditions
from etl.schema.tables import video_jobs

_job = video_jobs.c
_other = video_jobs.alias("other")
#: Jobs of one second that are looked for below the oldest one listed.
_TIED = 1_000


def suspected_seconds(conn: sa.Connection, source_id: int, run_id: int, limit: int) -> list[datetime]:
    """Creations (UTC) that this run's suspects share with other listed jobs, oldest first."""
    shared = (
        sa.select(sa.literal(1))
        .where(
            _other.c.source_id == source_id,
            _other.c.created_at == _job.created_at,
            _other.c.job_id != _job.job_id,
            _other.c.unlisted_at.is_(None),
        )
        .exists()
    )
    query = sa.select(_job.created_at).distinct().where(*suspect_conditions(source_id, run_id), shared)
    return list(conn.scalars(query.order_by(_job.created_at).limit(limit)))


def suspects_of(conn: sa.Connection, source_id: int, run_id: int, moment: datetime) -> list[str]:
    """The suspects that were created then (UTC)."""
    where = (*suspect_conditions(source_id, run_id), _job.created_at == moment)
    return list(conn.scalars(sa.select(_job.job_id).where(*where)))


def jobs_beside(
    conn: sa.Connection, source_id: int, moment: datetime, *, newer: bool, limit: int
) -> list[str]:
    """The nearest listed jobs that were created before this second (UTC), or after it."""
    listed = (_job.source_id == source_id, _job.unlisted_at.is_(None), _job.suspect_run_id.is_(None))
    beside = _job.created_at > moment if newer else _job.created_at < moment
    order = _job.list_position if newer else _job.list_position.desc()
    query = sa.select(_job.job_id).where(*listed, beside, is_placed()).order_by(order)
    return list(conn.scalars(query.limit(limit)))


def below_in_its_second(conn: sa.Connection, source_id: int, position: int) -> list[tuple[str, int]]:
    """Ids and positions of listed jobs next below this position, as long as they are of the second of the job
    that stands there. One of another second ends it: what lies below has nothing to do with ties."""
    born = conn.scalar(
        sa.select(_job.created_at).where(_job.source_id == source_id, _job.list_position == position)
    )
    where = (_job.source_id == source_id, _job.unlisted_at.is_(None), _job.list_position < position)
    query = sa.select(_job.job_id, _job.list_position, _job.created_at).where(*where, is_placed())
    rows = conn.execute(query.order_by(_job.list_position.desc()).limit(_TIED))
    return [(row.job_id, row.list_position) for row in takewhile(lambda row: row.created_at == born, rows)]
