"""A DuckDB file: one transaction holds the rows of all tables and the marks that they justify.

Written directly, because dlt's loads commit table by table and merge through a copy of each table. Files that
dlt has filled before are gone on with: tables, columns and marks are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from etl.config import Destination
from etl.errors import ConfigError, EtlError
from etl.feed.sinks.base import OnlyRows, Part, Written, comment_statements, required_url
from etl.feed.tables import KEYS
from etl.feed.watermarks import Mark

_MARKS = "bifrost_etl_marks"
_MARK_COLUMNS = (
    "table_name VARCHAR NOT NULL, source_id BIGINT NOT NULL, delivered_key BIGINT, proof VARCHAR,"
    " delivered_at TIMESTAMP WITH TIME ZONE"
)
_MARK_NAMES = ("table_name", "source_id", "delivered_key", "proof", "delivered_at")
#: DuckDB would take most of the machine's memory; and in a new file blocks four times as large: a delivery
#: writes those that it changes anew, so such a file becomes twice as large as what it holds.
_DEFAULTS = {"memory_limit": "256MB", "preserve_insertion_order": "false", "default_block_size": "65536"}
_PREFIX = "duckdb:///"
_ROWS = 50_000  # read at once
_HOLDER = re.compile(r"lock is held in (.*? \(PID \d+\))")


def open_sink(destination: Destination) -> DuckDb:
    """`url`: duckdb:////srv/warehouse.duckdb, or duckdb:///FILE in the current folder.

    `options`: dataset (the schema, default bifrost); the rest are DuckDB's settings, such as memory_limit.
    """
    prefix, _, place = required_url(destination).partition(_PREFIX)
    path = Path(place.partition("?")[0]).expanduser()
    if prefix or path.name in ("", ":memory:") or path.is_dir():
        raise ConfigError(
            f"feed destination {destination.name!r} needs a url that names a file",
            hint=f"for example {_PREFIX}/srv/warehouse.duckdb",
        )
    options = dict(destination.options)
    dataset = str(options.pop("dataset", "bifrost"))
    return DuckDb(destination.name, path, {**_DEFAULTS, **options}, dataset)


class DuckDb:
    """A schema of a file. It is opened for writing with the first rows: until then others may read it."""

    keeps_state = True

    def __init__(self, name: str, path: Path, options: dict[str, Any], dataset: str) -> None:
        self._name, self._path, self._options, self._dataset = name, path, options, dataset
        self._reading: duckdb.DuckDBPyConnection | None = None
        self._writing: duckdb.DuckDBPyConnection | None = None
        self._catalog = self._schema = ""
        self._written = Written()

    def marks(self, table: str) -> dict[int, Mark]:
        connection = self._writing or self._open_reader()
        return self._written.note(table, {} if connection is None else self._read_marks(connection, table))

    def _read_marks(self, connection: duckdb.DuckDBPyConnection, table: str) -> dict[int, Mark]:
        if not (self._is_there(connection, _MARKS) and self._is_there(connection, table)):
            return {}  # never delivered, or dropped since
        query = f"SELECT source_id, delivered_key, proof FROM {self._place(_MARKS)} WHERE table_name = ?"  # noqa: S608
        rows = connection.execute(query, [table]).fetchall()
        return {int(source): Mark(int(key), proof) for source, key, proof in rows}

    def _is_there(self, connection: duckdb.DuckDBPyConnection, table: str) -> bool:
        query = (
            "SELECT count(*) FROM duckdb_tables() WHERE (database_name, schema_name, table_name) = (?, ?, ?)"
        )
        found = connection.execute(query, [self._catalog, self._dataset, table]).fetchone()
        return found is not None and found[0] > 0

    def deliver(self, parts: Sequence[Part]) -> None:
        with self._open_writer().cursor() as cursor:
            cursor.begin()
            for part in parts:
                self._written.check(part.table, self._read_marks(cursor, part.table))
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            for part in parts:
                self._make_table(cursor, part.table, part.rows.schema)
                if part.whole:
                    cursor.execute(f"DELETE FROM {self._place(part.table)}")  # noqa: S608
                elif part.table in KEYS:  # every table: somebody may have dropped the marks, and not the rows
                    self._forget_older(cursor, part.table, part.rows)
                self._append_rows(cursor, part.table, part.rows)
            self._write_marks(cursor, parts)
            cursor.commit()
        for part in parts:
            self._written.note(part.table, part.marks)

    def read(self, table: str, columns: Sequence[str], only: OnlyRows | None = None) -> Iterator[pa.Table]:
        connection = self._writing or self._open_reader()
        if connection is None or not self._is_there(connection, table):
            return
        chosen = ", ".join(map(_quote_name, columns))
        with connection.cursor() as cursor:
            query = f"SELECT {chosen} FROM {self._place(table)}"  # noqa: S608
            if only is not None:
                query += f" WHERE {_quote_name(only.column)} IN (SELECT unnest(?))"
            found = cursor.sql(query, params=[only.texts] if only is not None else None)
            for batch in found.to_arrow_reader(_ROWS):
                yield pa.Table.from_batches([batch])

    def columns(self, table: str) -> list[str]:
        connection = self._writing or self._open_reader()
        if connection is None or not self._is_there(connection, table):
            return []
        rows = connection.execute(f"SELECT column_name FROM (DESCRIBE {self._place(table)})").fetchall()  # noqa: S608
        return [str(name) for (name,) in rows]

    def replace(self, table: str, rows: pa.Table) -> None:
        with self._open_writer().cursor() as cursor:
            cursor.begin()
            self._make_table(cursor, table, rows.schema)
            self._forget_older(cursor, table, rows)
            self._append_rows(cursor, table, rows)
            cursor.commit()

    def missing_files(self) -> list[str]:
        return []

    def upkeep(self) -> None:
        """Nothing piles up."""

    def close(self) -> None:
        for connection in (self._reading, self._writing):
            if connection is not None:
                connection.close()

    def _open_reader(self) -> duckdb.DuckDBPyConnection | None:
        if self._reading is None and self._path.exists():
            self._reading = self._open_file(read_only=True)
        return self._reading

    def _open_writer(self) -> duckdb.DuckDBPyConnection:
        if self._writing is None:
            if self._reading is not None:
                self._reading.close()
                self._reading = None
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writing = self._open_file(read_only=False)
        return self._writing

    def _open_file(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Its errors say which file, and who has it."""
        try:
            opened = duckdb.connect(str(self._path), read_only=read_only, config=self._options)
        except (duckdb.IOException, duckdb.ConnectionException) as exc:
            raise self._not_opened(exc) from exc
        except duckdb.Error as exc:
            raise ConfigError(
                f"feed destination {self._name!r}: DuckDB refuses its options",
                hint="options: dataset, and DuckDB's own settings, such as memory_limit",
            ) from exc
        # With the file's own name: a file bifrost.duckdb has a schema of the name that it has itself.
        (self._catalog,) = opened.execute("SELECT current_database()").fetchall()[0]
        self._schema = f"{_quote_name(self._catalog)}.{_quote_name(self._dataset)}"
        return opened

    def _not_opened(self, exc: duckdb.Error) -> EtlError:
        holder = _HOLDER.search(str(exc))
        if holder is None:
            return EtlError(f"feed destination {self._name!r}: {self._path} cannot be opened")
        return EtlError(
            f"feed destination {self._name!r}: {self._path} is open in another process, {holder[1]}",
            hint="DuckDB lets one process write only while no other has the file open, not even to read: "
            "close it there and deliver again, or let others read a copy",
        )

    def _place(self, table: str) -> str:
        return f"{self._schema}.{_quote_name(table)}"

    def _make_table(self, cursor: Any, table: str, fields: pa.Schema) -> None:
        """The table, with a column for every field."""
        cursor.register("new_rows", fields.empty_table())
        place, is_new = self._place(table), not self._is_there(cursor, table)
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {place} AS FROM new_rows")
        kinds = dict(cursor.execute("SELECT column_name, column_type FROM (DESCRIBE new_rows)").fetchall())
        for name, kind in kinds.items():
            cursor.execute(f"ALTER TABLE {place} ADD COLUMN IF NOT EXISTS {_quote_name(name)} {kind}")
        cursor.unregister("new_rows")
        for statement in comment_statements(place, fields, _quote_name) if is_new else ():
            cursor.execute(statement)

    def _append_rows(self, cursor: Any, table: str, rows: pa.Table) -> None:
        cursor.register("new_rows", rows)
        cursor.execute(f"INSERT INTO {self._place(table)} BY NAME FROM new_rows")
        cursor.unregister("new_rows")

    def _forget_older(self, cursor: Any, table: str, rows: pa.Table) -> None:
        """Take away what these rows take the place of."""
        cursor.register("new_rows", rows)
        same = " AND ".join(f"held.{name} = new_rows.{name}" for name in KEYS[table])
        cursor.execute(f"DELETE FROM {self._place(table)} held USING new_rows WHERE {same}")  # noqa: S608
        cursor.unregister("new_rows")

    def _write_marks(self, cursor: Any, parts: Sequence[Part]) -> None:
        place = self._place(_MARKS)
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {place} ({_MARK_COLUMNS})")
        for part in parts:
            cursor.execute(f"DELETE FROM {place} WHERE table_name = ?", [part.table])  # noqa: S608
        at = datetime.now(UTC)
        rows = [(p.table, s, m.key, m.proof, at) for p in parts for s, m in p.marks.items()]
        columns = dict(zip(_MARK_NAMES, map(list, zip(*rows, strict=True)), strict=True))
        self._append_rows(cursor, _MARKS, pa.table(columns))


def _quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
