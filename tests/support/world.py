"""A small world, written as rows: twelve jobs of two sources; every answer can be worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from etl.records import TRACKED
from etl.schema.tables import (
    cache_lookups,
    coverage_gaps,
    sources,
    sync_runs,
    sync_state,
    video_job_versions,
    video_jobs,
)

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    """`05-01 10:00:10` of 2026, UTC."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def job(job_id: str, created: datetime, took: float | None = None, **given: Any) -> dict[str, Any]:
    """A row of video_jobs: sora-2, 1280x720, four seconds, completed when it `took` some time."""
    row: dict[str, Any] = dict.fromkeys(TRACKED) | {
        "source_id": 1,
        "job_id": job_id,
        "provider": "openai",
        "model": "sora-2",
        "status": "queued" if took is None else "completed",
        "seconds": 4.0,
        "size": "1280x720",
        "created_at": created,
        "completed_at": None if took is None else created + timedelta(seconds=took),
        "content_hash": "0" * 32,
        "version": 1,
        "first_seen_at": created,
        "last_changed_at": created,
        "started_seen_at": None,
        "ended_seen_at": None,
        "first_seen_within": None,
        "started_seen_within": None,
        "ended_seen_within": None,
        "unlisted_at": None,
        "unlisted_reason": None,
        "list_position": 1,
        "first_run_id": 1,
    }
    row |= given
    row.setdefault("settled", row["status"] in ("completed", "failed"))
    if row["size"]:
        row["width"], row["height"] = map(int, row["size"].split("x"))
    return row


PRO: dict[str, Any] = {"model": "sora-2-pro", "seconds": 8.0}
FAST: dict[str, Any] = {"model": "veo-3.1-fast-generate-preview", "source_id": 2}

JOBS = [
    job(
        "j1",
        at("05-01 10:00:00"),
        100,
        prompt="cat",
        version=3,
        first_seen_at=at("05-01 10:00:10"),
        started_seen_at=at("05-01 10:00:40"),
        ended_seen_at=at("05-01 10:02:10.500"),
        first_seen_within=10.0,
        started_seen_within=15.0,
        ended_seen_within=90.5,
    ),
    job("j2", at("05-01 11:00:00"), 300, prompt="cat", remixed_from_job_id="j1"),
    job("j3", at("05-02 23:30:00"), 600, prompt="dog", remixed_from_job_id="j2", size="1792x1024", **PRO),
    job(
        "j4",
        at("05-02 09:00:00"),
        status="failed",
        seconds=8.0,
        error_code="moderation_blocked",
        error_message="No",
    ),
    job("j5", at("05-02 09:30:00"), status="failed", model="mystery", seconds=None, error_message="=odd()"),
    job("j6", at("05-03 00:00:00"), 1200, size="1920x1080"),
    job("j7", NOW - timedelta(hours=2), prompt="bird"),
    job(
        "j8",
        NOW - timedelta(minutes=10),
        source_id=2,
        status="in_progress",
        size="1024x1792",
        progress=50.0,
        **PRO,
    ),
    job(
        "j9",
        at("05-04 08:00:00"),
        60,
        source_id=2,
        model="veo-3.1",
        seconds=8.0,
        size="3840x2160",
        remixed_from_job_id="gone",
        expires_at=NOW + timedelta(hours=1),
    ),
    job(
        "j10", at("05-04 09:00:00"), source_id=2, unlisted_at=at("05-05 00:00:00"), unlisted_reason="missing"
    ),
    job("j11", at("01-15 00:00:00"), 10, remixed_from_job_id="j12", **FAST),
    job("j12", at("02-10 00:00:00"), 20, remixed_from_job_id="j11", **FAST),
]

#: j1 was seen queued, in progress, completed: version, run, moment, status.
SIGHTS = [
    (1, 2, at("05-01 10:00:10"), "queued"),
    (2, 4, at("05-01 10:00:40"), "in_progress"),
    (3, 5, at("05-01 10:02:10.500"), "completed"),
]
RUNS = [  # of source a: number, start, status
    (1, at("05-01 10:00:00"), "ok"),
    (2, at("05-01 10:00:09"), "ok"),
    (3, at("05-01 10:00:25"), "ok"),
    (4, at("05-01 10:00:39"), "failed"),
    (5, at("05-01 10:02:09"), "ok"),
]


def fill(engine: sa.Engine) -> None:
    """Writes the world into an empty, migrated database; its prices are the published ones."""
    with engine.begin() as conn:
        for number, name in ((1, "a"), (2, "b")):
            values = {"id": number, "name": name, "base_url": "http://gw", "provider": "openai"}
            conn.execute(sa.insert(sources).values(**values, created_at=at("01-01")))
        conn.execute(sa.insert(video_jobs), JOBS)
        conn.execute(sa.insert(video_job_versions), _versions())
        for number, started, status in RUNS:
            values = {"id": number, "source_id": 1, "kind": "incremental", "status": status}
            conn.execute(sa.insert(sync_runs).values(**values, started_at=started))
        conn.execute(
            sa.insert(sync_state).values(source_id=1, complete_at=NOW - timedelta(minutes=5), failures=0)
        )
        conn.execute(sa.insert(coverage_gaps).values(**_GAP))
        conn.execute(sa.insert(cache_lookups), _LOOKUPS)


_GAP = {
    "source_id": 2,
    "run_id": 1,
    "detected_at": at("05-06 00:00:00"),
    "gap_from": at("05-05 00:00:00"),
    "gap_until": at("05-05 12:00:00"),
    "reason": "the list was cut",
}
_LOOKUPS = [
    {
        "source_id": 1,
        "run_id": 1,
        "page_id": 1,
        "looked_up_at": at("05-01 23:00:00"),
        "cache_hit": hit,
        "hit_type": kind,
        "input_tokens": tokens,
        "similarity": similarity,
    }
    for hit, kind, tokens, similarity in (
        (True, "direct", None, None),
        (True, "semantic", 12, 0.9),
        (False, None, 10, None),
    )
]


def _versions() -> list[dict[str, Any]]:
    rows = [_version(row, 1, 1, row["created_at"], row["status"]) for row in JOBS if row["job_id"] != "j1"]
    return rows + [_version(JOBS[0], *sight) for sight in SIGHTS]


def _version(row: dict[str, Any], version: int, run: int, moment: datetime, status: str) -> dict[str, Any]:
    tracked = {name: row[name] for name in TRACKED}
    more = {"source_id": row["source_id"], "job_id": row["job_id"], "version": version, "run_id": run}
    op = "insert" if version == 1 else "update"
    return {**tracked, **more, "op": op, "valid_from": moment, "status": status}
