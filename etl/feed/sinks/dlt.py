"""SQL warehouses through dlt: DuckDB, PostgreSQL, and by name whatever else dlt loads into.

dlt remembers what it was doing on the machine that runs it, and one of its loads commits table by table. So
the marks are ours, in the destination's table `bifrost_etl_marks`, written by a second load after the rows.
Rows are merged by key: what a crash left without its mark is delivered again, to the same effect.
"""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pyarrow as pa

from etl.config import Destination
from etl.errors import ConfigError
from etl.feed.sinks.base import OnlyRows, Part, comment_statements, required_url
from etl.feed.tables import KEYS
from etl.feed.watermarks import Mark

# dlt reports its use to its makers unless told otherwise; it asks when it is imported.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation

_MARKS = "bifrost_etl_marks"
_MARKS_KEY = ("table_name", "source_id")
#: Values of one question: every database takes so many.
_TEXTS = 1_000
#: What dlt writes for a database with several ways in. Its CSV would turn empty texts into nulls.
_FORMATS = {"postgres": "parquet"}


def open_sink(destination: Destination) -> Warehouse:
    """`options`: dataset (default bifrost); for type dlt also destination (dlt's name) and credentials; the
    rest goes to dlt's destination as it is."""
    options = dict(destination.options)
    dataset = str(options.pop("dataset", "bifrost"))
    kind = destination.type
    if kind == "dlt":
        kind = options.pop("destination", None)
        if not isinstance(kind, str):
            raise ConfigError(
                f"feed destination {destination.name!r} of type dlt needs options: destination: NAME",
                hint="for example snowflake, bigquery, redshift, databricks, clickhouse or motherduck",
            )
    else:
        required_url(destination)
    if destination.url is not None:
        url = destination.url.reveal()
        options["credentials"] = _postgres_credentials(url) if kind == "postgres" else url
    options.setdefault("replace_strategy", "insert-from-staging")  # readers never see a small table empty
    return Warehouse(_make_destination(destination.name, kind, options), dataset, _FORMATS.get(kind))


def _postgres_credentials(url: str) -> Any:
    """As libpq takes a URL: what it leaves out comes from PGHOST and the like, .pgpass, or a socket's peer.

    dlt wants every part; an empty password is none to libpq.
    """
    from dlt.destinations.impl.postgres.configuration import PostgresCredentials

    made = PostgresCredentials()
    made.parse_native_representation(url)
    query = dict(made.query or {})
    made.port = int(str(query.pop("port", "") or urlsplit(url).port or os.environ.get("PGPORT", 5432)))
    host = query.pop("host", None) or made.host or os.environ.get("PGHOST") or _socket_folder(made.port)
    made.host = quote(unquote(host), safe="")
    made.username = made.username or os.environ.get("PGUSER") or getpass.getuser()
    made.database = made.database or os.environ.get("PGDATABASE") or made.username
    made.password = made.password or ""
    made.query = query
    return made


def _socket_folder(port: int) -> str:
    """Where a server of this machine listens, as Debian's and PostgreSQL's own builds have it."""
    folders = ("/var/run/postgresql", "/tmp")  # noqa: S108
    return next((f for f in folders if Path(f, f".s.PGSQL.{port}").exists()), "localhost")


def _make_destination(name: str, kind: str, options: dict[str, Any]) -> Any:
    try:
        return dlt.destination(kind, **options)
    except Exception as exc:
        raise ConfigError(f"dlt cannot open feed destination {name!r}: {type(exc).__name__}") from exc


