"""What a scan proves of jobs that it did not meet, each outcome worked out by hand.

Jobs j0 to j9 stand at the places 0 to 9. An earlier run saw all of them first but for j7, which this one did.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load import unlisting
from etl.load.positions import UNPLACED
from etl.load.unlisting import Boundary, Scan
from etl.load.upsert import Seen
from etl.records import Counts
from etl.schema.tables import sync_runs, video_job_versions, video_jobs
from tests.load.test_jobs import _NOW, _job, _stored, _write, run

__all__ = ["run"]

LATER = _NOW + timedelta(minutes=5)


def add_run(engine: sa.Engine, kind: str = "reconcile", error: str | None = None) -> int:
    row = {"source_id": 1, "kind": kind, "status": "failed", "started_at": _NOW, "error_class": error}
    with write_transaction(engine) as conn:
        key = conn.execute(sa.insert(sync_runs), row).inserted_primary_key
    assert key is not None
    return int(key[0])


@pytest.fixture
def scan(engine: sa.Engine, run: int) -> int:
    """The run that scans."""
    _write(engine, run, [Seen(_job(f"j{n}", None), n, _NOW, None) for n in range(10) if n != 7])
    found = add_run(engine)
    _write(engine, found, [Seen(_job("j7", None), 7, _NOW, None)])
    return found


def reasons(engine: sa.Engine) -> dict[str, str]:
    rows = _stored(engine, video_jobs, "job_id", "unlisted_reason", "unlisted_at", "suspect_run_id")
    assert all((at is None) == (reason is None) for _, reason, at, _ in rows)
    assert all(suspect is None for _, reason, _, suspect in rows if reason)
    return {str(name): str(reason) for name, reason, _, _ in rows if reason is not None}


def conclude(engine: sa.Engine, scan: int, proved: Scan) -> int:
    counts = Counts()
    with write_transaction(engine) as conn:
        unlisting.conclude_scan(conn, 1, scan, proved, counts, LATER)
    return counts.jobs_unlisted


def test_suspects_are_missing_but_for_those_that_came_to_light_in_the_scan(
    engine: sa.Engine, scan: int
) -> None:
    with write_transaction(engine) as conn:
        unlisting.suspect_jobs(conn, 1, scan, ["j3", "j5", "j7", "nobody"])
        unlisting.suspect_jobs(conn, 1, scan, [])
        assert unlisting.count_suspects(conn, 1, scan) == 2
        assert unlisting.count_suspects(conn, 1, scan + 1) == 0
        assert unlisting.count_suspects(conn, 2, scan) == 0
        assert unlisting.count_suspects(conn, 1, scan, [scan - 1]) == 0
    assert conclude(engine, scan, Scan(None)) == 2
    assert reasons(engine) == {"j3": "missing", "j5": "missing"}


def test_a_suspicion_can_be_taken_back(engine: sa.Engine, scan: int) -> None:
    with write_transaction(engine) as conn:
        unlisting.suspect_jobs(conn, 1, scan, ["j3", "j4", "j5"])
        unlisting.suspect_jobs(conn, 1, None, ["j4"])
        assert unlisting.count_suspects(conn, 1, scan) == 2
        unlisting.forget_suspects(conn, 1, scan)
        assert unlisting.count_suspects(conn, 1, scan) == 0
    assert conclude(engine, scan, Scan(None)) == 0


def test_what_is_older_than_the_oldest_listed_has_aged_out(engine: sa.Engine, scan: int) -> None:
    _write(engine, scan - 1, [Seen(_job("from the log", None), UNPLACED, _NOW, None)])
    with write_transaction(engine) as conn:
        unlisting.suspect_jobs(conn, 1, scan, ["j1"])
        assert unlisting.count_older(conn, 1, 3) == 2  # j0 and j2: a suspect is counted as such
        assert unlisting.count_older(conn, 1, 3, [scan - 1]) == 0
        assert unlisting.count_still_listed(conn, 1) == 10
        assert unlisting.count_still_listed(conn, 1, [scan]) == 9
        assert unlisting.count_still_listed(conn, 2) == unlisting.count_older(conn, 2, 3) == 0
    assert conclude(engine, scan, Scan(3)) == 3
    assert reasons(engine) == {"j0": "aged_out", "j1": "missing", "j2": "aged_out"}
    assert conclude(engine, scan, Scan(3)) == 0


def test_nothing_is_listed_any_more(engine: sa.Engine, scan: int) -> None:
    _write(engine, scan - 1, [Seen(_job("from the log", None), UNPLACED, _NOW, None)])
    assert conclude(engine, scan, Scan(None, empty=True)) == 10
    assert set(reasons(engine)) == {f"j{n}" for n in range(10)}
    assert set(reasons(engine).values()) == {"unknown"}


def test_each_unlisted_job_has_a_version_that_says_so(engine: sa.Engine, run: int) -> None:
    jobs = [_job(f"{n:04}", "x") for n in range(1001)]
    _write(engine, run, [Seen(job, n, _NOW, None) for n, job in enumerate(jobs)])
    with write_transaction(engine) as conn:
        gone = [(job.job_id, "missing") for job in jobs]
        assert unlisting.unlist_jobs(conn, 1, run, gone[:-1], LATER) == 1000
        assert unlisting.unlist_jobs(conn, 1, run, gone, _NOW - timedelta(days=1)) == 1
    assert _stored(engine, video_jobs, "job_id", "version", "unlisted_at", "last_changed_at") == [
        (job.job_id, 2, moment, moment)
        for job, moment in zip(jobs, [LATER] * 1000 + [_NOW], strict=True)  # never before its last change
    ]
    versions = _stored(engine, video_job_versions, "job_id", "version", "op", "unlisted_reason", "prompt")
    assert sorted(versions, key=str) == [
        (job.job_id, number, op, reason, "x")
        for job in jobs
        for number, op, reason in ((1, "insert", None), (2, "unlist", "missing"))
    ]


def test_whose_first_sights_prove_nothing(engine: sa.Engine, run: int) -> None:
    suspicious = add_run(engine, "incremental", "SuspiciousScan")
    for error in (None, "OrderIgnored", "TimedOut"):
        add_run(engine, "incremental", error)
    reconcile = add_run(engine, "reconcile", "TimedOut")
    first = add_run(engine, "first", "Unreachable")
    with write_transaction(engine) as conn:
        assert unlisting.refused_runs(conn, 1, None) == [suspicious, reconcile]
        assert unlisting.refused_runs(conn, 1, suspicious) == [reconcile]
        assert unlisting.refused_runs(conn, 1, reconcile) == []
        assert unlisting.refused_runs(conn, 2, None) == []
        assert unlisting.incomplete_runs(conn, 1, reconcile) == [first]
        assert len(unlisting.incomplete_runs(conn, 1, None)) == 7


def test_a_segment_ends_with_a_listed_job(engine: sa.Engine, scan: int) -> None:
    with write_transaction(engine) as conn:
        born = [_NOW + timedelta(seconds=number) for number in range(10)]
        born[1] = born[0]
        for number, moment in enumerate(born):
            where = video_jobs.c.job_id == f"j{number}"
            conn.execute(sa.update(video_jobs).where(where).values(created_at=moment))
        unlisting.unlist_jobs(conn, 1, scan, [("j2", "missing")], LATER)
        unlisting.suspect_jobs(conn, 1, scan, ["j3"])
        start = unlisting.find_boundary(conn, 1, None, 3)
        assert start == Boundary("j5", 5, born[5])  # j2 is unlisted, j3 suspected, j4 first here
        assert unlisting.find_boundary(conn, 1, start, 2) == Boundary("j8", 8, born[8])
        assert unlisting.find_boundary(conn, 1, start, 3) is None
        assert unlisting.find_boundary(conn, 1, None, 1) == Boundary("j4", 4, born[4])  # j1 is of j0's second
        assert unlisting.find_boundary(conn, 2, None, 1) is None


def test_another_sources_scan_says_nothing_of_these_jobs(engine: sa.Engine, scan: int) -> None:
    with write_transaction(engine) as conn:
        unlisting.suspect_jobs(conn, 2, scan, ["j3"])
        assert unlisting.count_suspects(conn, 1, scan) == 0
        for proved in (Scan(9), Scan(None, empty=True)):
            counts = Counts()
            unlisting.conclude_scan(conn, 2, scan, proved, counts, LATER)
            assert counts.jobs_unlisted == 0
        assert unlisting.unlist_jobs(conn, 2, scan, [("j3", "missing")], LATER) == 0


def test_when_jobs_were_read_by_id_is_remembered(engine: sa.Engine, scan: int) -> None:
    with write_transaction(engine) as conn:
        unlisting.mark_reread(conn, 1, ["j2", "j4"], LATER)
    rows = dict(_stored(engine, video_jobs, "job_id", "reread_at"))
    assert {name: at for name, at in rows.items() if at is not None} == {"j2": LATER, "j4": LATER}
