"""What status and history read, from rows written by hand, on every database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.history import FieldChange, liveliest_job, read_history
from etl.analytics.status import read_status
from etl.errors import ConfigError
from etl.records import TRACKED
from etl.schema.tables import (
    coverage_gaps,
    leases,
    rejected_items,
    sources,
    sync_runs,
    sync_state,
    unknown_fields,
    video_job_versions,
    video_jobs,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


@pytest.fixture
def filled(engine: sa.Engine) -> sa.Engine:
    """Two sources, `a` busy and `b` never synced to its end; jobs a1 (open), a2 (settled), a3 (gone)."""
    with engine.begin() as conn:
        _sources(conn)
        _runs(conn)
        _jobs(conn)
    return engine


def _sources(conn: sa.Connection) -> None:
    for number, name in ((1, "a"), (2, "b")):
        conn.execute(
            sa.insert(sources).values(
                id=number, name=name, base_url="http://gw", provider="openai", created_at=NOW
            )
        )
    conn.execute(
        sa.insert(sync_state).values(
            source_id=1, complete_at=ago(minutes=5), newest_job_at=ago(minutes=7), failures=0
        )
    )
    conn.execute(
        sa.insert(sync_state).values(
            source_id=2, failures=3, disabled_at=ago(hours=1), disabled_reason="401: wrong key"
        )
    )
    conn.execute(
        sa.insert(leases).values(source_id=1, holder="host:1", token=4, expires_at=NOW + timedelta(seconds=9))
    )
    conn.execute(sa.insert(leases).values(source_id=2, holder="host:2", token=4, expires_at=ago(seconds=9)))


def _runs(conn: sa.Connection) -> None:
    run: dict[str, Any] = {
        "source_id": 1,
        "kind": "incremental",
        "status": "ok",
        "finished_at": ago(minutes=5),
    }
    conn.execute(sa.insert(sync_runs).values(**run, id=1, started_at=ago(minutes=9), jobs_unlisted=1))
    conn.execute(sa.insert(sync_runs).values(**run, id=2, started_at=ago(minutes=6), jobs_inserted=2))
    conn.execute(
        sa.insert(coverage_gaps).values(
            source_id=1, run_id=1, detected_at=ago(minutes=9), gap_from=ago(days=3), reason="list cut"
        )
    )
    seen = {"source_id": 1, "run_id": 1, "rejected_at": NOW, "last_seen_at": NOW}
    conn.execute(sa.insert(rejected_items).values(**seen, reason="no id", payload_hash="x"))
    conn.execute(
        sa.insert(unknown_fields).values(
            source_id=1, path="job.new", type="string", first_seen_at=NOW, last_seen_at=NOW, count=4
        )
    )


def _jobs(conn: sa.Connection) -> None:
    base = dict.fromkeys(TRACKED) | {"model": "sora-2", "seconds": 4.0, "created_at": ago(hours=2)}
    stored = {"content_hash": "h", "first_seen_at": NOW, "last_changed_at": NOW, "first_run_id": 1}
    for position, (job_id, status, gone) in enumerate(
        [("a1", "queued", None), ("a2", "completed", None), ("a3", "queued", NOW)]
    ):
        conn.execute(
            sa.insert(video_jobs).values(
                **base | {"status": status},
                **stored,
                source_id=1,
                job_id=job_id,
                settled=status == "completed",
                version=2,
                unlisted_at=gone,
                list_position=position,
            )
        )
    version = {"source_id": 1, "job_id": "a2", "run_id": 1}
    conn.execute(
        sa.insert(video_job_versions).values(
            **base | {"status": "queued"},
            **version,
            change_seq=1,
            version=1,
            op="insert",
            valid_from=ago(hours=1),
        )
    )
    changed = json.dumps(["status"])
    conn.execute(
        sa.insert(video_job_versions).values(
            **base | {"status": "completed"},
            **version,
            change_seq=2,
            version=2,
            op="update",
            valid_from=ago(minutes=30),
            changed_fields=changed,
        )
    )


def test_status_of_a_busy_source(filled: sa.Engine):
    a, _ = read_status(filled, NOW)
    assert (a.source, a.jobs, a.open_jobs, a.oldest_open_id) == ("a", 3, 1, "a1")
    assert (a.oldest_open_at, a.unlisted, a.rejects, a.drift) == (ago(hours=2), 1, 1, 1)
    assert (a.age(NOW), a.lag(NOW)) == (timedelta(minutes=5), timedelta(minutes=7))
    (gap,) = a.open_gaps
    assert (gap.kind, gap.detected_at, gap.gap_from) == ("window", ago(minutes=9), ago(days=3))
    assert (gap.gap_until, gap.reason, gap.accepted_at) == (None, "list cut", None)
    assert a.last_run is not None
    assert (a.last_run.run_id, a.last_run.status, a.last_run.jobs_inserted) == (2, "ok", 2)
    assert (a.held_by, a.loading) == ("host:1", False)


def test_status_of_a_disabled_source(filled: sa.Engine):
    b = read_status(filled, NOW)[1]
    assert (b.last_run, b.jobs, b.open_jobs, b.oldest_open_id, b.gaps) == (None, 0, 0, None, ())
    assert (b.loading, b.age(NOW), b.lag(NOW)) == (True, None, None)
    assert (b.failures, b.disabled_at, b.disabled_reason) == (3, ago(hours=1), "401: wrong key")
    assert b.held_by is None, "a lease that ran out holds nothing"


def test_history_tells_old_and_new(filled: sa.Engine):
    [job] = read_history(filled, "a2")
    assert (job.source, job.now["status"], job.unlisted_at) == ("a", "completed", None)
    first, second = job.versions
    assert (first.op, first.changes, first.valid_from) == ("insert", (), ago(hours=1))
    assert second.changes == (FieldChange("status", "queued", "completed"),)
    assert (second.version, second.valid_from) == (2, ago(minutes=30))


def test_an_unknown_job_names_the_nearest(filled: sa.Engine):
    with pytest.raises(ConfigError, match="no job 'a22'") as caught:
        read_history(filled, "a22")
    assert caught.value.hint is not None and caught.value.hint.startswith("nearest: a2")
    with pytest.raises(ConfigError, match="no job 'a2'"):
        read_history(filled, "a2", source="b")
    with pytest.raises(ConfigError, match="there is no source 'c'"):
        read_history(filled, "a2", source="c")


def test_the_liveliest_job(filled: sa.Engine):
    assert liveliest_job(filled) == "a2"


def test_an_empty_database_has_nothing_to_show(engine: sa.Engine):
    assert read_status(engine, NOW) == []
    assert liveliest_job(engine) is None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_status_uses_indexes(filled: sa.Engine):
    """At a million jobs a scan would be felt; the plan tells without a clock."""
    asked: list[tuple[str, Any]] = []
    sa.event.listen(
        filled, "before_cursor_execute", lambda conn, cursor, sql, values, *_: asked.append((sql, values))
    )
    read_status(filled, NOW)
    with filled.connect() as conn:
        plans = [
            str(row)
            for sql, values in list(asked)
            if "video_jobs" in sql
            for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    assert len(plans) >= 3
    assert [plan for plan in plans if "SCAN" in plan or "TEMP B-TREE" in plan] == []
    assert any("ix_video_jobs_open" in plan for plan in plans)
