"""A first load into an empty table does not look ids up; a job that comes again is noticed all the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load import CommitBatch, Lane, Store, lookup
from etl.load.lease import Lease
from etl.load.state import register_source
from etl.records import PageFacts, PageRequest, PageRows, RawPage
from etl.schema.tables import video_job_versions, video_jobs
from tests.load.test_jobs import _job

_NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The ids of every question for what is known."""
    asked: list[Sequence[str]] = []
    ask = lookup.known_jobs

    def listening(conn: sa.Connection, source_id: int, ids: Sequence[str]) -> dict[str, lookup.Known]:
        asked.extend([ids] if ids else [])
        return ask(conn, source_id, ids)

    monkeypatch.setattr(lookup, "known_jobs", listening)
    return asked


def _store(engine: sa.Engine) -> Store:
    with write_transaction(engine) as conn:
        source = register_source(conn, "main", "http://x", "openai", None, _NOW)
    lease = Lease(source, "here:1:x", 60)
    store = Store(
        engine, source, lease, kind="incremental", clock=lambda: _NOW, sleep=time.sleep, patience=60
    )
    store.open()
    store.committed.lanes["old"] = Lane("asc", bounded=True, watch=False, edge=0, started=True)
    return store


def _batch(*numbers: int, prompt: str = "x") -> CommitBatch:
    rows = tuple(_job(f"job {n:03}", prompt, content_hash=prompt * 32, created_at=_NOW) for n in numbers)
    raw = RawPage(PageRequest(), (b"{}",) * len(rows), None, None, True, None, _NOW)
    page = PageRows(page=raw, jobs=rows, rejects=(), unknown={}, cache=None, facts=PageFacts(), duplicates=0)
    return CommitBatch(pages=[("old", page)])


def _counts(store: Store) -> tuple[int, int, int, int]:
    counts = store.committed.counts
    return counts.jobs_seen, counts.jobs_inserted, counts.jobs_updated, counts.jobs_unchanged


def _rows(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as conn:
        return conn.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_ids_are_not_looked_up(engine: sa.Engine, looked_up: list[Sequence[str]]) -> None:
    store = _store(engine)
    store.commit(_batch(*range(10)))
    store.commit(_batch(*range(10, 20)))
    assert not looked_up
    assert _counts(store) == (20, 20, 0, 0) and _rows(engine, video_jobs) == 20


def test_a_job_that_comes_again_is_stored_once(engine: sa.Engine, looked_up: list[Sequence[str]]) -> None:
    store = _store(engine)
    store.commit(_batch(*range(10)))
    store.commit(_batch(*range(8, 18)))
    assert len(looked_up) == 1
    assert _counts(store) == (20, 18, 0, 2)
    assert _rows(engine, video_jobs) == _rows(engine, video_job_versions) == 18
    store.commit(_batch(8, 9, prompt="y"))
    assert len(looked_up) == 2
    assert _counts(store) == (22, 18, 2, 2)


def test_a_job_that_a_walk_recognised_is_expected_again(
    engine: sa.Engine, looked_up: list[Sequence[str]]
) -> None:
    store = _store(engine)
    store.commit(_batch(*range(10)))
    assert not store.known(["job 100"])
    store.commit(_batch(*range(10, 20)))
    assert len(looked_up) == 1
    assert store.known(["job 003"])
    store.commit(_batch(*range(20, 30)))
    assert len(looked_up) == 3


def test_a_table_with_jobs_is_asked(engine: sa.Engine, looked_up: list[Sequence[str]]) -> None:
    first = _store(engine)
    first.commit(_batch(*range(10)))
    with write_transaction(engine) as conn:
        first.lease.release(conn)
    second = _store(engine)
    second.commit(_batch(*range(10, 20)))
    assert len(looked_up) == 1
