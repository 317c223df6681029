"""A long feeding with everything that goes wrong on the way, and then every reader says the same.

What must be there is computed from the database file by sqlite3 and plain Python, with nothing of the feed;
what is there is read by pyarrow, DuckDB, Polars, deltalake and pyiceberg.
"""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog

from etl.config import Destination, SecretUrl
from etl.db.engine import write_transaction
from etl.feed import delivery
from etl.feed.lag import destination_statuses
from etl.feed.tables import STREAMS, VERSIONS
from etl.load.erase import erase_jobs
from etl.load.erase_selection import ErasureSelection
from etl.schema.tables import sources, sync_state
from tests.conftest import require_module
from tests.feed.test_kills import feeder
from tests.feed.test_own_marks import drop
from tests.support.feed_history import START, Writer, add_source
from tests.support.reading_back import destination

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]
Rows = list[dict[str, Any]]
#: Columns that say enough, and whether they are instants.
SAID = {
    "change_seq": False,
    "source_id": False,
    "job_id": False,
    "version": False,
    "op": False,
    "status": False,
    "prompt": False,
    "extra": False,
    "valid_from": True,
    "created_at": True,
}
STATE_SAID = ("source_id", "job_id", "version", "status", "prompt", "extra", "created_at")


def feed(engine: sa.Engine, target: Destination, **options: Any) -> delivery.FeedResult:
    return delivery.deliver_to_one(engine, target, **options)


def wanted(file: Path) -> tuple[Rows, Rows]:
    """History, and the state that follows from it: of each job the change with the largest number."""
    with closing(sqlite3.connect(file)) as conn:
        found = conn.execute(
            f"SELECT {', '.join(SAID)} FROM video_job_versions ORDER BY change_seq"
        ).fetchall()
    history = [dict(zip(SAID, row, strict=True)) for row in found]
    for row in history:
        for name, is_instant in SAID.items():
            if is_instant and row[name] is not None:
                row[name] = datetime.fromisoformat(row[name]).replace(tzinfo=UTC)
    newest = {(row["source_id"], row["job_id"]): row for row in history}
    state = [{name: row[name] for name in STATE_SAID} for row in newest.values()]
    return history, sorted(state, key=itemgetter("source_id", "job_id"))


def readings(kind: str, folder: Path) -> Iterator[tuple[str, Callable[[str], pa.Table]]]:
    """Each reader by its name: a table by the name of it."""
    polars = require_module("polars")
    if kind == "filesystem":
        root = folder / "filesystem"
        yield "pyarrow", lambda table: pq.read_table(root / table)
        yield "polars", lambda table: polars.scan_parquet(f"{root}/{table}/*.parquet").collect().to_arrow()
        yield (
            "duckdb",
            lambda table: duckdb.sql(f"FROM read_parquet('{root}/{table}/*.parquet')").to_arrow_table(),
        )
    elif kind == "delta":
        yield "deltalake", lambda table: pa.table(DeltaTable(f"{folder}/delta/{table}").to_pyarrow_table())
        yield "polars", lambda table: polars.scan_delta(f"{folder}/delta/{table}").collect().to_arrow()
    elif kind == "iceberg":
        catalog = load_catalog("bifrost", type="sql", uri=f"sqlite:///{folder}/iceberg/catalog.db")
        yield "pyiceberg", lambda table: catalog.load_table(f"bifrost.{table}").scan().to_arrow()
        scan = polars.scan_iceberg
        yield "polars", lambda table: scan(catalog.load_table(f"bifrost.{table}")).collect().to_arrow()
        catalog.close()
    else:
        with closing(duckdb.connect(f"{folder}/warehouse.duckdb", read_only=True)) as conn:
            yield "duckdb", lambda table: conn.sql(f"FROM bifrost.{table}").to_arrow_table()


def said(table: pa.Table, names: tuple[str, ...], by: tuple[str, ...]) -> Rows:
    rows = table.select(list(names)).to_pylist()
    for row in rows:
        for name, value in row.items():
            if isinstance(value, datetime):
                row[name] = value.astimezone(UTC)
    return sorted(rows, key=itemgetter(*by))


