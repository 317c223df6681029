"""What one source's tables say, times and keys aside: equal for every way to the same end."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from etl.schema.tables import metadata
from harness.truth import Tables, kept

_STATE = (
    *("status", "progress", "prompt", "size", "seconds", "created_at", "completed_at", "expires_at"),
    *("error_code", "error_message", "extra"),
)
Facts = dict[str, Any]


def facts(engine: sa.Engine, name: str) -> Facts:
    tables = Tables(engine, name)
    jobs = list(tables.rows("video_jobs", "list_position"))
    return {
        "order": [row.job_id for row in jobs],
        "jobs": {row.job_id: (*_state(row), row.version, row.settled, _evidence(row)) for row in jobs},
        "versions": [
            (row.job_id, row.version, row.op, *_state(row), _evidence(row))
            for row in tables.rows("video_job_versions", "job_id", "version")
        ],
        "rejects": sorted(
            (row.reason[:20], row.payload or b"", row.after_id or "", row.before_id or "")
            for row in tables.rows("rejected_items", "id")
        ),
        "gaps": sorted(
            (row.reason[:20], row.last_known_job_id or "", row.oldest_listed_job_id or "")
            for row in tables.rows("coverage_gaps", "id")
        ),
    }


def _state(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _STATE)


def left_over(engine: sa.Engine, name: str) -> list[str]:
    """What no way may leave behind: open runs, a held lease, sums that differ from what they sum."""
    tables = Tables(engine, name)
    runs = list(tables.rows("sync_runs", "id"))
    said = [f"run {run.id} is left open" for run in runs if run.status == "running"]
    for run in runs:
        parts = run.jobs_inserted + run.jobs_updated + run.jobs_unchanged + run.jobs_rejected
        if run.jobs_seen != parts:
            said.append(f"run {run.id} saw {run.jobs_seen}, accounts for {parts}")
    said += [f"the lease is held by {row.holder}" for row in tables.rows("leases", "source_id") if row.holder]
    jobs, versions = _count(tables, "video_jobs"), _count(tables, "video_job_versions", op="insert")
    inserted = sum(run.jobs_inserted for run in runs)
    if not jobs == versions == inserted:
        said.append(f"{jobs} jobs, {versions} first versions, but runs inserted {inserted}")
    if (told := sum(run.pages for run in runs)) != (logged := _count(tables, "list_pages")):
        said.append(f"{logged} pages logged, but runs read {told}")
    return said + kept(tables)


def _count(tables: Tables, name: str, **where: Any) -> int:
    table = metadata.tables[name]
    query = sa.select(sa.func.count()).where(table.c.source_id == tables.source_id)
    query = query.where(*(table.c[key] == value for key, value in where.items()))
    with tables.engine.connect() as conn:
        return int(conn.execute(query).scalar_one())


def differences(ours: Facts, reference: Facts) -> list[str]:
    """Sentences; none when equal."""
    said = []
    for part, told in reference.items():
        found = ours[part]
        if found == told:
            continue
        if isinstance(told, dict):
            keys = sorted(key for key in told.keys() | found.keys() if told.get(key) != found.get(key))
            said += [f"{part}: {key} is {found.get(key)}, not {told.get(key)}" for key in keys[:3]]
        else:
            more = [each for each in found if each not in told][:3]
            less = [each for each in told if each not in found][:3]
            said.append(
                f"{part}: too many {more}, missing {less}" if more or less else f"{part}: another order"
            )
    return said


def _evidence(row: Any) -> str | None:
    """A job that was deleted is missed by a scan or answered 404 by id, whichever run comes to it first."""
    return "deleted" if row.unlisted_reason in ("missing", "not_found") else row.unlisted_reason
