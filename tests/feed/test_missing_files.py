"""A data file that somebody removed: the next delivery says so, also when it has nothing to deliver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.feed import delivery
from etl.feed.lag import destination_statuses
from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import destination

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
DATA: dict[str, Callable[[Path], list[Path]]] = {
    "filesystem": lambda root: sorted((root / "video_job_versions").glob("*.parquet")),
    "delta": lambda root: sorted((root / "video_job_versions").glob("*.parquet")),
    "iceberg": lambda root: sorted((root / "bifrost" / "video_job_versions" / "data").glob("*.parquet")),
}


@pytest.mark.parametrize("kind", list(DATA))
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
