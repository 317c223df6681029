"""What a destination holds, read by a reader that is not ours: rows as dictionaries, sorted by key."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.config import Destination, SecretUrl
from etl.feed.tables import KEYS, SMALL, STATE_COLUMNS
from tests.support.feed_history import stored

Rows = list[dict[str, Any]]
_VERSIONS = "video_job_versions"
_TOLD_ANEW = {"job_requests": "request_seq", "job_details": "detail_seq"}


def destination(kind: str, folder: Path, **options: Any) -> Destination:
    """Where tests put a destination of this kind."""
    url = f"duckdb:///{folder}/warehouse.duckdb" if kind == "duckdb" else f"file://{folder}/{kind}"
    return Destination(name="target", type=kind, url=SecretUrl(url), options=options)  # type: ignore[arg-type]


def held(kind: str, folder: Path, table: str) -> Rows:
    rows = _READERS[kind](folder, table)
    if kind == "filesystem":
        rows = newest_rows(table, rows)
    return sorted(plain(rows), key=lambda row: [row[name] for name in KEYS.get(table, ("id",))])


def newest_rows(table: str, rows: Rows) -> Rows:
    """Parquet files keep what a row of these tables was before."""
    if table not in _TOLD_ANEW:
        return rows
    ordered = sorted(rows, key=itemgetter(_TOLD_ANEW[table]))
    return list({tuple(row[name] for name in KEYS[table]): row for row in ordered}.values())


def assert_equal(engine: sa.Engine, kind: str, folder: Path) -> None:
    """Every table of the destination holds what the database holds, each row once."""
    for table in (*KEYS, *(small.name for small in SMALL)):
        wanted = expected(engine, table)
        if wanted and (kind, table) != ("filesystem", "video_jobs"):  # a table comes with its first row
            assert held(kind, folder, table) == wanted, table


def expected(engine: sa.Engine, table: str) -> Rows:
    if table != "video_jobs":
        return stored(engine, table)
    # A change of progress alone makes no version, and does not travel.
    newest = {(row["source_id"], row["job_id"], row["version"]): row for row in stored(engine, _VERSIONS)}
    rows = stored(engine, table, STATE_COLUMNS)
    for row in rows:
        row["progress"] = newest[row["source_id"], row["job_id"], row["version"]]["progress"]
    return rows


def plain(rows: Rows) -> Rows:
    return [{k: v.astimezone(UTC) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]


def _parquet(folder: Path, table: str) -> Rows:
    import duckdb

    place = folder / "filesystem" / table
    query = f"SELECT * FROM read_parquet('{place}/*.parquet', union_by_name = true)"
    relation = duckdb.sql(query)
    assert relation is not None
    rows: Rows = relation.to_arrow_table().to_pylist()
    return rows


def _duckdb(folder: Path, table: str) -> Rows:
    import duckdb

    with closing(duckdb.connect(f"{folder}/warehouse.duckdb")) as conn:
        rows: Rows = conn.sql(f"SELECT * FROM bifrost.{table}").to_arrow_table().to_pylist()
        return rows


def _delta(folder: Path, table: str) -> Rows:
    import pyarrow as pa
    from deltalake import DeltaTable

    rows: Rows = pa.table(DeltaTable(str(folder / "delta" / table)).to_pyarrow_table()).to_pylist()
    return rows


def _iceberg(folder: Path, table: str) -> Rows:
    from pyiceberg.table import StaticTable

    newest = max((folder / "iceberg" / "bifrost" / table / "metadata").glob("*.metadata.json"))
    rows: Rows = StaticTable.from_metadata(str(newest)).scan().to_arrow().to_pylist()
    return rows


_READERS = {"filesystem": _parquet, "duckdb": _duckdb, "delta": _delta, "iceberg": _iceberg}
