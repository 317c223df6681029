"""The totals that views read are what the jobs say, counted here once more, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import Any

Row = Any
_MILLISECOND = timedelta(milliseconds=1)
#: A job whose time is known, beside the milliseconds that it took: more than any time adds up to.
_TIMED = 10**18


def findings(
    jobs: Iterable[Row], daily: Iterable[Row], durations: Iterable[Row], kinds: Iterable[Row]
) -> list[str]:
    """Rows of `video_jobs`, `daily_totals`, `duration_totals` and `job_kinds` of one source."""
    days: Counter[tuple[Any, ...]] = Counter()
    hours: Counter[tuple[Any, ...]] = Counter()
    times: Counter[tuple[Any, ...]] = Counter()
    took: Counter[tuple[Any, ...]] = Counter()
    priced: Counter[tuple[Any, ...]] = Counter()
    for job in jobs:
        if job.twin_source_id is not None:
            continue
        days[_kind(job, job.created_at and job.created_at.astimezone(UTC).date())] += 1
        hours[_hour(job)] += 1
        priced[job.provider, job.model, job.size, job.width, job.height] += 1
        if job.status == "completed" and job.created_at and job.completed_at:
            milliseconds = round((job.completed_at - job.created_at) / _MILLISECOND)
            took[job.provider, job.model, milliseconds] += 1
            if job.completed_at >= job.created_at:
                times[_hour(job)[0]] += milliseconds + _TIMED
    for row in daily:
        kind = _kind(row, row.day)
        days[kind] -= row.jobs
        times[kind] -= row.milliseconds + _TIMED * row.timed_jobs
        for hour in range(24):
            hours[kind, hour] -= getattr(row, f"hour_{hour:02}")
        hours[kind, None] -= row.jobs if row.day is None else 0
    for row in durations:
        took[row.provider, row.model, row.milliseconds] -= row.jobs
    for row in kinds:
        priced[row.provider, row.model, row.size, row.width, row.height] -= row.jobs
    return [
        f"{name}: {count:+} missing of {key}"
        for name, counted in (
            ("daily_totals", days),
            ("hours of daily_totals", hours),
            ("times of daily_totals", times),
            ("duration_totals", took),
            ("job_kinds", priced),
        )
        for key, count in counted.items()
        if count
    ]


def _hour(job: Row) -> tuple[Any, ...]:
    created = job.created_at and job.created_at.astimezone(UTC)
    return _kind(job, created and created.date()), created and created.hour


def _kind(row: Row, day: Any) -> tuple[Any, ...]:
    end = row.outcome if hasattr(row, "outcome") else _end(row)
    return (day, row.provider, row.model, row.status, end, row.seconds, row.size, row.width, row.height)


def _end(job: Row) -> str:
    if job.status in ("completed", "failed"):
        return str(job.status)
    return "stopped" if job.settled else "open" if job.unlisted_at is None else "vanished"
