"""`feed status` and `feed verify` see what is wrong downstream, on every kind of destination."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from etl.cli.feed import _describe_comparison, _show_tables
from etl.config import Destination, Mask, Retention, SecretUrl
from etl.db.engine import write_transaction
from etl.feed import changes, compare, delivery
from etl.feed.compare import TableState
from etl.feed.lag import DestinationStatus, destination_statuses
from etl.feed.prune import prune_tables
from etl.feed.watermarks import Mark
from etl.schema.tables import video_jobs
from tests.support.feed_history import START, Writer, add_source
from tests.support.reading_back import destination

sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
KINDS = ("filesystem", "duckdb", "delta", "iceberg")
EXPECTED = {"video_job_versions": 38, "video_jobs": 32, "list_pages": 5, "cache_lookups": 5, "sync_runs": 5}


@pytest.fixture
def writers(engine: sa.Engine) -> list[Writer]:
    """Two sources and three days: 32 jobs in 38 versions."""
    made = [Writer(engine, add_source(engine, name), seed) for seed, name in enumerate("ab")]
    made[1].step(new=12, changes=0)
    made[0].step(new=20, changes=0)
    for days, changed in ((1, 6), (1, 0)):
        made[0].at += timedelta(days=days)
        made[0].step(new=0, changes=changed)
    made[1].step(new=0, changes=0)
    return made


def feed(engine: sa.Engine, target: Destination) -> None:
    result = delivery.deliver_to_one(engine, target)
    assert result.status == "ok", result.error


def look(engine: sa.Engine, target: Destination, *, deep: bool) -> DestinationStatus:
    (standing,) = destination_statuses(engine, [target], deep=deep)
    assert standing.error is None, standing.error.__cause__
    return standing


def of(standing: DestinationStatus, table: str) -> TableState:
    (found,) = (state for state in standing.tables if state.table == table)
    return found


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_all_is_well(engine, writers, tmp_path, kind, deep):
    target = destination(kind, tmp_path)
    assert all(state.rows == 0 for state in look(engine, target, deep=deep).tables)
    feed(engine, target)
    standing = look(engine, target, deep=deep)
    assert not standing.is_wrong, standing.tables
    found = {state.table: state.rows for state in standing.tables}
    assert {**EXPECTED, "sources": 2}.items() - {("video_jobs", 32)} <= found.items()
    assert all(state.rows == state.expected for state in standing.tables)
    with write_transaction(engine) as conn:  # progress alone makes no version
        conn.execute(sa.update(video_jobs).values(progress=77.5))
    writers[0].step(new=3, changes=4)
    assert not look(engine, target, deep=deep).is_wrong, "what waits is no fault"


@sqlite
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.slow
def test_in_postgresql(engine, writers, postgres, deep):
    target = Destination(name="pg", type="postgres", url=SecretUrl(postgres.create("compared")))
    feed(engine, target)
    assert not look(engine, target, deep=deep).is_wrong
    with psycopg.connect(postgres.url("compared")) as conn:
        conn.execute("DELETE FROM bifrost.video_job_versions WHERE version = 2")
        conn.execute("UPDATE bifrost.video_jobs SET version = 9 WHERE job_id LIKE 'video_2%'")
    standing = look(engine, target, deep=deep)
    postgres.drop("compared")
    versions = of(standing, "video_job_versions")
    assert (versions.rows, versions.expected, versions.missing) == (32, 38, 6)
    assert versions.days == ("2026-03-02",)
    assert of(standing, "video_jobs").changed == 12


@sqlite
def test_what_somebody_did_to_a_duckdb_file(engine, writers, tmp_path):
    target = destination("duckdb", tmp_path)
    feed(engine, target)
    with closing(duckdb.connect(f"{tmp_path}/warehouse.duckdb")) as conn:
        conn.execute("INSERT INTO bifrost.list_pages FROM bifrost.list_pages WHERE id = 1")
        conn.execute("DELETE FROM bifrost.video_jobs WHERE job_id LIKE '%_0000003'")
        conn.execute("UPDATE bifrost.video_job_versions SET model = 'sora-3' WHERE change_seq = 5")
        conn.execute("DELETE FROM bifrost.sources")
    quick, deep = (look(engine, target, deep=deep) for deep in (False, True))
    for standing in (quick, deep):
        assert of(standing, "list_pages").doubled == 1
        assert of(standing, "video_jobs").missing == 2
        assert of(standing, "sources").missing == 2
    assert not of(quick, "video_job_versions").is_wrong, "a sum by day does not see a changed text"
    changed = of(deep, "video_job_versions")
    assert (changed.changed, changed.days) == (1, ("2026-03-01",))
    for writer in writers:
        writer.step(new=3, changes=0)
    for deep in (False, True):
        assert of(look(engine, target, deep=deep), "video_jobs").missing == 2, "though new jobs wait"


@sqlite
def test_a_file_that_went_missing_and_one_that_was_copied(engine, writers, tmp_path):
    target = destination("filesystem", tmp_path)
    feed(engine, target)
    (file,) = (tmp_path / "filesystem" / "video_job_versions").iterdir()
    rows = pq.read_table(file)
    pq.write_table(rows.filter(pc.not_equal(rows["version"], 2)), file)
    (page,) = (tmp_path / "filesystem" / "list_pages").iterdir()
    page.with_name("copy.parquet").write_bytes(page.read_bytes())
    standing = look(engine, target, deep=False)
    assert of(standing, "video_job_versions").missing == 6
    assert of(standing, "list_pages").doubled == 5


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.slow
def test_what_was_pruned_here_is_no_fault_there(engine, writers, tmp_path, deep):
    target = destination("duckdb", tmp_path)
    feed(engine, target)
    removed: dict[str, Any] = prune_tables(
        engine, Retention(versions=1.0), [target], now=START + timedelta(days=99)
    )
    assert removed["video_job_versions"] == 6
    versions = of(look(engine, target, deep=deep), "video_job_versions")
    assert (versions.rows, versions.expected, versions.pruned, versions.is_wrong) == (38, 32, 6, False)


@sqlite
def test_a_table_that_was_dropped_is_missing(engine, writers, tmp_path):
    """Here every table whose whole content is one file or folder, in the lake that keeps state."""
    target = destination("delta", tmp_path)
    feed(engine, target)
    tables = ("video_job_versions", "video_jobs", "job_requests", "list_pages", "cache_lookups")
    for table in tables:
        (tmp_path / "delta" / table).rename(tmp_path / table)
    standing = look(engine, target, deep=False)
    assert {table: of(standing, table).missing for table in tables} == {
        **{name: rows for name, rows in EXPECTED.items() if name != "sync_runs"},
        "job_requests": 5,
    }
    feed(engine, target)
    assert not look(engine, target, deep=True).is_wrong
    (tmp_path / "delta" / "sync_runs").rename(tmp_path / "sync_runs")
    assert of(look(engine, target, deep=False), "sync_runs").waits


@sqlite
@pytest.mark.parametrize("kind", ["filesystem", "delta", "iceberg"])
def test_a_file_that_cannot_be_read_says_what_to_do(engine, writers, tmp_path, kind):
    target = destination(kind, tmp_path)
    feed(engine, target)
    file = next(path for path in tmp_path.rglob("*.parquet") if "video_job_versions" in str(path))
    if kind == "filesystem":
        file.write_bytes(b"damaged")
    else:
        file.unlink()
    (standing,) = destination_statuses(engine, [target])
    assert standing.is_wrong and "drop that table" in str(getattr(standing.error, "hint", ""))


@sqlite
def test_as_a_user_sees_it(engine, writers, tmp_path, capsys):
    target = destination("duckdb", tmp_path)
    feed(engine, target)
    with closing(duckdb.connect(f"{tmp_path}/warehouse.duckdb")) as conn:
        conn.execute("DELETE FROM bifrost.video_job_versions WHERE version = 2")
    _show_tables([look(engine, target, deep=False)])
    said = capsys.readouterr().out
    assert "6 missing on 2026-03-02" in said and "equal" in said


@sqlite
@pytest.mark.parametrize("kind", KINDS)
def test_another_mask_is_told_from_a_change(engine, writers, tmp_path, kind):
    """A destination that was filled before it had a mask, and one whose prompts somebody has changed."""
    target = destination(kind, tmp_path)
    feed(engine, target)
    masked = msgspec.structs.replace(target, mask=Mask(prompt="drop"))
    assert not look(engine, masked, deep=False).is_wrong, "neither keys nor days differ"
    versions = of(look(engine, masked, deep=True), "video_job_versions")
    assert versions.changed == versions.masked > 20
    said = _describe_comparison(versions)
    assert "only in what `mask` leaves out" in said and f"{versions.changed} changed" in said


@sqlite
def test_a_cell_that_somebody_changed_in_a_small_table(engine, writers, tmp_path):
    target = destination("duckdb", tmp_path)
    feed(engine, target)
    with closing(duckdb.connect(f"{tmp_path}/warehouse.duckdb")) as conn:
        conn.execute("UPDATE bifrost.prices SET price = price + 1 WHERE id = 1")
        conn.execute("UPDATE bifrost.sources SET name = 'x' WHERE name = 'b'")
        conn.execute("UPDATE bifrost.video_job_versions SET model = 'x' WHERE change_seq = 5")
    found = look(engine, target, deep=True)
    assert (of(found, "prices").changed, of(found, "sources").changed) == (1, 1)
    assert (of(found, "video_job_versions").changed, of(found, "video_job_versions").masked) == (1, 0)


def test_nothing_is_read_from_a_place_that_is_not_there(engine: sa.Engine, tmp_path: Path) -> None:
    look(engine, destination("duckdb", tmp_path), deep=True)
    assert list(tmp_path.glob("*.duckdb")) == []


@pytest.mark.slow
def test_a_million_jobs_that_wait_take_little_memory() -> None:
    """A mirror whose destination was switched off for long. No job becomes an object of Python's."""
    count, marks = 1_000_000, {1: Mark(1, "x"), 2: Mark(1, "x")}
    numbers = pa.array(range(count)).cast(pa.string())
    jobs = pc.binary_join_element_wise("video_1_", numbers, "")

    def batches() -> Iterator[pa.Table]:
        for start in range(0, count, 10_000):
            some = jobs.slice(start, 10_000)
            for source in (1, 2, 3):
                yield pa.table({"source_id": pa.repeat(pa.scalar(source), len(some)), "job_id": some})

    for waiting, settled in (({}, 2 * count), ({1: jobs, 2: jobs.slice(0, 10)}, count - 10)):
        tracemalloc.start()
        assert sum(rows.num_rows for rows in compare._settled_rows(batches(), marks, waiting)) == settled
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 2**20, most


@sqlite
@pytest.mark.parametrize("deep", [False, True])
def test_rows_are_read_some_at_once(engine, writers, tmp_path, deep, monkeypatch):
    """Also where they differ: what is kept of a row is its digest."""
    target = destination("duckdb", tmp_path)
    feed(engine, target)
    with closing(duckdb.connect(f"{tmp_path}/warehouse.duckdb")) as conn:
        conn.execute("UPDATE bifrost.video_jobs SET version = 9 WHERE job_id LIKE '%_0000003'")
    sizes, table_of = [], changes.table_of

    def watched(rows, fields):
        if "version" in fields.names:
            sizes.append(len(rows))
        return table_of(rows, fields)

    monkeypatch.setattr(changes, "FETCH", 7)
    monkeypatch.setattr(changes, "table_of", watched)
    found = of(look(engine, target, deep=deep), "video_jobs")
    assert (found.rows, found.expected, found.changed, found.days) == (32, 32, 2, ("2026-03-01",))
    again = 2 if deep else 1  # to tell whether another mask is all that differs
    assert sum(sizes) == 32 * again and max(sizes) <= 7
