"""Retention by dropping months: the same rows stay as when rows are deleted one by one."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.config import Retention
from etl.db.engine import make_engine
from etl.feed import delivery
from etl.feed.prune import prune_tables
from etl.schema import repartition
from etl.schema.partitions import list_months
from tests.support.feed_history import Writer, add_source, stored
from tests.support.reading_back import destination, held

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
DAY = 86400.0
KEEP = Retention(versions=60 * DAY)


@pytest.fixture
def writer(engine: sa.Engine) -> Writer:
    """Eight months from March on; two thirds of the changes are of old jobs."""
    made = Writer(engine, add_source(engine, "a"))
    for _ in range(24):
        made.step(new=6, changes=12)
        made.at += timedelta(days=10)
    return made


def names(engine: sa.Engine) -> list[int]:
    with engine.connect() as conn:
        return [month.month for month in list_months(conn)]


def tables_of(engine: sa.Engine) -> set[str]:
    """Where each month's rows are on disk: a table written anew has another file."""
    query = """
SELECT relname || relfilenode FROM pg_class WHERE relkind = 'r' AND relname ~ '^video_job_versions_20'"""
    with engine.connect() as conn:
        return set(conn.scalars(sa.text(query)))


@pytest.mark.slow
def test_months_go_and_the_same_rows_stay(
    engine: sa.Engine, postgres: object, writer: Writer, tmp_path: Path
) -> None:
    server, name = postgres, engine.url.database
    engine.dispose()
    twin = make_engine(server.create(f"{name}_twin", template=name))  # type: ignore[attr-defined]
    repartition.partition_history(engine, writer.at)
    before, files = stored(engine, "video_job_versions"), tables_of(engine)
    expected = prune_tables(twin, KEEP, now=writer.at)
    assert prune_tables(engine, KEEP, now=writer.at, dry_run=True) == expected
    assert tables_of(engine) == files
    assert prune_tables(engine, KEEP, now=writer.at) == expected != {"video_job_versions": 0}
    left = stored(engine, "video_job_versions")
    assert left == stored(twin, "video_job_versions")
    assert len(left) == len(before) - expected["video_job_versions"]
    assert len(files & tables_of(engine)) == 5, (
        "months inside the retention, and those ahead, are not touched"
    )
    assert prune_tables(engine, KEEP, now=writer.at) == {"video_job_versions": 0}
    assert repartition.unpartition_history(engine) == len(left)
    assert stored(engine, "video_job_versions") == left
    twin.dispose()
    server.drop(f"{name}_twin")  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_month_of_which_nothing_must_stay_is_dropped(engine: sa.Engine, writer: Writer) -> None:
    """Every job changes once more: all versions before that are superseded."""
    repartition.partition_history(engine, writer.at)
    writer.step(new=0, changes=len(writer.versions))
    held_before = len(stored(engine, "video_job_versions"))
    writer.at += timedelta(days=70)
    removed = prune_tables(engine, KEEP, now=writer.at)
    assert names(engine) == [10, 11, 12], "October holds the newest versions"
    assert removed["video_job_versions"] == held_before - len(writer.versions)
    assert {row["job_id"]: row["version"] for row in stored(engine, "video_job_versions")} == writer.versions


def test_what_a_destination_lacks_stays(engine: sa.Engine, writer: Writer, tmp_path: Path) -> None:
    repartition.partition_history(engine, writer.at)
    lake = destination("filesystem", tmp_path)
    whole = stored(engine, "video_job_versions")
    assert prune_tables(engine, KEEP, [lake], now=writer.at) == {"video_job_versions": 0}
    assert stored(engine, "video_job_versions") == whole
    assert delivery.deliver_to_one(engine, lake).error is None
    assert prune_tables(engine, KEEP, [lake], now=writer.at)["video_job_versions"] > 0
    writer.step()
    assert delivery.deliver_to_one(engine, lake).error is None  # the row that proves the mark is still there
    delivered = held("filesystem", tmp_path, "video_job_versions")
    assert delivered[: len(whole)] == whole and len(delivered) == len(whole) + 8


@pytest.mark.slow
def test_a_month_that_somebody_reads_for_long_is_left_for_the_next_time(
    engine: sa.Engine, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etl.feed import prune_months

    repartition.partition_history(engine, writer.at)
    monkeypatch.setattr(prune_months, "LOCK_WAIT", 0.1)
    monkeypatch.setattr("etl.feed.prune._remove_rows", lambda *_: 0)
    with engine.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM video_job_versions"))
        assert prune_tables(engine, KEEP, now=writer.at) == {"video_job_versions": 0}
    stop = threading.Event()
    stop.set()
    assert prune_tables(engine, KEEP, now=writer.at, stop=stop) == {"video_job_versions": 0}
    assert prune_tables(engine, KEEP, now=writer.at)["video_job_versions"] > 0
