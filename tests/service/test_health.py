"""What schedules read of a source, and what a run's end leaves, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load import Lease, register_source, source_health
from etl.load.runs import begin_run
from etl.schema.tables import leases, sync_runs, sync_state

NOW = datetime(2026, 4, 15, 12, 0, tzinfo=UTC)


def read(engine: sa.Engine) -> source_health.Health:
    found = source_health.read_health(engine, "main", NOW)
    assert found is not None
    return found


@pytest.fixture
def source_id(engine: sa.Engine) -> int:
    with write_transaction(engine) as conn:
        register_source(conn, "other", "http://gateway", None, None, NOW)
        return register_source(conn, "main", "http://gateway", "openai", None, NOW)


def start_a_run(engine: sa.Engine, source_id: int, holder: str, seconds: float) -> None:
    lease = Lease(source_id, holder, seconds)
    with write_transaction(engine) as conn:
        lease.look(conn)
        token = lease.write(conn)
        begin_run(conn, source_id, "incremental", NOW, holder, token)


def test_before_the_first_run(engine: sa.Engine):
    assert source_health.read_health(engine, "main", NOW) is None
    assert source_health.abandoned_sources(engine) == set()
    assert source_health.last_completions(engine) == {}


def test_failures_count(engine: sa.Engine, source_id: int):
    for _ in range(2):
        source_health.note_failure(engine, "main", now=NOW, disabled=None, fingerprint="f")
    assert (read(engine).failures, read(engine).disabled_at) == (2, None)
    source_health.note_failure(engine, "main", now=NOW, disabled="401", fingerprint="f")
    found = read(engine)
    assert (found.failures, found.disabled_at, found.disabled_reason, found.config_hash) == (
        3,
        NOW,
        "401",
        "f",
    )
    other = source_health.read_health(engine, "other", NOW)
    assert other is not None and other.failures == 0


def test_a_live_lease_and_a_dead_one(engine: sa.Engine, source_id: int):
    start_a_run(engine, source_id, "there:2:x", 600)
    found = read(engine)
    assert (found.holder, found.last_status, found.last_worker) == ("there:2:x", "running", "there:2:x")
    assert 0 < found.lease_left <= 600
    assert not found.abandoned
    assert source_health.abandoned_sources(engine) == set()
    with write_transaction(engine) as conn:
        past = datetime.now(UTC) - timedelta(days=1)
        conn.execute(sa.update(leases).where(leases.c.source_id == source_id).values(expires_at=past))
    assert read(engine).abandoned
    assert source_health.abandoned_sources(engine) == {"main"}


def test_giving_back_what_this_process_holds(engine: sa.Engine, source_id: int):
    start_a_run(engine, source_id, "here:1:x", 600)
    source_health.release_all(engine, "here:11")
    assert read(engine).holder == "here:1:x", "another process, whose number begins alike"
    source_health.release_all(engine, "here:1")
    found = read(engine)
    assert (found.holder, found.last_status, found.abandoned) == (None, "interrupted", False)
    with engine.connect() as conn:
        assert conn.scalar(sa.select(sync_runs.c.error_class)) == "Stopped"


def test_when_each_source_was_complete(engine: sa.Engine, source_id: int):
    with write_transaction(engine) as conn:
        conn.execute(sa.update(sync_state).where(sync_state.c.source_id == source_id).values(complete_at=NOW))
    assert source_health.last_completions(engine) == {"main": NOW, "other": None}
