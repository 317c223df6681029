"""A lake that was fed often is as right, as small and as quick as one that was fed once."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Table

from etl.config import Destination, SecretUrl
from etl.db.engine import write_transaction
from etl.feed import delivery, locks
from etl.feed.locks import only_one
from etl.feed.sinks.iceberg_upkeep import keep_up
from etl.feed.tables import STREAMS, VERSIONS
from tests.conftest import require_module
from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import assert_equal, held
from tests.support.running import until

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
lakes = pytest.mark.parametrize("kind", ["filesystem", "delta", "iceberg"])
#: Deliveries, and files of all tables together that may stand there at most at any time.
TIMES, MOST = 60, {"filesystem": 10, "delta": 170, "iceberg": 210}


def place(kind: str, folder: Path, keep: float = 0.001) -> Destination:
    return Destination(name="lake", type=kind, url=SecretUrl(f"file://{folder}/{kind}"), keep_replaced=keep)  # type: ignore[arg-type]


def feed(engine: sa.Engine, destination: Destination, **options: Any) -> dict[str, int]:
    result = delivery.deliver_to_one(engine, destination, **options)
    if result.error is not None:
        raise result.error.__cause__ or result.error
    return result.rows


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@lakes
def test_two_names_for_one_place_deliver_once(engine, tmp_path, kind, monkeypatch):
    """Another feed, of another mirror's configuration or machine, writes while this one is at it."""
    writer = Writer(engine, add_source(engine, "a"))
    writer.step(new=10, changes=0)
    here = place(kind, tmp_path)
    open_sink, between = delivery.open_sink, []

    def interrupted(destination: Destination) -> Any:
        sink = open_sink(destination)
        deliver = sink.deliver

        def late(parts: Any) -> None:
            if not between:
                between.append(True)
                with monkeypatch.context() as aside:
                    aside.setattr(delivery, "only_one", lambda *_: nullcontext(True))
                    feed(engine, here)
            deliver(parts)

        sink.deliver = late
        return sink

    monkeypatch.setattr(delivery, "open_sink", interrupted)
    result = delivery.deliver_to_one(engine, here)
    assert result.status == "failed" and "another feed" in str(result.error)
    assert feed(engine, here) == {}
    assert len(held(kind, tmp_path, "video_job_versions")) == 10
    assert_equal(engine, kind, tmp_path)


