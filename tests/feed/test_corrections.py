"""What was delivered and is no longer what it was: erased texts leave a destination, twins are told late.

A destination is read by readers that are not ours, file by file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from etl.config import Destination, Mask, Retention, SecretUrl
from etl.db.engine import write_transaction
from etl.feed import corrections, delivery
from etl.feed.lag import destination_statuses
from etl.feed.prune import prune_tables
from etl.feed.sinks.registry import open_sink
from etl.feed.tables import STATE_COLUMNS
from etl.load.erase import erase_jobs
from etl.load.erase_selection import ErasureSelection
from etl.schema.tables import (
    job_details,
    job_requests,
    list_pages,
    sync_runs,
    video_job_versions,
    video_jobs,
)
from tests.support.feed_history import START, Writer, add_source
from tests.support.reading_back import assert_equal, destination, held

sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
kinds = pytest.mark.parametrize("kind", ["filesystem", "duckdb", "delta", "iceberg"])
WORDS = "Zebraquux counts 77 moons"
HERS, THEIRS = "video_1_0000002", "somebody else paints a moon"
LATER = START + timedelta(days=400)
TABLES = ("video_job_versions", "video_jobs", "job_requests", "job_details", "list_pages", "sync_runs")


def feed(engine: sa.Engine, target: Destination) -> dict[str, int]:
    result = delivery.deliver_to_one(engine, target)
    if result.error is not None:
        raise result.error.__cause__ or result.error
    return result.rows


def spread_words(engine: sa.Engine) -> Writer:
    """A job of hers, of whose prompt every table says something; texts of others that stay."""
    writer = Writer(engine, add_source(engine, "a"))
    writer.step(new=6, changes=0)
    run = writer.step(new=0, changes=6)
    writer.step(new=0, changes=6)
    hers = {"source_id": 1, "job_id": HERS}
    said = {"prompt": WORDS, "error_message": f"refused: '{WORDS}'", "extra": f'{{"note":"{WORDS}"}}'}
    with write_transaction(engine) as conn:
        for table in (video_jobs, video_job_versions):
            conn.execute(sa.update(table).values(prompt=THEIRS, extra=None, error_message=None))
            conn.execute(sa.update(table).where(table.c.job_id == HERS).values(**said))
        request = {"job_id": HERS, "error_message": f"refused: '{WORDS}'"}
        c = job_requests.c
        conn.execute(sa.update(job_requests).where(c.status == "success", c.run_id == run).values(**request))
        conn.execute(sa.update(job_details).values(filter_reasons="a face"))
        told = sa.update(job_details).where(job_details.c.job_id == HERS)
        conn.execute(told.values(filter_reasons=f"celebrity: {WORDS}"))
        raw = f'{{"data":[{{"id":"{HERS}","prompt":"{WORDS}"}}]}}'
        first, second = conn.scalars(sa.select(list_pages.c.id).order_by(list_pages.c.id).limit(2)).all()
        page = sa.update(list_pages)
        conn.execute(
            page.where(list_pages.c.id == first).values(raw_response=raw, extra=f'{{"q":"{WORDS}"}}')
        )
        conn.execute(page.where(list_pages.c.id == second).values(raw_response=THEIRS))
        failed = sa.update(sync_runs).where(sync_runs.c.id == run)
        conn.execute(failed.values(error_message=f"the gateway says: {WORDS}"))
    assert hers["job_id"] in writer.versions
    return writer


def erase(engine: sa.Engine) -> None:
    erase_jobs(engine, ErasureSelection((HERS,), (), {}, ()), at=LATER)


def says(kind: str, folder: Path, words: str) -> list[str]:
    tables = [name for name in TABLES if (kind, name) != ("filesystem", "video_jobs")]
    return [name for name in tables if words in repr(held(kind, folder, name))]


@kinds
@sqlite
def test_erased_texts_leave_what_was_delivered(engine: sa.Engine, tmp_path: Path, kind: str) -> None:
    writer, target = spread_words(engine), destination(kind, tmp_path)
    feed(engine, target)
    everywhere = [name for name in TABLES if (kind, name) != ("filesystem", "video_jobs")]
    assert says(kind, tmp_path, WORDS) == everywhere
    erase(engine)
    feed(engine, target)
    assert says(kind, tmp_path, WORDS) == []
    assert "list_pages" in says(kind, tmp_path, THEIRS)
    assert len([r for r in held(kind, tmp_path, "video_job_versions") if r["prompt"] == THEIRS]) == 15
    assert_equal(engine, kind, tmp_path)
    (standing,) = destination_statuses(engine, [target], deep=True)
    assert standing.error is None and not standing.is_wrong, standing.tables
    writer.requests = writer.details = 100  # the erasure has taken numbers
    writer.step(new=1, changes=0)
    feed(engine, target)
    assert_equal(engine, kind, tmp_path)


@kinds
@sqlite
def test_what_was_pruned_here_is_erased_there(engine: sa.Engine, tmp_path: Path, kind: str) -> None:
    writer, target = spread_words(engine), destination(kind, tmp_path)
    feed(engine, target)
    writer.step(new=0, changes=6)
    with write_transaction(engine) as conn:
        for table in (video_jobs, video_job_versions):
            conn.execute(sa.update(table).where(table.c.job_id == HERS).values(prompt=WORDS))
    feed(engine, target)
    prune_tables(engine, Retention(versions=1.0, page_log=1.0, runs=1.0), [target], now=LATER)
    with engine.connect() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(video_job_versions)) < 12
        assert conn.scalar(sa.select(sa.func.count()).select_from(list_pages)) == 1
    erase(engine)
    feed(engine, target)
    assert says(kind, tmp_path, WORDS) == []
    assert says(kind, tmp_path, THEIRS)[-1] == "list_pages"  # a raw answer that does not name her job
    assert len(held(kind, tmp_path, "list_pages")) == 4
    writer.versions[HERS] += 1
    writer.at, writer.requests, writer.details = LATER, 200, 200
    writer.step(new=0, changes=6)
    feed(engine, target)
    prune_tables(engine, Retention(versions=1.0), [target], now=LATER + timedelta(days=9))
    with engine.connect() as conn:
        c = video_job_versions.c
        left = conn.scalars(sa.select(c.op).where(c.job_id == HERS).order_by(c.change_seq)).all()
    assert left[0] == "erase", "a destination that is restored must hear of it again"


@sqlite
@pytest.mark.parametrize("kind", ["filesystem", "delta", "iceberg"])
def test_old_files_go_when_nobody_may_read_them_any_more(
    engine: sa.Engine, tmp_path: Path, kind: str
) -> None:
    spread_words(engine)
    target = Destination(name="t", type=kind, url=SecretUrl(f"file://{tmp_path}/{kind}"), keep_replaced=0.001)  # type: ignore[arg-type]
    feed(engine, target)
    erase(engine)
    for _ in range(3):
        feed(engine, target)
    for path in (tmp_path / kind).rglob("*"):
        if path.is_file():
            content = repr(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else ""
            assert WORDS[:9] not in content, path
            assert WORDS[:9].encode() not in path.read_bytes(), path


@sqlite
@kinds
@pytest.mark.slow
def test_a_feed_that_dies_between_does_it_again(
    engine: sa.Engine, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread_words(engine)
    target = destination(kind, tmp_path)
    feed(engine, target)
    erase(engine)
    correct = corrections.correct_texts

    def die(*arguments: Any) -> None:
        correct(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(corrections, "correct_texts", die)
        with pytest.raises(KeyboardInterrupt):
            delivery.deliver_to_one(engine, target)
    feed(engine, target)
    assert says(kind, tmp_path, WORDS) == []
    assert_equal(engine, kind, tmp_path)


@sqlite
def test_what_a_mask_has_hidden_stays_hidden(engine: sa.Engine, tmp_path: Path) -> None:
    spread_words(engine)
    mask = Mask(prompt="hmac", key=SecretUrl("k"))  # type: ignore[arg-type]
    target = Destination(name="t", type="delta", url=SecretUrl(f"file://{tmp_path}/delta"), mask=mask)
    feed(engine, target)
    digests = {row["prompt"] for row in held("delta", tmp_path, "video_job_versions")}
    assert len(digests) == 2 and all(text.startswith("hmac:") for text in digests)
    erase(engine)
    feed(engine, target)
    rows = held("delta", tmp_path, "video_job_versions")
    assert {row["prompt"] for row in rows if row["job_id"] == HERS} == {None}
    assert len({row["prompt"] for row in rows}) == 2


@pytest.mark.parametrize("kind", ["duckdb", "delta", "iceberg"])  # files hold history only
@sqlite
def test_a_twin_that_was_found_late_is_told(engine: sa.Engine, tmp_path: Path, kind: str) -> None:
    """At the end of a whole scan: its jobs were delivered long before."""
    writers = [Writer(engine, add_source(engine, name), seed) for seed, name in enumerate("ab")]
    for writer in writers:
        writer.step(new=4, changes=0)
    feed(engine, destination(kind, tmp_path))
    run = writers[1].step(new=0, changes=0)
    with write_transaction(engine) as conn:
        late = ["video_2_0000001", "video_2_0000003"]
        found = sa.update(video_jobs).where(video_jobs.c.job_id.in_(late))
        conn.execute(found.values(twin_source_id=1))
        conn.execute(sa.update(sync_runs).where(sync_runs.c.id == run).values(kind="reconcile"))
    target = destination(kind, tmp_path)
    feed(engine, target)
    told = {row["job_id"]: row["twin_source_id"] for row in held(kind, tmp_path, "video_jobs")}
    assert [job for job, source in told.items() if source == 1] == late
    assert [source for source in told.values() if source is None] == [None] * 6
    assert_equal(engine, kind, tmp_path)
    (standing,) = destination_statuses(engine, [target], deep=True)
    assert standing.error is None and not standing.is_wrong

    writers[1].step(new=0, changes=0)
    reads = watch_reads(engine, target, 2)
    assert reads == [(("source_id", "job_id", "twin_source_id"), 8)], "nothing differs: no text is read"


@pytest.mark.parametrize("kind", ["duckdb", "delta", "iceberg"])
@sqlite
def test_only_rows_that_are_wrong_are_read_whole(engine: sa.Engine, tmp_path: Path, kind: str) -> None:
    """Texts are most of a state; a scan finds out of a few jobs which source counts them."""
    writers = [Writer(engine, add_source(engine, name), seed) for seed, name in enumerate("ab")]
    for writer in writers:
        writer.step(new=40, changes=0)
    target = destination(kind, tmp_path)
    feed(engine, target)
    with write_transaction(engine) as conn:
        late = ["video_2_0000001", "video_2_0000003", "video_2_0000033"]
        found = sa.update(video_jobs).where(video_jobs.c.job_id.in_(late))
        conn.execute(found.values(twin_source_id=1))
    narrow, whole = watch_reads(engine, target, 2)
    assert narrow == (("source_id", "job_id", "twin_source_id"), 80)
    assert whole == (STATE_COLUMNS, 3)
    assert_equal(engine, kind, tmp_path)


def watch_reads(engine: sa.Engine, target: Destination, source: int) -> list[tuple[tuple[str, ...], int]]:
    """Correct the twins of a source: which columns of how many rows were read for it."""
    sink, reads = open_sink(target), []
    read = sink.read

    def watched(table: str, columns: Any, *only: Any) -> Iterator[Any]:
        batches = list(read(table, columns, *only))
        reads.append((tuple(columns), sum(batch.num_rows for batch in batches)))
        return iter(batches)

    sink.read = watched  # type: ignore[method-assign]
    with closing(sink):
        corrections.correct_twins(engine, sink, [source])
    return reads


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_warehouse_forgets_too(engine: sa.Engine, engine_url: str, tmp_path: Path) -> None:
    spread_words(engine)
    place = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    target = Destination(name="t", type="postgres", url=SecretUrl(place), options={"dataset": "wh"})
    feed(engine, target)
    erase(engine)
    feed(engine, target)
    with psycopg.connect(place) as conn:
        for table in TABLES:
            rows = conn.execute(f"SELECT t::text FROM wh.{table} t").fetchall()
            assert rows and not [row for row in rows if WORDS in row[0]], table
    (standing,) = destination_statuses(engine, [target], deep=True)
    assert standing.error is None and not standing.is_wrong, standing.tables