def assert_all_read_the_same(kind: str, folder: Path, file: Path) -> None:
    history, state = wanted(file)
    for reader, read in readings(kind, folder):
        there = said(read("video_job_versions"), tuple(SAID), ("change_seq",))
        assert there == history, reader
        if kind != "filesystem":
            found = said(read("video_jobs"), STATE_SAID, ("source_id", "job_id"))
            assert found == state, reader


def shrunk() -> tuple[Any, ...]:
    """What an older version delivered, which did not know one of the columns."""
    older = sa.MetaData()
    columns = [
        sa.Column(c.name, c.type, comment=c.comment)
        for c in VERSIONS.table.columns
        if c.name != "unlisted_reason"
    ]
    return (replace(VERSIONS, table=sa.Table("video_job_versions", older, *columns)), *STREAMS[1:])


def whole_place(kind: str, folder: Path) -> Path:
    return folder / ("warehouse.duckdb" if kind == "duckdb" else kind)


def copy_place(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True) if not target.is_dir() else None
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)


@pytest.mark.parametrize("kind", ["filesystem", "duckdb", "delta", "iceberg"])
def test_every_reader_says_the_same(
    engine: sa.Engine, engine_url: str, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")  # its own one is another package
    rng, target = random.Random(kind), destination(kind, tmp_path)
    file = Path(str(engine.url.database))
    writers = [Writer(engine, add_source(engine, name), seed) for seed, name in enumerate("abc")]

    def step(new: int = 20, changes: int = 15) -> None:
        for writer in writers:
            writer.step(new=new, changes=changes)

    def fed(place: Destination = target, **options: Any) -> None:
        result = feed(engine, place, **options)
        assert result.status == "ok", (result.error, result.error and result.error.__cause__)

    step(40, 0)
    if kind == "filesystem":  # the others take their state from what the mirror says beside history
        fed(streams=shrunk())
    else:
        fed()
    step()
    fed()
    backup = tmp_path / "backup"
    copy_place(whole_place(kind, tmp_path), backup)

    for _ in range(3):  # kill -9 anywhere
        step()
        done = feeder(engine_url, kind, tmp_path, rng.randint(2_000, 60_000))
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
    fed()
    assert_all_read_the_same(kind, tmp_path, file)

    with write_transaction(engine) as conn:  # one is renamed, one retired, one disabled
        conn.execute(sa.update(sources).where(sources.c.id == 1).values(name="renamed"))
        for source, column in ((2, "retired_at"), (3, "disabled_at")):
            conn.execute(sa.insert(sync_state).values(source_id=source, **{column: START}))
    step()
    spelled = target.url.reveal().replace(str(tmp_path), f"{tmp_path}/x/..") if target.url else ""
    (tmp_path / "x").mkdir()
    fed(Destination(name="another", type=kind, url=SecretUrl(spelled)))  # type: ignore[arg-type]
    assert feed(engine, target).rows == {}
    drop(kind, tmp_path, "video_job_versions")
    step(5, 5)
    fed()
    erase_jobs(engine, ErasureSelection(("video_2_0000003",)), at=START)
    fed()
    assert_all_read_the_same(kind, tmp_path, file)

    copy_place(backup, whole_place(kind, tmp_path))  # the destination is restored: its marks are older
    fed()
    assert_all_read_the_same(kind, tmp_path, file)
    (standing,) = destination_statuses(engine, [target], deep=True)
    assert standing.error is None and not standing.is_wrong, standing

    with closing(sqlite3.connect(file)) as conn:  # the mirror is restored: the destination's marks are newer
        for table in ("video_job_versions", "sync_runs", "list_pages", "cache_lookups"):
            key = "change_seq" if table == "video_job_versions" else "id"
            conn.execute(f"DELETE FROM {table} WHERE {key} > (SELECT max({key}) - 5 FROM {table})")
        conn.commit()
    refused = feed(engine, target)
    assert refused.status == "failed" and "restored from a backup" in str(refused.error)
    (standing,) = destination_statuses(engine, [target])
    assert standing.is_wrong
