"""A data file that somebody removed: the next delivery says so, also when it has nothing to deliver."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.fs as pafs
import pytest
import sqlalchemy as sa

from etl.feed import delivery
from etl.feed.lag import destination_statuses
from etl.feed.sinks.iceberg import IcebergTables
from etl.feed.sinks.parquet import ParquetFiles
from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import destination

DATA: dict[str, Callable[[Path], list[Path]]] = {
    "filesystem": lambda root: sorted((root / "video_job_versions").glob("*.parquet")),
    "delta": lambda root: sorted((root / "video_job_versions").glob("*.parquet")),
    "iceberg": lambda root: sorted((root / "bifrost" / "video_job_versions" / "data").glob("*.parquet")),
}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", list(DATA))
@pytest.mark.slow
def test_a_file_that_is_gone_is_missed(engine: sa.Engine, tmp_path: Path, kind: str) -> None:
    writer, target = Writer(engine, add_source(engine, "a")), destination(kind, tmp_path)
    for _ in range(2):
        writer.step(new=6_000, changes=0)
        assert delivery.deliver_to_one(engine, target).status == "ok"
    files = DATA[kind](tmp_path / kind)
    assert len(files) >= 2
    files[0].unlink()
    for _ in range(2):
        writer.step(new=0, changes=0)
        result = delivery.deliver_to_one(engine, target)
        assert result.status == "failed" and files[0].name in str(result.error)
        assert "restore it, or drop that table" in str(getattr(result.error, "hint", ""))
        assert result.rows["sync_runs"] == 1  # what is new is there all the same
    (standing,) = destination_statuses(engine, [target])
    assert standing.is_wrong


class Planned:
    """An Iceberg table of which nothing is there: it counts how often its files are asked for."""

    def __init__(self, location: str) -> None:
        self._location, self.plans = location, 0

    def location(self) -> str:
        return self._location

    def scan(self) -> Planned:
        return self

    def plan_files(self) -> list[Any]:
        self.plans += 1
        return [SimpleNamespace(file=SimpleNamespace(file_path=f"{self._location}/data/1.parquet"))]


def test_of_an_iceberg_table_in_an_object_store_no_list_of_files_is_read(tmp_path: Path) -> None:
    """Whether they are there could not be said anyway; to read the manifests takes requests."""
    far, near = Planned("s3://bucket/video_jobs"), Planned(f"file://{tmp_path}/rejects")
    sink = IcebergTables(SimpleNamespace(), "bifrost", timedelta(minutes=10))  # type: ignore[arg-type]
    sink._asked = {"video_jobs": far, "rejects": near}  # type: ignore[dict-item]
    assert sink.missing_files() == [f"{tmp_path}/rejects/data/1.parquet"]
    assert (far.plans, near.plans) == (0, 1)


def test_a_folder_of_parquet_files_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is a request to an object store; tables of one file have none to look for."""
    (tmp_path / "video_job_versions").mkdir()
    for number in (1, 3):
        (tmp_path / "video_job_versions" / f"{number:012d}.parquet").touch()
    sink, lists = ParquetFiles(pafs.LocalFileSystem(), str(tmp_path)), []
    list_folder = ParquetFiles._numbers
    monkeypatch.setattr(
        ParquetFiles, "_numbers", lambda s, table: lists.append(table) or list_folder(s, table)
    )
    monkeypatch.setattr(ParquetFiles, "_is_there", lambda *_: False)
    for table in ("video_job_versions", "sources"):
        assert sink.marks(table) == {}
    assert [Path(gone).name for gone in sink.missing_files()] == ["000000000002.parquet"]
    assert lists == ["video_job_versions"]
