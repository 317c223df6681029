"""What is in the table, at a glance."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from etl.db.engine import storage_errors
from etl.schema.tables import video_job_versions, video_jobs

#: Of how many of the newest changes the liveliest job is chosen.
RECENT = 2000


@dataclass(frozen=True, slots=True)
class ModelCount:
    """Jobs of one model in one status; `seconds` is the length of all their clips together."""

    model: str | None
    status: str
    jobs: int
    seconds: float


def count_by_model(engine: sa.Engine) -> list[ModelCount]:
    """Every job ever seen, by model and status, the most frequent first. Reads the whole table."""
    jobs = sa.func.count().label("jobs")
    query = (
        sa.select(video_jobs.c.model, video_jobs.c.status, jobs, sa.func.sum(video_jobs.c.seconds))
        .where(video_jobs.c.twin_source_id.is_(None))
        .group_by(video_jobs.c.model, video_jobs.c.status)
        .order_by(video_jobs.c.model, jobs.desc())
    )
    with storage_errors(), engine.connect() as conn:
        return [ModelCount(row[0], row[1], row[2], float(row[3] or 0)) for row in conn.execute(query)]


def liveliest_job(engine: sa.Engine) -> str | None:
    """The job with the longest history among the newest changes; None in an empty database."""
    table = video_job_versions
    recent = (
        sa.select(table.c.job_id, table.c.version, table.c.change_seq)
        .order_by(table.c.change_seq.desc())
        .limit(RECENT)
        .subquery()
    )
    query = sa.select(recent.c.job_id).order_by(recent.c.version.desc(), recent.c.change_seq.desc()).limit(1)
    with storage_errors(), engine.connect() as conn:
        job_id: str | None = conn.scalar(query)
        return job_id
