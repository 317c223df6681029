"""What a small delivery writes anew: rows are replaced by their keys alone, and large files are left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Transaction

from etl.feed.sinks import delta_upkeep, iceberg_upkeep
from etl.feed.sinks.iceberg_changes import Changes
from tests.feed.test_upkeep import feed, place, size
from tests.support.feed_history import Lifelike, Writer, add_source
from tests.support.reading_back import assert_equal, held

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
ODD_IDS = ("it's", "back\\slash", "100%_", 'say "yes"', "new\nline", "naïve 🎬", "') OR ('1' = '1", "--", "")


class OddlyNamed(Writer):
    """Its jobs have the ids that SQL takes apart wrongly, and the same in each source."""

    def _insert(self, run: int):  # type: ignore[no-untyped-def]
        number = len(self.versions)
        return self._version(f"{ODD_IDS[number % len(ODD_IDS)]} {number // len(ODD_IDS)}", "insert", run)

    def _state(self, row):  # type: ignore[no-untyped-def]
        return super()._state({**row, "job_id": "x_1"}) | {"job_id": row["job_id"]}


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
@pytest.mark.parametrize("changes", [6, 120], ids=["few", "many"])
@pytest.mark.slow
def test_of_each_key_the_newest_row_stays(engine: sa.Engine, tmp_path: Path, kind: str, changes: int) -> None:
    writers = [OddlyNamed(engine, add_source(engine, name), seed) for seed, name in enumerate("ab")]
    for writer in writers:
        writer.step(new=200, changes=0)
    feed(engine, place(kind, tmp_path))
    for _ in range(3):
        for writer in writers:
            writer.step(new=2, changes=changes)
        feed(engine, place(kind, tmp_path))
    assert len(held(kind, tmp_path, "video_jobs")) == 2 * (200 + 3 * 2)
    assert_equal(engine, kind, tmp_path)


@pytest.mark.parametrize(
    ("kind", "place_of"),
    [("iceberg", "iceberg/bifrost/video_job_versions/data"), ("delta", "delta/video_job_versions")],
)
@pytest.mark.slow
def test_a_large_file_is_not_written_anew_with_each_joining(
    engine: sa.Engine, tmp_path: Path, kind: str, place_of: str
) -> None:
    """Iceberg's was, while it was smaller than 256 KiB, and Delta's wherever a delivery took longer than
    `keep_replaced`: so a lake of 20,000 jobs was twice as large while fed."""
    writer = Writer(engine, add_source(engine, "a"))
    writer.step(new=20_000, changes=0)
    feed(engine, place(kind, tmp_path))
    (first,) = (tmp_path / place_of).glob("*.parquet")
    counts = []
    for _ in range(12):
        writer.step(new=3, changes=0)
        feed(engine, place(kind, tmp_path))
        counts.append(len(list((tmp_path / place_of).glob("*.parquet"))))
    assert first.exists() and max(counts) <= 12 and counts[-1] < 10, counts
    for _ in range(3):  # at rest all are one
        feed(engine, place(kind, tmp_path))
    assert len(list((tmp_path / place_of).glob("*.parquet"))) == 1 and not first.exists()
    assert_equal(engine, kind, tmp_path)


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
@pytest.mark.slow
def test_a_lake_is_small_at_every_moment(
    engine: sa.Engine, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amid a delivery, too, when nothing of what it replaces has gone yet: three jobs of any age change."""
    writer = Lifelike(engine, add_source(engine, "a"))
    writer.step(new=10_000, changes=0)
    feed(engine, place(kind, tmp_path))
    sizes = []
    for module, name in ((iceberg_upkeep, "remove_unnamed"), (delta_upkeep, "_remove_replaced")):
        removes = getattr(module, name)

        def weighed(*arguments: Any, removes: Any = removes) -> Any:
            sizes.append(size(tmp_path / kind))
            return removes(*arguments)

        monkeypatch.setattr(module, name, weighed)
    for _ in range(8):
        writer.step(new=5, changes=3)
        feed(engine, place(kind, tmp_path))
    assert len(sizes) >= 8
    feed(engine, place(kind, tmp_path / "once"))
    assert max(sizes) <= 1.7 * size(tmp_path / "once" / kind), (sizes, size(tmp_path / "once" / kind))


def test_changes_see_what_pyiceberg_sees(engine: sa.Engine, tmp_path: Path) -> None:
    Writer(engine, add_source(engine, "a")).step(new=10, changes=0)
    feed(engine, place("iceberg", tmp_path))
    catalog = load_catalog("bifrost", type="sql", uri=f"sqlite:///{tmp_path}/iceberg/catalog.db")
    table = catalog.load_table("bifrost.video_jobs")
    ours, theirs = Changes(table), Transaction(table)
    for step in ({"mood": "calm"}, {"mood": "wild", "more": "1"}):
        for changes in (ours, theirs):
            changes.set_properties(step)
        seen, wanted = ours.table_metadata, theirs.table_metadata
        assert seen.properties == wanted.properties and seen.properties["mood"] == step["mood"]
        assert ours.table_metadata is seen
    ours.delete("job_id = 'video_1_0000003'")
    assert ours.table_metadata.current_snapshot() != table.current_snapshot()
    ours.commit_transaction()
    assert catalog.load_table("bifrost.video_jobs").scan().to_arrow().num_rows == 9


def test_delta_replaces_few_rows_in_the_files_that_may_hold_them(engine: sa.Engine, tmp_path: Path) -> None:
    writer = Writer(engine, add_source(engine, "a"))
    for _ in range(3):  # seen at three times: three files, of which two cannot hold the changed job
        writer.step(new=50, changes=0)
        feed(engine, place("delta", tmp_path, keep=3600.0))
    table = str(tmp_path / "delta" / "video_jobs")
    before = set(DeltaTable(table).file_uris())
    writer.versions = {"video_1_0000149": 1}
    writer.step(new=0, changes=1)
    feed(engine, place("delta", tmp_path, keep=3600.0))
    assert len(before - set(DeltaTable(table).file_uris())) == 1
    assert_equal(engine, "delta", tmp_path)
