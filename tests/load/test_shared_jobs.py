"""A source that was renamed, switched off or retired counts its jobs on: it is told what another one sees.

Jobs are of 4 s at 0.10 a second; all counts are by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.db.engine import write_transaction
from etl.feed.delivery import deliver_to_one
from etl.load import shared_jobs
from etl.load.totals import recount_all
from etl.schema.tables import sync_runs
from harness.truth import Tables, kept
from tests.reliability.test_strange_lists import List, jobs, reading
from tests.support.reading_back import assert_equal, destination, held
from tests.support.rig import Rig

LATER = datetime(2027, 1, 1, tzinfo=UTC)
OPEN: dict[str, Any] = {"status": "in_progress", "completed_at": None, "progress": 40}
DONE: dict[str, Any] = {"model": "sora-2", "seconds": "4", "size": "1280x720"}


@pytest.fixture
def listed() -> List:
    """20 jobs that are done, and 5 that are open."""
    return List(jobs(0, 20, **DONE) + jobs(20, 25, **DONE | OPEN))


@pytest.fixture
def both(listed: List, url_by_turns: str) -> Iterator[tuple[Rig, Rig]]:
    """Two sources of one gateway, by turns on each database."""
    with reading(listed, url_by_turns, name="old") as old:
        new = Rig(old.sim, old.url, name="new", read_timeout=30.0)
        with new.app:
            yield old, new


def counted(rig: Rig) -> tuple[int, int, int, float]:
    """Jobs, completed, unfinished and cost; twice the same, from totals and job by job."""
    table = run_report(rig.app.engine, "totals", Filter(LATER))
    row = dict(zip((column.name for column in table.columns), table.rows[0], strict=True))
    found = row["jobs"], row["completed"], row["unfinished"], float(row["cost"])
    with rig.app.engine.connect() as conn:
        by_job = conn.exec_driver_sql("SELECT COUNT(*), SUM(cost) FROM job_facts").one()
    assert (by_job[0], round(Decimal(str(by_job[1])), 6)) == (row["jobs"], row["cost"])
    return found


def finish(listed: List) -> None:
    for job in listed.jobs[20:]:
        job |= {"status": "completed", "completed_at": job["created_at"] + 30, "progress": 100}


@pytest.mark.parametrize("when", ["before the first run", "after it"])
def test_a_renamed_source_ends_what_was_open(both: tuple[Rig, Rig], listed: List, when: str) -> None:
    old, new = both
    old.ok()
    assert counted(old) == (25, 20, 5, 8)
    if when == "after it":
        new.ok()
        assert counted(new) == (25, 20, 5, 8)
    finish(listed)
    new.ok()
    assert counted(new) == (25, 25, 0, 10)
    versions = [row["version"] for row in new.rows("video_jobs", source_id=1)]
    assert versions.count(2) == 5
    prompts = {row["prompt"] for row in new.rows("video_jobs", source_id=1)}
    assert len(prompts) > 1 and None not in prompts
    recount_all(new.app.engine)
    assert counted(new) == (25, 25, 0, 10)


def test_the_one_that_counts_sees_it_too(both: tuple[Rig, Rig], listed: List) -> None:
    """Whoever sees it first writes it; the other finds nothing new."""
    old, new = both
    old.ok()
    new.ok()
    finish(listed)
    new.ok()
    assert old.ok().counts.jobs_updated == 0
    assert counted(old) == (25, 25, 0, 10)
    for job in listed.jobs[20:]:
        job["expires_at"] = job["created_at"] + 90
    assert old.reconcile().counts.jobs_updated == 5
    assert new.reconcile().counts.jobs_updated == 5
    assert old.reconcile().counts.jobs_updated == 0
    assert [row["version"] for row in old.rows("video_jobs", source_id=1)].count(3) == 5


def test_a_lake_hears_of_it(both: tuple[Rig, Rig], listed: List, tmp_path: Path) -> None:
    old, new = both
    lake = destination("duckdb", tmp_path)
    for rig in (old, new):
        rig.ok()
        assert deliver_to_one(rig.app.engine, lake).error is None
    finish(listed)
    new.ok()
    assert deliver_to_one(new.app.engine, lake).error is None
    assert_equal(new.app.engine, "duckdb", tmp_path)
    counts = [
        row["status"] for row in held("duckdb", tmp_path, "video_jobs") if row["twin_source_id"] is None
    ]
    assert counts == ["completed"] * 25


@pytest.mark.parametrize("between", ["nothing", "a run", "a run that fails"])
def test_what_vanished_after_a_renaming_is_open_no_more(
    both: tuple[Rig, Rig], listed: List, between: str
) -> None:
    """At the second scan that misses it; unless the source that counts it was read in between, and saw it."""
    old, new = both
    old.ok()
    new.ok()
    gone = listed.jobs.pop(22)
    assert new.reconcile().counts.jobs_unlisted == 1
    assert counted(new) == (25, 20, 5, 8)
    old.world.advance(3600)
    if between == "a run":
        listed.jobs.insert(22, gone)
        old.ok()
        listed.jobs.remove(gone)
    if between == "a run that fails":  # its key was withdrawn: it reads nothing
        failed = {"source_id": 1, "kind": "incremental", "status": "failed", "started_at": old.now()}
        with write_transaction(old.app.engine) as conn:
            conn.execute(sa.insert(sync_runs), {**failed, "worker": "test"})
    assert new.reconcile().status == "ok"
    assert counted(new) == (25, 20, 5 if between == "a run" else 4, 8)
    assert not kept(Tables(new.app.engine, "old"))


def test_what_ended_and_vanished_after_a_renaming_is_listed_no_more(
    both: tuple[Rig, Rig], listed: List, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three jobs that had ended, missed by two scans. One of them comes back, and is listed again."""
    monkeypatch.setattr(shared_jobs, "_AT_ONCE", 2)
    old, new = both
    old.ok()
    new.ok()
    gone = [listed.jobs.pop(5) for _ in range(3)]
    assert new.reconcile().counts.jobs_unlisted == 3
    old.world.advance(3600)
    assert new.reconcile().status == "ok"
    assert unlisted(new) == {job["id"] for job in gone}
    assert counted(new) == (25, 20, 5, 8), "they were made and paid"
    assert not kept(Tables(new.app.engine, "old"))
    listed.jobs.insert(5, gone.pop(0))
    old.world.advance(3600)
    assert new.reconcile().status == "ok"
    assert unlisted(new) == {job["id"] for job in gone}
    assert old.reconcile().status == "ok", "and when it is read again, there is nothing to put right"
    assert unlisted(new) == {job["id"] for job in gone}


def unlisted(rig: Rig) -> set[str]:
    """By the views, which have each job once."""
    with rig.app.engine.connect() as conn:
        return set(conn.exec_driver_sql("SELECT job_id FROM job_facts WHERE is_unlisted").scalars())
