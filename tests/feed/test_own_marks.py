"""Every table's own mark decides what it gets: not the runs', not another table's.

What a destination holds is counted by its own reader; how much there must be is written by hand.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import sqlalchemy as sa

from etl.config import Destination, Retention, SecretUrl
from etl.db.engine import write_transaction
from etl.feed import delivery
from etl.feed.lag import destination_statuses
from etl.feed.prune import prune_tables
from etl.schema.price_book import DEFAULTS
from etl.schema.tables import coverage_gaps, prices, rejected_items, sync_runs, video_job_versions, video_jobs
from tests.support.feed_history import START, Writer, add_source
from tests.support.reading_back import destination, held

sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
KINDS = ("filesystem", "duckdb", "delta", "iceberg")
kinds = pytest.mark.parametrize("kind", KINDS)


def feed(engine: sa.Engine, kind: str, folder: Path, **options: Any) -> dict[str, int]:
    result = delivery.deliver_to_one(engine, destination(kind, folder), **options)
    if result.error is not None:
        raise result.error.__cause__ or result.error
    assert result.status == "ok"
    return result.rows


def drop(kind: str, folder: Path, table: str) -> None:
    """As its owner would, with the means of the place."""
    if kind == "duckdb":
        with closing(duckdb.connect(f"{folder}/warehouse.duckdb")) as conn:
            conn.execute(f"DROP TABLE bifrost.{table}")
    elif kind == "iceberg":
        from pyiceberg.catalog import load_catalog

        root = folder / "iceberg"
        catalog = load_catalog(
            "bifrost", type="sql", uri=f"sqlite:///{root}/catalog.db", warehouse=f"file://{root}"
        )
        catalog.drop_table(f"bifrost.{table}")
        catalog.close()
    else:
        shutil.rmtree(folder / kind / table)


@pytest.fixture
def writers(engine: sa.Engine) -> list[Writer]:
    """Source a: 20 jobs in 26 versions. Source b: 12 jobs, and nothing since."""
    made = [Writer(engine, add_source(engine, name), seed) for seed, name in enumerate("ab")]
    made[1].step(new=12, changes=0)
    made[0].step(new=20, changes=0)
    made[0].step(new=0, changes=6)
    made[0].step(new=0, changes=0)
    made[1].step(new=0, changes=0)
    return made


def test_a_new_destination_after_runs_were_pruned(
    engine: sa.Engine, writers: list[Writer], tmp_path: Path
) -> None:
    now = START + timedelta(days=900)
    removed = prune_tables(engine, Retention(runs=86_400.0, page_log=86_400.0), now=now)
    assert removed["sync_runs"] == 3, "one run of each source stays, and it changed nothing"
    (before,) = destination_statuses(engine, [destination("duckdb", tmp_path)])
    assert [(lag.source, lag.pending) for lag in before.lags] == [("a", 26), ("b", 12)]
    feed(engine, "duckdb", tmp_path)
    assert len(held("duckdb", tmp_path, "video_job_versions")) == 38
    assert len(held("duckdb", tmp_path, "video_jobs")) == 32


@sqlite
def test_a_source_without_a_single_run(engine: sa.Engine, writers: list[Writer], tmp_path: Path) -> None:
    """Switched off long ago: its runs are gone, its jobs are not."""
    with write_transaction(engine) as conn:
        conn.execute(sa.delete(sync_runs).where(sync_runs.c.source_id == writers[1].source))
    feed(engine, "filesystem", tmp_path)
    rows = held("filesystem", tmp_path, "video_job_versions")
    assert sum(row["source_id"] == writers[1].source for row in rows) == 12


@sqlite
@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (kind, table)
        for kind in KINDS
        for table in ("video_job_versions", "video_jobs", "list_pages", "sources")
        if (kind, table) != ("filesystem", "video_jobs")  # files hold no state
    ],
)
def test_a_table_dropped_downstream_comes_back_whole(engine, writers, tmp_path, kind, table):
    whole = {"video_job_versions": 38, "video_jobs": 32, "list_pages": 5, "sources": 2}
    feed(engine, kind, tmp_path)
    drop(kind, tmp_path, table)
    assert feed(engine, kind, tmp_path) == {table: whole[table]}, "and nothing else is delivered again"
    for name, rows in whole.items():
        if (kind, name) != ("filesystem", "video_jobs"):
            assert len(held(kind, tmp_path, name)) == rows, name


@sqlite
def test_marks_dropped_downstream_double_nothing(engine, writers, tmp_path):
    """Everything is delivered again, by batches, and takes the place of what is there; what was pruned
    here since stays there."""
    feed(engine, "duckdb", tmp_path)
    now = START + timedelta(days=900)
    assert prune_tables(engine, Retention(versions=1.0), now=now)["video_job_versions"] == 6
    drop("duckdb", tmp_path, "bifrost_etl_marks")
    assert feed(engine, "duckdb", tmp_path, batch_rows=10)["video_job_versions"] == 32
    rows = held("duckdb", tmp_path, "video_job_versions")
    assert [row["change_seq"] for row in rows] == list(range(1, 39))
    for table, count in {"video_jobs": 32, "list_pages": 5, "sync_runs": 5, "sources": 2}.items():
        assert len(held("duckdb", tmp_path, table)) == count, table
    writers[0].step(new=0, changes=4)
    assert feed(engine, "duckdb", tmp_path)["video_job_versions"] == 4


@sqlite
@pytest.mark.parametrize("table", ["video_job_versions", "prices"])
@pytest.mark.slow
def test_a_table_dropped_in_postgresql_comes_back_whole(engine, writers, postgres, table):
    url = postgres.create("dropped")
    place = Destination(name="pg", type="postgres", url=SecretUrl(url))
    first = delivery.deliver_to_one(engine, place).rows
    with psycopg.connect(url) as conn:
        conn.execute(f"DROP TABLE bifrost.{table}")
    assert delivery.deliver_to_one(engine, place).rows == {table: first[table]}
    with psycopg.connect(url) as conn:
        counted = conn.execute(f"SELECT count(*) FROM bifrost.{table}").fetchone()
    assert counted == (38 if table == "video_job_versions" else len(DEFAULTS),)
    assert delivery.deliver_to_one(engine, place).rows == {}
    with write_transaction(engine) as conn:
        gap = {"source_id": 1, "run_id": 1, "detected_at": START, "reason": "down"}
        conn.execute(sa.insert(coverage_gaps), gap)
    assert delivery.deliver_to_one(engine, place).rows == {"coverage_gaps": 1}
    with write_transaction(engine) as conn:
        conn.execute(sa.delete(coverage_gaps))
    assert delivery.deliver_to_one(engine, place).rows == {"coverage_gaps": 0}
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT count(*) FROM bifrost.coverage_gaps").fetchone() == (0,)
    assert delivery.deliver_to_one(engine, place).rows == {}
    postgres.drop("dropped")


@sqlite
@pytest.mark.slow
def test_marks_dropped_in_postgresql_double_nothing(engine, writers, postgres):
    """dlt believes that they are there: every delivery failed."""
    place = Destination(name="pg", type="postgres", url=SecretUrl(postgres.create("unmarked")))
    first = delivery.deliver_to_one(engine, place).rows
    with psycopg.connect(postgres.url("unmarked")) as conn:
        conn.execute("DROP TABLE bifrost.bifrost_etl_marks")
    again = delivery.deliver_to_one(engine, place)
    assert (again.error, again.rows) == (None, first)
    with psycopg.connect(postgres.url("unmarked")) as conn:
        for table in first:
            if first[table]:
                counted = conn.execute(f"SELECT count(*) FROM bifrost.{table}").fetchone()  # type: ignore[arg-type]
                assert counted == (first[table],), table
    assert delivery.deliver_to_one(engine, place).rows == {}
    postgres.drop("unmarked")


@sqlite
@kinds
def test_small_tables_travel_alone_and_only_when_changed(engine, writers, tmp_path, kind):
    feed(engine, kind, tmp_path)
    assert feed(engine, kind, tmp_path) == {}
    price = {"provider": "openai", "model_pattern": "sora-9", "resolution": "*", "unit": "second"}
    price |= {"price": 1.25, "currency": "USD", "valid_from": START, "origin": "import"}
    gap = {"source_id": writers[0].source, "run_id": 1, "detected_at": START, "reason": "we were down"}
    reject = {"source_id": writers[0].source, "run_id": 1, "rejected_at": START, "reason": "no id"}
    reject |= {"payload": b'{"id": null}\xff', "payload_hash": "x", "last_seen_at": START}
    with write_transaction(engine) as conn:
        conn.execute(sa.insert(prices), price)
        conn.execute(sa.insert(coverage_gaps), gap)
        conn.execute(sa.insert(rejected_items), reject)
    assert set(feed(engine, kind, tmp_path)) == {"prices", "coverage_gaps", "rejected_items"}
    assert [str(p["price"]) for p in held(kind, tmp_path, "prices") if p["origin"] == "import"] == [
        "1.250000"
    ]
    assert [g["reason"] for g in held(kind, tmp_path, "coverage_gaps")] == ["we were down"]
    assert [bytes(r["payload"]) for r in held(kind, tmp_path, "rejected_items")] == [b'{"id": null}\xff']
    with write_transaction(engine) as conn:
        conn.execute(sa.delete(coverage_gaps))
    assert feed(engine, kind, tmp_path) == {"coverage_gaps": 0}
    assert held(kind, tmp_path, "coverage_gaps") == []
    writers[0].step(new=1, changes=0)
    again = feed(engine, kind, tmp_path)
    assert again.keys().isdisjoint({"prices", "coverage_gaps", "rejected_items", "sources"}), again


def test_settled_is_what_the_mirror_says(engine: sa.Engine, writers: list[Writer], tmp_path: Path) -> None:
    """Every ended status, and one of a provider's own that only its completion tells from an open one."""
    said = {"cancelled": True, "expired": True, "rejected": True, "dancing": False, "delivered": True}
    jobs = sorted(writers[0].versions)
    with write_transaction(engine) as conn:
        for job, (status, settled) in zip(jobs, said.items(), strict=False):
            for table in (video_jobs, video_job_versions):
                change = sa.update(table).where(table.c.job_id == job)
                conn.execute(change.values(status=status))
            conn.execute(sa.update(video_jobs).where(video_jobs.c.job_id == job).values(settled=settled))
    feed(engine, "duckdb", tmp_path)
    found = {row["status"]: row["settled"] for row in held("duckdb", tmp_path, "video_jobs")}
    assert said.items() <= found.items()


@sqlite
@kinds
def test_status_sees_that_a_delivery_would_be_refused(engine, writers, tmp_path, kind):
    feed(engine, kind, tmp_path)
    with write_transaction(engine) as conn:
        conn.execute(sa.update(video_job_versions).values(valid_from=START - timedelta(days=1)))
    (standing,) = destination_statuses(engine, [destination(kind, tmp_path)])
    assert standing.error is not None and "another database" in str(standing.error)
