"""Parquet files, read back by DuckDB: row by row what the database holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import duckdb
import pyarrow.parquet as pq
import pytest

from etl.config import Destination, SecretUrl
from etl.db.engine import make_engine
from etl.errors import StorageError
from etl.feed import delivery
from tests.support.feed_history import Writer, add_source, stored

TABLES = ("video_job_versions", "list_pages", "cache_lookups", "sync_runs")
sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def lake(folder) -> Destination:
    return Destination(name="lake", type="filesystem", url=SecretUrl(str(folder / "lake")))


def delivered(folder, table: str, key: str) -> list[dict]:
    files = sorted((folder / "lake" / table).glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return sorted(rows, key=lambda row: row[key])


def assert_equal(engine, folder) -> None:
    for table in TABLES:
        key = "change_seq" if table == "video_job_versions" else "id"
        assert delivered(folder, table, key) == stored(engine, table)


def feed(engine, folder, **options) -> dict[str, int]:
    result = delivery.deliver_to_one(engine, lake(folder), **options)
    if result.error is not None:
        raise result.error
    assert result.status == "ok"
    return result.rows


def test_every_change_arrives_once(engine, tmp_path):
    writers = [Writer(engine, add_source(engine, name), seed) for seed, name in enumerate("abc")]
    assert feed(engine, tmp_path).keys() == {"sources", "prices", "coverage_gaps", "rejected_items"}
    for turn in range(6):
        for writer in writers[: turn % 3 + 1]:
            writer.step()
        feed(engine, tmp_path, batch_rows=7)
        assert_equal(engine, tmp_path)
    assert feed(engine, tmp_path) == {}
    assert len(stored(engine, "video_job_versions")) > 50


@sqlite
def test_a_running_run_waits_until_it_is_finished(engine, tmp_path):
    writer = Writer(engine, add_source(engine, "a"))
    writer.step(finish=False)
    assert feed(engine, tmp_path).get("sync_runs") is None
    writer.step()
    assert feed(engine, tmp_path)["sync_runs"] == 2
    assert_equal(engine, tmp_path)


@sqlite
def test_a_restored_database_is_noticed(engine, tmp_path):
    writer = Writer(engine, add_source(engine, "a"))
    writer.step()
    with closing(sqlite3.connect(tmp_path / "etl.db")) as raw:
        raw.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    writer.step()
    feed(engine, tmp_path)
    restored = make_engine(f"sqlite:///{tmp_path / 'backup.db'}")
    with pytest.raises(StorageError, match="restored from a backup"):
        feed(restored, tmp_path)
    writer.engine = restored
    writer.at += timedelta(hours=1)
    writer.step(new=20, changes=0)  # its numbers overtake what was delivered: another history all the same
    with pytest.raises(StorageError, match="restored from a backup"):
        feed(restored, tmp_path)
    restored.dispose()


@sqlite
def test_duckdb_reads_the_newest_state_out_of_the_files(engine, tmp_path):
    writer = Writer(engine, add_source(engine, "a"))
    for _ in range(5):
        writer.step()
        feed(engine, tmp_path)
    query = f"""
        SELECT job_id, version, status, prompt FROM '{tmp_path}/lake/video_job_versions/*.parquet'
        QUALIFY row_number() OVER (PARTITION BY source_id, job_id ORDER BY version DESC) = 1 ORDER BY job_id
    """
    columns = ("job_id", "version", "status", "prompt")
    assert duckdb.sql(query).fetchall() == [tuple(r.values()) for r in stored(engine, "video_jobs", columns)]


def test_a_reader_that_stays_holds_up_no_delivery(tmp_path):
    """Somebody's shell or BI tool keeps a transaction open on the mirror."""
    from etl.simulator import World
    from tests.support.rig import rig

    path = tmp_path / "etl.db"
    made = rig(World(seed=3, jobs=60, rate=0), f"sqlite:///{path}")
    with made as r, closing(sqlite3.connect(path)) as reader:
        r.ok()
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM video_jobs").fetchone()
        r.world.add(object="video", model="m", status="completed", created_at=int(r.world.now()), seconds="4")
        r.ok()
        assert feed(r.app.engine, tmp_path)["video_job_versions"] == 61