class Warehouse:
    """A dataset (a schema of tables) of a dlt destination."""

    keeps_state = True

    def __init__(self, factory: Any, dataset: str, file_format: Any) -> None:
        self._format = file_format
        self._folder = tempfile.mkdtemp(prefix="bifrost-etl-feed-")
        self._pipeline = dlt.pipeline(
            pipeline_name="bifrost_etl",
            destination=factory,
            dataset_name=dataset,
            pipelines_dir=self._folder,
        )
        self._found: dict[str, dict[int, Mark]] | None = None
        self._indexed: set[str] = set()
        self._described: set[str] = set()
        self._dropped: set[str] = set()  # somebody dropped these: dlt believes that they are there

    def marks(self, table: str) -> dict[int, Mark]:
        if self._found is None:
            self._pipeline.sync_destination()
            self._found = self._read_marks()
        found = self._found.get(table, {})
        if any(mark.key for mark in found.values()):
            self._described.add(table)
        if any(mark.key for mark in found.values()) and not self._is_there(table):
            self._dropped.add(table)
            return {}
        return found

    def deliver(self, parts: Sequence[Part]) -> None:
        self._make_dropped()
        if filled := [_make_resource(part) for part in parts if part.rows.num_rows]:
            self._load_resources(filled)
        for part in parts:
            if not part.rows.num_rows:
                self._empty_table(part.table)
        self._load_resources([_merge_resource(_MARKS, _mark_rows(parts), _MARKS_KEY)])
        for part in parts:
            if not part.whole:
                self._index_table(part.table)
            if part.rows.num_rows:
                self._describe_columns(part)

    def read(self, table: str, columns: Sequence[str], only: OnlyRows | None = None) -> Iterator[pa.Table]:
        if not self._is_there(table):
            return
        with self._pipeline.sql_client() as client:
            chosen = ", ".join(client.escape_column_name(name) for name in columns)
            query = f"SELECT {chosen} FROM {client.make_qualified_table_name(table)}"  # noqa: S608
            for where, texts in _conditions(client, only):
                with client.execute_query(query + where, *texts) as cursor:
                    yield from (batch for batch in cursor.iter_arrow(50_000) if batch is not None)

    def columns(self, table: str) -> list[str]:
        if not self._is_there(table):
            return []
        with self._pipeline.sql_client() as client:
            query = f"SELECT * FROM {client.make_qualified_table_name(table)} WHERE 1 = 0"  # noqa: S608
            with client.execute_query(query) as cursor:
                return [column[0] for column in cursor.description]

    def replace(self, table: str, rows: pa.Table) -> None:
        self._load_resources([_merge_resource(table, rows, KEYS[table])])

    def missing_files(self) -> list[str]:
        return []

    def upkeep(self) -> None:
        """Nothing piles up."""

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _load_resources(self, resources: Sequence[Any]) -> None:
        self._pipeline.run(resources, loader_file_format=self._format).raise_on_failed_jobs()

    def _read_marks(self) -> dict[str, dict[int, Mark]]:
        if self._pipeline.default_schema_name is None:  # nothing was ever loaded
            return {}
        with self._pipeline.sql_client() as client:
            columns = ("table_name", "source_id", "delivered_key", "proof")
            chosen = ", ".join(client.escape_column_name(name) for name in columns)
            try:
                rows = client.execute_sql(f"SELECT {chosen} FROM {client.make_qualified_table_name(_MARKS)}")  # noqa: S608
            except DatabaseUndefinedRelation:  # not made yet, or dropped: then all is delivered, and merged
                self._dropped.add(_MARKS)
                return {}
        found: dict[str, dict[int, Mark]] = {}
        for table, source, key, digest in rows or []:
            found.setdefault(table, {})[int(source)] = Mark(int(key), digest)
        return found

    def _empty_table(self, table: str) -> None:
        """By hand: dlt's way through ADBC fails for no rows. A table that never had any is not made."""
        if self._is_there(table):
            with self._pipeline.sql_client() as client:
                client.execute_sql(f"DELETE FROM {client.make_qualified_table_name(table)}")  # noqa: S608

    def _make_dropped(self) -> None:
        """Tables that somebody dropped, empty again. Their marks go first, for a crash between."""
        if not self._dropped:
            return
        with self._pipeline.sql_client() as client:
            marks, name = client.make_qualified_table_name(_MARKS), client.escape_column_name("table_name")
            for table in self._dropped if _MARKS not in self._dropped else ():
                client.execute_sql(f"DELETE FROM {marks} WHERE {name} = %s", table)  # noqa: S608
        with self._pipeline.destination_client() as tables:
            tables.update_stored_schema(force=True)
        self._dropped = set()

    def _is_there(self, table: str) -> bool:
        if self._pipeline.default_schema_name is None:  # nothing was ever loaded
            return False
        with self._pipeline.sql_client() as client:
            try:
                client.execute_sql(f"SELECT 1 FROM {client.make_qualified_table_name(table)} WHERE 1 = 0")  # noqa: S608
            except DatabaseUndefinedRelation:
                return False
        return True

    def _index_table(self, table: str) -> None:
        """PostgreSQL would read the whole table to find the rows that a merge replaces."""
        if self._format is None or table in self._indexed:
            return
        self._indexed.add(table)
        with self._pipeline.sql_client() as client:
            key = ", ".join(client.escape_column_name(name) for name in KEYS[table])
            place = client.make_qualified_table_name(table)
            client.execute_sql(f"CREATE UNIQUE INDEX IF NOT EXISTS {table}_key ON {place} ({key})")

    def _describe_columns(self, part: Part) -> None:
        """PostgreSQL's tables get our comments when they are made."""
        if self._format is None or part.table in self._described:
            return
        self._described.add(part.table)
        with self._pipeline.sql_client() as client:
            place = client.make_qualified_table_name(part.table)
            for statement in comment_statements(place, part.rows.schema, client.escape_column_name):
                client.execute_sql(statement)


def _conditions(client: Any, only: OnlyRows | None) -> Iterator[tuple[str, list[str]]]:
    """WHERE clauses and their values."""
    if only is None:
        yield "", []
        return
    for start in range(0, len(only.texts), _TEXTS):
        texts = only.texts[start : start + _TEXTS]
        holders = ", ".join(["%s"] * len(texts))
        yield f" WHERE {client.escape_column_name(only.column)} IN ({holders})", texts


def _make_resource(part: Part) -> Any:
    if part.whole:
        return dlt.resource([part.rows], name=part.table, write_disposition="replace")
    return _merge_resource(part.table, part.rows, KEYS[part.table])


def _merge_resource(table: str, rows: pa.Table, key: Sequence[str]) -> Any:
    disposition: Any = {"disposition": "merge", "strategy": "delete-insert"}
    return dlt.resource(
        [_with_key(rows, key)], name=table, primary_key=list(key), write_disposition=disposition
    )


def _with_key(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The same rows, saying that their key is never null."""
    fields = [field.with_nullable(field.name not in key) for field in rows.schema]
    return rows.cast(pa.schema(fields))


def _mark_rows(parts: Sequence[Part]) -> pa.Table:
    at = datetime.now(UTC)
    rows = [
        {"table_name": p.table, "source_id": s, "delivered_key": m.key, "proof": m.proof, "delivered_at": at}
        for p in parts
        for s, m in p.marks.items()
    ]
    return pa.Table.from_pylist(rows)
