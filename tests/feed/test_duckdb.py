"""A DuckDB file as a destination: readers beside it, names that collide, settings that cannot work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from etl.config import Destination, SecretUrl
from etl.feed import delivery
from etl.feed.lag import destination_statuses
from tests.support.feed_history import Lifelike, Writer, add_source

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def writer(engine: sa.Engine) -> Writer:
    made = Writer(engine, add_source(engine, "a"))
    made.step()
    return made


def duck(place: object, **options: Any) -> Destination:
    return Destination(name="duck", type="duckdb", url=SecretUrl(f"duckdb:///{place}"), options=options)


def versions(file: Path, place: str) -> int:
    with closing(duckdb.connect(str(file), read_only=True)) as conn:
        (count,) = conn.sql(f"SELECT count(*) FROM {place}.video_job_versions").fetchall()[0]
        return int(count)


@contextmanager
def reader(file: Path) -> Iterator[int]:
    """Another process that has the file open, only to read; its process id."""
    opens = f"import duckdb; held = duckdb.connect({str(file)!r}, read_only=True)"
    program = f"{opens}; print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None and process.stdout.readline() == b"open\n"
        yield process.pid
        process.communicate(b"\n")


def test_a_file_that_somebody_reads(engine: sa.Engine, writer: Writer, tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    assert delivery.deliver_to_one(engine, duck(file)).status == "ok"
    with reader(file) as pid:
        assert delivery.deliver_to_one(engine, duck(file)).status == "ok", "nothing new: nothing is written"
        writer.step()
        (standing,) = destination_statuses(engine, [duck(file)])
        assert standing.error is None and standing.lags[0].pending == 8
        refused = delivery.deliver_to_one(engine, duck(file))
    assert refused.status == "failed"
    for part in ("'duck'", str(file), f"PID {pid}"):
        assert part in str(refused.error)
    assert "close it there" in refused.error.hint  # type: ignore[union-attr]
    assert delivery.deliver_to_one(engine, duck(file)).rows["video_job_versions"] == 8
    assert versions(file, "bifrost") == 16


def test_a_file_named_as_its_schema(engine: sa.Engine, writer: Writer, tmp_path: Path) -> None:
    file = tmp_path / "bifrost.duckdb"
    assert delivery.deliver_to_one(engine, duck(file)).error is None
    writer.step()
    assert delivery.deliver_to_one(engine, duck(file)).error is None
    assert versions(file, "bifrost.bifrost") == 16


def test_status_makes_no_file(engine: sa.Engine, writer: Writer, tmp_path: Path) -> None:
    file = tmp_path / "not" / "yet.duckdb"
    (standing,) = destination_statuses(engine, [duck(file)])
    assert standing.lags[0].pending == 8
    assert not file.parent.exists()
    assert delivery.deliver_to_one(engine, duck(file, dataset='odd "name"')).error is None
    assert versions(file, '"odd ""name"""') == 8


@pytest.mark.parametrize(
    "url", ["duckdb:///", "duckdb:///:memory:", "duckdb://warehouse.duckdb", "duckdb:////tmp"]
)
def test_a_url_that_names_no_file(engine: sa.Engine, url: str) -> None:
    result = delivery.deliver_to_one(engine, Destination(name="duck", type="duckdb", url=SecretUrl(url)))
    assert "'duck' needs a url that names a f" in str(result.error)


def test_options_that_duckdb_does_not_have(engine: sa.Engine, writer: Writer, tmp_path: Path) -> None:
    result = delivery.deliver_to_one(engine, duck(tmp_path / "x.duckdb", nonsense=1))
    assert "'duck'" in str(result.error) and "nonsense" in str(result.error.__cause__)  # type: ignore[union-attr]
    result = delivery.deliver_to_one(engine, duck(tmp_path / "x.duckdb", memory_limit="200MB", threads=1))
    assert result.status == "ok", result.error


def test_a_file_that_is_something_else(engine: sa.Engine, writer: Writer, tmp_path: Path) -> None:
    file = tmp_path / "x.duckdb"
    file.write_bytes(b"something else" * 1000)
    result = delivery.deliver_to_one(engine, duck(file))
    assert f"{file} cannot be opened" in str(result.error)
    assert file.read_bytes() == b"something else" * 1000


@pytest.mark.slow
def test_a_file_does_not_become_twice_as_large(engine: sa.Engine, tmp_path: Path) -> None:
    """What a delivery writes anew lies beside what it replaces: with DuckDB's own large blocks a file was 1.9
    times as large as one that was filled at once."""
    writer = Lifelike(engine, add_source(engine, "a"))
    writer.step(new=10_000, changes=0)
    often, once = tmp_path / "often.duckdb", tmp_path / "once.duckdb"
    sizes = []
    for _ in range(10):
        assert delivery.deliver_to_one(engine, duck(often)).status == "ok"
        sizes.append(often.stat().st_size)
        writer.step(new=5, changes=3)
    assert delivery.deliver_to_one(engine, duck(once)).status == "ok"
    assert max(sizes) <= 1.35 * once.stat().st_size, sizes