def test_one_place_has_one_lock(engine: sa.Engine, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    spellings = ("lake", "link/", "./x/../lake", "lake/.")
    urls = [f"file://{tmp_path}/{spelling}" for spelling in spellings] + [f"{tmp_path}/lake"]
    places = [Destination(name=f"n{n}", type="delta", url=SecretUrl(url)) for n, url in enumerate(urls)]
    with only_one(engine, places[0]) as held_by_us:
        assert held_by_us
        assert [delivery.deliver_to_one(engine, other).status for other in places] == ["skipped"] * len(
            places
        )
    urls = ["postgresql://a:secret@DB/x", "postgresql+psycopg://b@db:5432/x/", "postgres://db/x?sslmode=off"]
    names = {
        locks.destination_place(Destination(name="n", type="postgres", url=SecretUrl(url))) for url in urls
    }
    assert names == {"postgresql://db:5432/x bifrost"}


@pytest.mark.parametrize("reader", ["duckdb", "polars"])
@pytest.mark.slow
def test_every_file_has_the_same_columns(engine, tmp_path, reader):
    """Readers take the first file's columns for all, or refuse a later file that has more."""
    writer = Writer(engine, add_source(engine, "a"))
    folder = tmp_path / "filesystem" / "video_job_versions"
    for _ in range(3):
        writer.step(new=5_000, changes=0)
        feed(engine, place("filesystem", tmp_path))
    assert len(list(folder.iterdir())) == 3
    with write_transaction(engine) as conn:
        conn.exec_driver_sql("ALTER TABLE video_job_versions ADD COLUMN mood TEXT DEFAULT 'calm'")
    grown = VERSIONS.table.to_metadata(sa.MetaData())
    grown.append_column(sa.Column("mood", sa.Text))
    streams = (replace(VERSIONS, table=grown), *STREAMS[1:])
    writer.step(new=7, changes=0)
    feed(engine, place("filesystem", tmp_path), streams=streams)
    assert len({tuple(pq.read_schema(path).names) for path in folder.iterdir()}) == 1
    if reader == "duckdb":
        query = f"SELECT mood, count(*) FROM read_parquet('{folder}/*.parquet') GROUP BY mood ORDER BY 2"
        counted = duckdb.sql(query).fetchall()
    else:
        polars = require_module("polars")
        counted = (
            polars.scan_parquet(f"{folder}/*.parquet").group_by("mood").len().sort("len").collect().rows()
        )
    assert counted == [("calm", 7), (None, 15_000)]


@lakes
@pytest.mark.slow
def test_files_do_not_pile_up(engine: sa.Engine, tmp_path: Path, kind: str) -> None:
    writer = Writer(engine, add_source(engine, "a"))
    writer.step(new=4_000, changes=0)
    most = 0
    for _ in range(TIMES):
        writer.step(new=2, changes=2)
        feed(engine, place(kind, tmp_path))
        most = max(most, len(files(tmp_path / kind)))
    assert most <= MOST[kind], most
    if kind == "delta":  # nothing is forgotten that a checkpoint no longer names
        for table in ("video_job_versions", "video_jobs"):
            held_here = DeltaTable(str(tmp_path / kind / table))
            lying = len(list((tmp_path / kind / table).glob("*.parquet")))
            assert lying <= len(held_here.file_uris()) + 8, table
    assert_equal(engine, kind, tmp_path)
    assert len(held(kind, tmp_path, "video_job_versions")) == 4_000 + 4 * TIMES
    for _ in range(4):  # with nothing new: what was replaced goes
        assert feed(engine, place(kind, tmp_path)) == {}
    feed(engine, place(kind, tmp_path / "once"))
    assert size(tmp_path / kind) <= 2 * size(tmp_path / "once")
    assert_equal(engine, kind, tmp_path)
    quiet = files(tmp_path / kind)
    assert not feed(engine, place(kind, tmp_path)) and files(tmp_path / kind) == quiet


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
@pytest.mark.slow
def test_a_little_lake_at_rest_is_small(engine: sa.Engine, tmp_path: Path, kind: str) -> None:
    """Of a few hundred jobs most bytes are what lakes note of tables: Delta's checkpoint has 18 KiB."""
    writer = Writer(engine, add_source(engine, "a"))
    writer.step(new=300, changes=0)
    for _ in range(14):
        feed(engine, place(kind, tmp_path))
        writer.step(new=2, changes=2)
    for _ in range(4):
        feed(engine, place(kind, tmp_path))
    feed(engine, place(kind, tmp_path / "once"))
    assert size(tmp_path / kind) <= {"delta": 2, "iceberg": 1.5}[kind] * size(tmp_path / "once")
    assert_equal(engine, kind, tmp_path)
    if kind == "iceberg":
        for name in ("video_jobs", "video_job_versions", "list_pages"):
            table = iceberg(tmp_path, name)
            newest = table.current_snapshot()
            assert newest is not None and len(newest.manifests(table.io)) == 1, name
            assert len(list((tmp_path / kind / "bifrost" / name / "metadata").glob("*.json"))) == 2, name
    writer.step(new=2, changes=2)  # it wakes up again
    feed(engine, place(kind, tmp_path))
    assert_equal(engine, kind, tmp_path)


@pytest.mark.slow
def test_what_joining_files_replaced_goes_too(engine: sa.Engine, tmp_path: Path) -> None:
    """Deliveries with nothing new join files, and take away what that replaced when it is old enough."""
    writer, folder = Writer(engine, add_source(engine, "a")), tmp_path / "delta" / "video_job_versions"
    for _ in range(3):
        writer.step(new=20, changes=0)
        feed(engine, place("delta", tmp_path, keep=1.0))

    def is_clean() -> bool:
        feed(engine, place("delta", tmp_path, keep=1.0))
        return len(list(folder.glob("*.parquet"))) == len(DeltaTable(str(folder)).file_uris()) == 1

    until(is_clean, "one file, and no other lies beside it")
    assert_equal(engine, "delta", tmp_path)


def test_a_reader_keeps_what_was_replaced_a_moment_ago(engine: sa.Engine, tmp_path: Path) -> None:
    """However long it had been the newest: a reader may have begun with it just before."""
    writer, keep = Writer(engine, add_source(engine, "a")), timedelta(hours=1)
    writer.step(new=20, changes=0)
    patient = place("iceberg", tmp_path, keep.total_seconds())
    feed(engine, patient)
    reader = iceberg(tmp_path).scan(snapshot_id=iceberg(tmp_path).metadata.current_snapshot_id)
    writer.step(new=0, changes=10)
    feed(engine, patient)
    table = iceberg(tmp_path)
    second = sorted(snapshot.timestamp_ms for snapshot in table.snapshots())[1]
    replaced = datetime.fromtimestamp(second / 1000, UTC)
    keep_up(table, keep, now=replaced + keep - timedelta(milliseconds=1))
    assert reader.to_arrow().num_rows == 20
    keep_up(table, keep, now=replaced + keep + timedelta(seconds=9))
    assert len(iceberg(tmp_path).snapshots()) == 1 and iceberg(tmp_path).scan().to_arrow().num_rows == 20


def iceberg(folder: Path, name: str = "video_jobs") -> Table:
    at = {"type": "sql", "uri": f"sqlite:///{folder}/iceberg/catalog.db"}
    return load_catalog("bifrost", **at).load_table(f"bifrost.{name}")


@pytest.mark.slow
def test_a_reader_of_delta_goes_on_while_deliveries_replace(engine: sa.Engine, tmp_path: Path) -> None:
    writer = Writer(engine, add_source(engine, "a"))
    writer.step(new=20, changes=0)
    patient = place("delta", tmp_path, 3600.0)
    feed(engine, patient)
    reader = DeltaTable(str(tmp_path / "delta" / "video_jobs"))
    before = sorted(reader.to_pyarrow_table().to_pylist(), key=itemgetter("job_id"))
    for _ in range(9):
        writer.step(new=1, changes=5)
        feed(engine, patient)
    assert sorted(reader.to_pyarrow_table().to_pylist(), key=itemgetter("job_id")) == before
