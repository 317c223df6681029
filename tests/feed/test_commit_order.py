"""A smaller number may come into sight after a larger one: only a source's own order can be trusted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from etl.db.engine import make_engine, write_transaction
from etl.feed import changes, delivery
from etl.feed.tables import STREAMS, VERSIONS
from etl.feed.watermarks import Mark
from etl.load import Lease
from etl.schema.tables import sync_runs, video_job_versions
from tests.support.feed_history import Writer, add_source, lock
from tests.support.reading_back import assert_equal, destination

postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
SEQ = video_job_versions.c.change_seq


def feed(engine, folder, **options) -> dict[str, int]:
    result = delivery.deliver_to_one(engine, destination("filesystem", folder), **options)
    assert result.error is None, result.error
    assert result.status == "ok"
    return result.rows


@postgresql
@pytest.mark.slow
def test_one_global_watermark_would_skip_and_ours_do_not(engine, tmp_path):
    slow, quick = (Writer(engine, add_source(engine, name)) for name in ("slow", "quick"))
    with write_transaction(engine) as open_commit:  # takes its numbers first, and commits last
        lock(open_commit, slow.source)
        run = slow._begin(open_commit)
        slow._write(open_commit, [slow._insert(run) for _ in range(3)])
        quick.step()
        feed(engine, tmp_path)
        with engine.connect() as conn:
            global_mark = conn.scalar(sa.select(sa.func.max(SEQ)))
        done = {"status": "ok", "finished_at": slow.at, "jobs_inserted": 3}
        open_commit.execute(sa.update(sync_runs).where(sync_runs.c.id == run).values(**done))
    with engine.connect() as conn:
        behind = conn.scalar(sa.select(sa.func.count()).where(global_mark >= SEQ)) - 8
        beyond = conn.scalar(sa.select(sa.func.count()).where(global_mark < SEQ))
    assert (behind, beyond) == (3, 0)  # "everything above the largest delivered number" would never see them
    assert feed(engine, tmp_path)["video_job_versions"] == 3
    assert_equal(engine, "filesystem", tmp_path)


@postgresql
def test_a_second_commit_of_a_source_waits_for_the_first(engine, engine_url):
    """What the watermarks rest on, with the product's own lease."""
    source = add_source(engine, "a")
    first, second = Lease(source, "one", 60), make_engine(engine_url)
    with engine.connect() as conn:
        first.look(conn)
    with engine.begin() as conn:
        first.write(conn)
        with second.connect() as other, pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            other.exec_driver_sql("SET lock_timeout = '50ms'")
            Lease(source, "two", 60).write(other)
    second.dispose()


@postgresql
@pytest.mark.slow
def test_nothing_is_skipped_while_many_write(engine, tmp_path):
    writers = [Writer(engine, add_source(engine, f"s{n}"), n) for n in range(4)]
    ended = threading.Event()

    def write(writer: Writer) -> None:
        for _ in range(25):
            writer.step(new=writer.rng.randint(0, 8), changes=writer.rng.randint(0, 4))

    def deliver() -> int:
        turns = 0
        while not ended.is_set():
            turns += bool(feed(engine, tmp_path, batch_rows=17))
        return turns

    with ThreadPoolExecutor(5) as pool:
        feeding = pool.submit(deliver)
        list(pool.map(write, writers))
        ended.set()
        assert feeding.result() > 1
    feed(engine, tmp_path)
    assert_equal(engine, "filesystem", tmp_path)


def test_two_feeds_to_one_destination_do_not_mix(engine, tmp_path):
    Writer(engine, add_source(engine, "a")).step()
    skipped: list[str] = []

    def meanwhile(_destination: str, _table: str, _rows: int) -> None:
        skipped.append(delivery.deliver_to_one(engine, destination("filesystem", tmp_path)).status)

    assert feed(engine, tmp_path, watch=meanwhile)
    assert set(skipped) == {"skipped"}
    assert_equal(engine, "filesystem", tmp_path)


def test_bounds_look_only_where_runs_wrote(engine):
    """An idle source costs one look at its runs, whatever its history."""
    idle, busy = (Writer(engine, add_source(engine, name)) for name in ("idle", "busy"))
    idle.step()
    busy.step()
    marks = {stream.name: {} for stream in STREAMS}
    first = changes.find_bounds(engine, STREAMS, marks).upper
    assert set(first[VERSIONS.name]) == {idle.source, busy.source}
    marks = {name: {s: Mark(key, "") for s, key in upper.items()} for name, upper in first.items()}
    busy.step()
    assert set(changes.find_bounds(engine, STREAMS, marks).upper[VERSIONS.name]) == {busy.source}
