"""A DuckDB file: one transaction holds the rows of all tables and the marks that they justify.

Written directly, because dlt's loads commit table by table and merge through a copy of each table. Files that
dlt has filled before are gone on with: tables, columns and marks are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from etl.config import Destination
from etl.errors import ConfigError
from etl.feed.marks import Mark
from etl.feed.sink import Part, required_url
from etl.feed.tables import KEYS, STATE

_MARKS = "bifrost_etl_marks"
_MARK_COLUMNS = (
    "table_name VARCHAR NOT NULL, source_id BIGINT NOT NULL, delivered_key BIGINT, proof VARCHAR,"
    " delivered_at TIMESTAMP WITH TIME ZONE"
)
#: What DuckDB would take otherwise: most of the machine's memory.
_DEFAULTS = {"memory_limit": "512MB", "preserve_insertion_order": "false"}
_PREFIX = "duckdb:///"


def open_sink(destination: Destination) -> DuckDb:
    """`url`: duckdb:////srv/warehouse.duckdb, or duckdb:///FILE in the current folder.

    `options`: dataset (the schema, default bifrost); the rest are DuckDB's settings, such as memory_limit.
    """
    url = required_url(destination)
    if not url.startswith(_PREFIX):
        raise ConfigError(
            f"feed destination {destination.name!r} needs a url like {_PREFIX}/srv/warehouse.duckdb"
        )
    path = Path(url.removeprefix(_PREFIX).partition("?")[0]).expanduser()
    options = dict(destination.options)
    dataset = str(options.pop("dataset", "bifrost"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return DuckDb(duckdb.connect(str(path), config={**_DEFAULTS, **options}), dataset)


class DuckDb:
    """A schema of an open file. The file is ours alone until it is closed."""

    keeps_state = True

    def __init__(self, connection: duckdb.DuckDBPyConnection, dataset: str) -> None:
        self._connection, self._schema = connection, _quoted(dataset)
        self._small: dict[str, pa.Table] = {}  # goes with the next rows

    def marks(self, table: str) -> dict[int, Mark]:
        query = f"SELECT source_id, delivered_key, proof FROM {self._place(_MARKS)} WHERE table_name = ?"  # noqa: S608
        try:
            rows = self._connection.execute(query, [table]).fetchall()
        except duckdb.CatalogException:  # nothing was ever delivered
            return {}
        return {int(source): Mark(int(key), proof) for source, key, proof in rows}

    def deliver(self, parts: Sequence[Part]) -> None:
        with self._connection.cursor() as cursor:
            cursor.begin()
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            for name, rows in self._small.items():
                self._make(cursor, name, rows.schema)
                cursor.execute(f"DELETE FROM {self._place(name)}")  # noqa: S608
                self._append(cursor, name, rows)
            for part in parts:
                self._make(cursor, part.table, part.rows.schema)
                if part.table == STATE:
                    self._forget(cursor, part)
                self._append(cursor, part.table, part.rows)
            self._mark(cursor, parts)
            cursor.commit()
        self._small = {}

    def replace(self, table: str, rows: pa.Table) -> None:
        self._small[table] = rows

    def close(self) -> None:
        self._connection.close()

    def _place(self, table: str) -> str:
        return f"{self._schema}.{_quoted(table)}"

    def _make(self, cursor: Any, table: str, fields: pa.Schema) -> None:
        """The table, with a column for every field."""
        cursor.register("new_rows", fields.empty_table())
        place = self._place(table)
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {place} AS FROM new_rows")
        kinds = dict(cursor.execute("SELECT column_name, column_type FROM (DESCRIBE new_rows)").fetchall())
        for name, kind in kinds.items():
            cursor.execute(f"ALTER TABLE {place} ADD COLUMN IF NOT EXISTS {_quoted(name)} {kind}")
        cursor.unregister("new_rows")

    def _append(self, cursor: Any, table: str, rows: pa.Table) -> None:
        cursor.register("new_rows", rows)
        cursor.execute(f"INSERT INTO {self._place(table)} BY NAME FROM new_rows")
        cursor.unregister("new_rows")

    def _forget(self, cursor: Any, part: Part) -> None:
        """Take away the older state of these jobs."""
        cursor.register("new_rows", part.rows)
        same = " AND ".join(f"held.{name} = new_rows.{name}" for name in KEYS[part.table])
        cursor.execute(f"DELETE FROM {self._place(part.table)} held USING new_rows WHERE {same}")  # noqa: S608
        cursor.unregister("new_rows")

    def _mark(self, cursor: Any, parts: Sequence[Part]) -> None:
        place = self._place(_MARKS)
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {place} ({_MARK_COLUMNS})")
        for part in parts:
            cursor.execute(f"DELETE FROM {place} WHERE table_name = ?", [part.table])  # noqa: S608
            rows = [[part.table, source, mark.key, mark.proof] for source, mark in part.marks.items()]
            cursor.executemany(f"INSERT INTO {place} VALUES (?, ?, ?, ?, now())", rows)  # noqa: S608


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
