"""A job as a row: of `video_jobs`, of its history, and back again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from etl.load import bulk, sql_values
from etl.records import TRACKED, JobRow, PageRows
from etl.schema.tables import video_jobs

JOB_KEY = ("source_id", "job_id")
_READY = (*JOB_KEY, *TRACKED, "settled", "content_hash", "version", "first_seen_at", "last_changed_at")
INSERTED = (*_READY, "list_position", "first_run_id")
VERSION_COLUMNS = (
    *JOB_KEY,
    "version",
    "op",
    "valid_from",
    "changed_fields",
    *TRACKED,
    "unlisted_reason",
    "run_id",
)
_FIRST, _LAST = 1, 1 + len(TRACKED)  # where the tracked columns stand in a JobRow
_CREATED = JobRow._fields.index("created_at")  # completed_at and expires_at follow
_TIMES = _CREATED + 3


def ready_rows(dialect: str, source_id: int, page: PageRows) -> dict[str, Any]:
    """By id: each job of a page as its row, but for its place. Made by the thread that read the page, while
    another one waits for the database: a tenth of a first load."""
    jobs = [(row, page.page.received_at) for row in page.jobs]
    return dict(zip((row.job_id for row in page.jobs), make_ready(dialect, source_id, jobs), strict=True))


def make_ready(dialect: str, source_id: int, jobs: Sequence[tuple[JobRow, datetime]]) -> list[Any]:
    sights = list({at for _, at in jobs})  # a page's jobs share their time
    seen = dict(zip(sights, sql_values.write_instants(dialect, sights), strict=True))
    own = [time for row, _ in jobs for time in (row.created_at, row.completed_at, row.expires_at)]
    times = iter(sql_values.write_instants(dialect, own))
    rows = [
        (
            source_id, row[0], *row[_FIRST:_CREATED], *three, *row[_TIMES:_LAST],
            row.settled, row.content_hash, 1, seen[at], seen[at],
        )
        for (row, at), three in zip(jobs, zip(times, times, times, strict=True), strict=True)
    ]  # fmt: skip
    return bulk.prepare_rows(dialect, video_jobs, _READY, rows)


def tracked_values(row: JobRow, time: Callable[[datetime], Any]) -> tuple[Any, ...]:
    created, completed, expires = row.created_at, row.completed_at, row.expires_at
    own = (created and time(created), completed and time(completed), expires and time(expires))
    return row[_FIRST:_CREATED] + own + row[_TIMES:_LAST]


def stored_row(stored: Any) -> JobRow:
    return JobRow(**{name: stored[name] for name in JobRow._fields})
