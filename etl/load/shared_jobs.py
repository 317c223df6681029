"""Jobs that two sources have: what one of them sees, the one that counts the job is told.

That one may not be read any more (renamed, switched off, retired): its open jobs would be open for ever, and
what they cost in no sum. Both rows are written in one commit, under both leases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa

from etl.load import lookup
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts, JobRow
from etl.schema.tables import leases, video_jobs


def tell_counting_sources(conn: sa.Connection, run_id: int, shared: Sequence[tuple[int, Seen]]) -> None:
    """Write these sights as changes of the jobs of the source that counts them. What it keeps of prompts is
    its own affair."""
    told: dict[int, dict[str, Seen]] = {}
    for source_id, job in shared:
        told.setdefault(source_id, {})[job.row.job_id] = job
    for source_id, jobs in sorted(told.items()):
        if _is_at_rest(conn, source_id):
            _write_sights(conn, source_id, run_id, jobs)


def _is_at_rest(conn: sa.Connection, source_id: int) -> bool:
    """A source that is writing at this moment sees for itself. Nobody waits, so nobody waits in a circle."""
    query = sa.select(leases.c.source_id).where(leases.c.source_id == source_id)
    return conn.execute(query.with_for_update(skip_locked=True)).first() is not None


def _write_sights(conn: sa.Connection, source_id: int, run_id: int, jobs: Mapping[str, Seen]) -> None:
    known = lookup.known_jobs(conn, source_id, list(jobs))
    seen = [
        Seen(jobs[i].row._replace(prompt=None), found.list_position, jobs[i].at, found, partial=True)
        for i, found in known.items()
    ]
    JobWriter(conn, source_id, run_id, first=True).write(seen, Counts())


def find_left_open(conn: sa.Connection, source_id: int) -> Iterator[tuple[int, Seen]]:
    """Jobs of a source that have ended, and are open in the source that counts them: they ended after that
    one was read last."""
    ours, theirs = video_jobs.c, video_jobs.alias("theirs").c
    query = sa.select(theirs.source_id.label("counts"), ours.last_changed_at, *_columns()).where(
        ours.source_id == source_id,
        ours.settled,
        theirs.source_id == ours.twin_source_id,
        theirs.job_id == ours.job_id,
        sa.not_(theirs.settled),
    )
    for counts, at, *row in conn.execute(query).all():
        yield counts, Seen(JobRow._make(row), 0, at, None)


def _columns() -> list[sa.Column[object]]:
    return [video_jobs.c[name] for name in JobRow._fields]
