"""Pruning removes what is old, and nothing that anybody still needs."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

import etl.feed.prune
from etl.config import Destination, Retention, SecretUrl
from etl.db.engine import write_transaction
from etl.errors import EtlError
from etl.feed import delivery
from etl.feed.prune import prune_tables
from etl.schema.tables import rejected_items, video_job_versions
from tests.support.feed_history import Writer, add_source, stored
from tests.support.reading_back import assert_equal, destination, held

DAY = 86400.0
ALL = Retention(page_log=DAY, runs=DAY, rejects=DAY, versions=DAY)
sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def writer(engine) -> Writer:
    """Ten runs, ten hours apart."""
    made = Writer(engine, add_source(engine, "a"))
    for _ in range(10):
        made.step()
        made.at += timedelta(hours=10)
    return made


def keys(engine, table: str) -> set[int]:
    return {next(iter(row.values())) for row in stored(engine, table)}


def test_old_rows_go_and_the_state_stays(engine, writer, monkeypatch):
    monkeypatch.setattr(etl.feed.prune, "BATCH", 3)
    jobs, before = stored(engine, "video_jobs"), stored(engine, "video_job_versions")
    now = writer.at
    expected = prune_tables(engine, ALL, now=now, dry_run=True)
    assert stored(engine, "video_job_versions") == before
    assert prune_tables(engine, ALL, now=now) == expected
    assert set(prune_tables(engine, ALL, now=now).values()) == {0}
    assert expected["list_pages"] == expected["cache_lookups"] == expected["sync_runs"] == 8
    left = stored(engine, "video_job_versions")
    assert expected["video_job_versions"] == len(before) - len(left) > 5
    assert stored(engine, "video_jobs") == jobs
    newest = {row["job_id"]: row["version"] for row in left}
    assert newest == {row["job_id"]: row["version"] for row in jobs}


def test_questions_after_the_edge_keep_their_answers(engine, writer):
    edge = writer.at - timedelta(days=2)

    def as_of(moment) -> dict:
        table = video_job_versions
        query = sa.select(table.c.job_id, table.c.version).where(table.c.valid_from <= moment)
        with engine.connect() as conn:
            return dict(list(conn.execute(query.order_by(table.c.version))))

    answers = [as_of(edge + timedelta(hours=hours)) for hours in range(0, 48, 5)]
    removed = prune_tables(engine, Retention(versions=2 * DAY), now=writer.at)
    assert removed["video_job_versions"] > 0
    assert [as_of(edge + timedelta(hours=hours)) for hours in range(0, 48, 5)] == answers


@sqlite
def test_what_a_destination_lacks_stays(engine, writer, tmp_path):
    lake = destination("filesystem", tmp_path)
    now = writer.at + timedelta(days=30)
    removable = prune_tables(engine, ALL, [lake], now=now, dry_run=True)
    assert removable == dict.fromkeys(removable, 0)
    assert delivery.deliver_to_one(engine, lake).error is None
    whole = {table: stored(engine, table) for table in ("video_job_versions", "list_pages", "sync_runs")}
    writer.step()
    removed = prune_tables(engine, ALL, [lake], now=now)
    assert removed["video_job_versions"] > 0 and removed["sync_runs"] == 9
    assert delivery.deliver_to_one(engine, lake).error is None  # the row that proves the mark is still there
    for table, rows in whole.items():
        assert held("filesystem", tmp_path, table)[: len(rows)] == rows
    second = destination("duckdb", tmp_path)
    before = keys(engine, "video_job_versions")
    assert set(prune_tables(engine, ALL, [lake, second], now=now + timedelta(days=9)).values()) == {0}
    assert keys(engine, "video_job_versions") == before


@sqlite
def test_a_new_destination_after_pruning_has_the_whole_state(engine, writer, tmp_path):
    prune_tables(engine, ALL, now=writer.at + timedelta(days=30))
    assert delivery.deliver_to_one(engine, destination("iceberg", tmp_path)).error is None
    assert_equal(engine, "iceberg", tmp_path)


@sqlite
def test_an_unreachable_destination_keeps_everything(engine, writer, tmp_path):
    (tmp_path / "file").touch()
    broken = Destination(name="gone", type="filesystem", url=SecretUrl("s3://"))
    with pytest.raises(EtlError):
        prune_tables(engine, ALL, [broken], now=writer.at + timedelta(days=30))
    assert len(stored(engine, "sync_runs")) == 10


@sqlite
def test_old_rejects_go(engine, writer):
    row = {"source_id": writer.source, "run_id": 1, "reason": "bad", "times_seen": 1, "payload": b"x"}
    with write_transaction(engine) as conn:
        for n, age in enumerate((0.5, 3)):
            at = writer.at - timedelta(days=age)
            values = {**row, "payload_hash": str(n), "rejected_at": writer.at, "last_seen_at": at}
            conn.execute(sa.insert(rejected_items), values)
    assert prune_tables(engine, Retention(rejects=DAY), now=writer.at) == {"rejected_items": 1}


def test_old_requests_go_source_by_source(engine, writer, monkeypatch, tmp_path):
    """Sources number their rows by themselves: one's old rows have the keys of another one's young ones."""
    monkeypatch.setattr(etl.feed.prune, "BATCH", 4)
    late = Writer(engine, add_source(engine, "b"))
    late.at = writer.at - timedelta(hours=1)
    for _ in range(5):
        late.step(new=1, changes=0)
    target = destination("duckdb", tmp_path)
    assert delivery.deliver_to_one(engine, target).status == "ok"
    retention = Retention(requests=DAY)
    before = {(row["source_id"], row["request_id"]) for row in stored(engine, "job_requests")}
    assert len(before) == 15
    counted = prune_tables(engine, retention, [target], now=writer.at, dry_run=True)
    assert counted == {"job_requests": 8} == prune_tables(engine, retention, [target], now=writer.at)
    left = stored(engine, "job_requests")
    assert [row["source_id"] for row in left].count(2) == 5
    assert {row["source_id"] for row in left} == {1, 2}
    assert prune_tables(engine, retention, [target], now=writer.at) == {"job_requests": 0}
    assert len(held("duckdb", tmp_path, "job_requests")) == 15  # what was delivered stays there
    writer.step()
    assert delivery.deliver_to_one(engine, target).status == "ok"
    assert len(held("duckdb", tmp_path, "job_requests")) == 16
