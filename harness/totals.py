"""The totals that views read are what the jobs say, counted here once more, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import Any

Row = Any
_MILLISECOND = timedelta(milliseconds=1)


def findings(
    jobs: Iterable[Row], daily: Iterable[Row], durations: Iterable[Row], kinds: Iterable[Row]
) -> list[str]:
    """Rows of `video_jobs`, `daily_totals`, `duration_totals` and `job_kinds` of one source."""
    days: Counter[tuple[Any, ...]] = Counter()
    took: Counter[tuple[Any, ...]] = Counter()
    priced: Counter[tuple[Any, ...]] = Counter()
    for job in jobs:
        if job.twin_source_id is not None:
            continue
        days[_kind(job, job.created_at and job.created_at.astimezone(UTC).date())] += 1
        priced[job.provider, job.model, job.size, job.width, job.height] += 1
        if job.status == "completed" and job.created_at and job.completed_at:
            took[job.provider, job.model, round((job.completed_at - job.created_at) / _MILLISECOND)] += 1
    for row in daily:
        days[_kind(row, row.day)] -= row.jobs
    for row in durations:
        took[row.provider, row.model, row.milliseconds] -= row.jobs
    for row in kinds:
        priced[row.provider, row.model, row.size, row.width, row.height] -= row.jobs
    return [
        f"{name}: {count:+} jobs missing of {key}"
        for name, counted in (("daily_totals", days), ("duration_totals", took), ("job_kinds", priced))
        for key, count in counted.items()
        if count
    ]


def _kind(row: Row, day: Any) -> tuple[Any, ...]:
    end = row.outcome if hasattr(row, "outcome") else _end(row)
    return (day, row.provider, row.model, row.status, end, row.seconds, row.size, row.width, row.height)


def _end(job: Row) -> str:
    if job.status in ("completed", "failed"):
        return str(job.status)
    return "stopped" if job.settled else "open" if job.unlisted_at is None else "vanished"
