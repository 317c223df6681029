"""What was seen of a job's life stands with the job: written as it happens, kept when versions are pruned,
filled in by an upgrade. Every expected second is worked out by hand from the same story.

Run 1 starts at :00 and shows nothing. Run 2 (:09) shows the job queued at :10. Run 3 (:25) reads it
unchanged. Run 4 (:39) shows it in progress at :40, and fails. Run 5 (2:09) shows it completed at 2:10.5. So
it was created after :00, started after :25, and ended after :40: run 4 did not end well.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from etl.load.lookup import known_jobs
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts, JobRow
from etl.schema import migrate
from etl.schema.tables import sources, sync_runs, video_job_versions, video_jobs

BEGIN = datetime(2026, 5, 1, 10, tzinfo=UTC)
RUNS = [(1, 0, "ok"), (2, 9, "ok"), (3, 25, "ok"), (4, 39, "failed"), (5, 129, "ok")]
#: Run, seconds after BEGIN, status.
STORY = [(2, 10.0, "queued"), (4, 40.0, "in_progress"), (5, 130.5, "completed")]
KNOWN = (40.0, 130.5, 10.0, 15.0, 90.5)
NOTHING = (None,) * 5


def _at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def _job(status: str, number: int) -> JobRow:
    row: dict[str, Any] = dict.fromkeys(JobRow._fields) | {
        "job_id": "j",
        "status": status,
        "created_at": BEGIN,
    }
    settled = status in ("completed", "failed", "cancelled")
    return JobRow(**(row | {"settled": settled, "content_hash": f"{status}{number}"}))


def _tell(engine: sa.Engine, story: list[tuple[int, float, str]], *, by_id: bool = False) -> None:
    with engine.begin() as conn:
        conn.execute(sa.insert(sources).values(id=1, name="a", base_url="http://x", created_at=BEGIN))
        for number, start, status in RUNS:
            row = {
                "id": number,
                "source_id": 1,
                "kind": "incremental",
                "status": status,
                "started_at": _at(start),
            }
            conn.execute(sa.insert(sync_runs).values(row))
    for number, (run, seconds, status) in enumerate(story):
        with engine.begin() as conn:
            known = known_jobs(conn, 1, ["j"]).get("j")
            partial = by_id and known is not None
            seen = Seen(_job(status, number), 1, _at(seconds), known, partial)
            JobWriter(conn, 1, run).write([seen], Counts())


def _kept(engine: sa.Engine) -> tuple[float | None, ...]:
    c = video_jobs.c
    names = (
        c.started_seen_at,
        c.ended_seen_at,
        c.first_seen_within,
        c.started_seen_within,
        c.ended_seen_within,
    )
    with engine.connect() as conn:
        found = conn.execute(sa.select(*names)).one()
    return tuple((v - BEGIN).total_seconds() if isinstance(v, datetime) else v for v in found)


def test_a_life_seen_from_queue_to_end(engine):
    _tell(engine, STORY)
    assert _kept(engine) == KNOWN


def test_an_upgrade_reads_it_from_the_history(engine):
    _tell(engine, STORY)
    migrate.downgrade_schema(engine, "0010")
    migrate.upgrade_schema(engine)
    assert _kept(engine) == KNOWN


def test_pruned_versions_take_nothing_away(engine):
    _tell(engine, STORY)
    with engine.begin() as conn:
        conn.execute(sa.delete(video_job_versions).where(video_job_versions.c.version < 3))
        sql = "SELECT queue_seconds, queue_error_seconds, render_seconds, render_error_seconds FROM job_facts"
        assert tuple(map(float, conn.execute(sa.text(sql)).one())) == (30.0, 25.0, 90.5, 105.5)


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        # First seen in progress: nobody knows when it started; its end was seen.
        ([(2, 10.0, "in_progress"), (5, 130.5, "completed")], (None, 130.5, None, None, 105.5)),
        # First seen completed.
        ([(2, 10.0, "completed"), (5, 130.5, "failed")], NOTHING),
        # Never seen running: cancelled in the queue, after run 3 began.
        ([(2, 10.0, "queued"), (5, 130.5, "cancelled")], (None, 130.5, None, None, 105.5)),
        # Back in the queue and started again: the first start stands.
        ([*STORY[:2], (5, 130.0, "queued"), (5, 131.0, "in_progress")], (40.0, None, 10.0, 15.0, None)),
        # An end that is taken back and comes again: the first end stands.
        ([*STORY, (5, 140.0, "queued"), (5, 150.0, "completed")], KNOWN),
    ],
)
def test_other_lives(engine, story, expected):
    _tell(engine, story)
    assert _kept(engine) == expected
    migrate.downgrade_schema(engine, "0010")
    migrate.upgrade_schema(engine)
    assert _kept(engine) == expected


def test_a_job_read_by_id_was_not_seen_by_every_run(engine):
    """Its start happened after the version before, at :10; nothing says that run 3 still saw it queued."""
    _tell(engine, STORY, by_id=True)
    assert _kept(engine) == (40.0, 130.5, 10.0, 30.0, 90.5)
