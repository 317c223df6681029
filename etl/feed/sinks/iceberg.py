"""Iceberg tables in a catalog: one commit holds the rows and, as a table property, the marks they justify.

Without a `catalog` among the options, a SQLite catalog stands beside the data (local folders only).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg import expressions
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError
from pyiceberg.table import Table, Transaction

from etl.config import Destination
from etl.errors import ConfigError
from etl.feed import watermarks
from etl.feed.sinks.base import OnlyRows, Part, Written, local_folder, required_url
from etl.feed.sinks.iceberg_changes import Changes
from etl.feed.sinks.iceberg_upkeep import bytes_held, is_outdated, keep_up, table_properties
from etl.feed.tables import DAYS, KEYS, REPLACED
from etl.feed.watermarks import Mark

_MARKS = "bifrost-etl.marks"
_where: Any = expressions  # its type hints do not know its own short forms


def open_sink(destination: Destination) -> IcebergTables:
    """`url`: the warehouse's folder; `options`: dataset (the namespace, default bifrost), catalog (properties
    for pyiceberg's load_catalog, for example type and uri), and storage options such as s3.endpoint."""
    options = dict(destination.options)
    namespace = str(options.pop("dataset", "bifrost"))
    root = required_url(destination).rstrip("/")
    properties = options.pop("catalog", None)
    if properties is None:
        properties = _table_properties(destination.name, root)
    catalog = load_catalog("bifrost", **{"warehouse": root, **options, **properties})
    return IcebergTables(catalog, namespace, timedelta(seconds=destination.keep_replaced))


def _table_properties(name: str, root: str) -> dict[str, str]:
    parts = urlsplit(root)
    if parts.scheme not in ("", "file"):
        raise ConfigError(
            f"feed destination {name!r} needs options: catalog, because it is not a local folder",
            hint="for example catalog: {type: sql, uri: postgresql+psycopg://…}",
        )
    folder = Path(parts.path).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}"}


class IcebergTables:
    """A namespace with one Iceberg table each."""

    keeps_state = True

    def __init__(self, catalog: Catalog, namespace: str, keep: timedelta) -> None:
        self._catalog, self._namespace, self._keep = catalog, namespace, keep
        self._written = Written()
        self._touched: set[str] = set()
        self._asked: dict[str, Table] = {}

    def marks(self, table: str) -> dict[int, Mark]:
        try:
            found = self._catalog.load_table(f"{self._namespace}.{table}")
        except NoSuchTableError:
            return self._written.note(table, {})
        self._asked[table] = found
        return self._written.note(table, watermarks.decode_marks(found.properties.get(_MARKS)))

    def deliver(self, parts: Sequence[Part]) -> None:
        for part in parts:
            found = self._ensure_table(part.table, part.rows.schema)
            self._written.check(part.table, watermarks.decode_marks(found.properties.get(_MARKS)))
            with Changes(found) as changes:
                new = changes.table_metadata.current_snapshot() is None
                held = part.rows.nbytes if new else bytes_held(found)
                changes.set_properties(table_properties(part.table, held))
                if part.table in REPLACED and not new:
                    _delete_known(changes, part)
                if part.whole and not new:
                    with _nothing_to_delete():
                        changes.overwrite(part.rows)
                else:
                    changes.append(part.rows)
                changes.set_properties({_MARKS: watermarks.encode_marks(part.marks)})
            self._written.note(part.table, part.marks)
            self._touched.add(part.table)

    def read(self, table: str, columns: Sequence[str], only: OnlyRows | None = None) -> Iterator[pa.Table]:
        try:
            found = self._catalog.load_table(f"{self._namespace}.{table}")
        except NoSuchTableError:
            return
        wanted = _where.In(only.column, only.texts) if only is not None else _where.AlwaysTrue()
        for batch in found.scan(wanted, selected_fields=tuple(columns)).to_arrow_batch_reader():
            yield pa.Table.from_batches([batch])

    def columns(self, table: str) -> list[str]:
        try:
            found = self._catalog.load_table(f"{self._namespace}.{table}")
        except NoSuchTableError:
            return []
        return [field.name for field in found.schema().fields]

    def replace(self, table: str, rows: pa.Table) -> None:
        found = self._ensure_table(table, rows.schema)
        with Changes(found) as changes:
            _delete_rows(changes, table, rows)
            changes.append(rows)
        self._touched.add(table)

    def missing_files(self) -> list[str]:
        quiet = [found for name, found in self._asked.items() if name not in self._touched]
        # To plan a table's files is to read its manifests, which of an object store would serve nothing.
        tables = [found for found in quiet if local_folder(found.location()) is not None]
        named = (local_folder(task.file.file_path) for found in tables for task in found.scan().plan_files())
        return [str(path) for path in named if path is not None and not path.exists()]

    def upkeep(self) -> None:
        for name, found in self._asked.items():
            if name not in self._touched:
                keep_up(found, self._keep, is_quiet=True)
        for name in sorted(self._touched):
            keep_up(self._catalog.load_table(f"{self._namespace}.{name}"), self._keep)
        self._touched = set()

    def close(self) -> None:
        engine: Any = getattr(self._catalog, "engine", None)
        if engine is not None:  # a SQL catalog's connections
            engine.dispose()

    def _ensure_table(self, name: str, fields: pa.Schema) -> Table:
        """The table, with a column for every field."""
        place = f"{self._namespace}.{name}"
        try:
            found = self._catalog.load_table(place)
        except NoSuchTableError:
            self._make_namespace()
            comment = (fields.metadata or {}).get(b"comment", b"").decode()
            return self._catalog.create_table(
                place, fields, properties={"comment": comment, **table_properties(name)}
            )
        if is_outdated(found):
            with Changes(found) as changes:
                changes.set_properties(table_properties(name))
        if set(fields.names) - {field.name for field in found.schema().fields}:
            with found.update_schema() as update:
                update.union_by_name(fields)
        return found

    def _make_namespace(self) -> None:
        try:
            self._catalog.create_namespace(self._namespace)
        except NamespaceAlreadyExistsError:
            return


def _delete_known(changes: Transaction, part: Part) -> None:
    """Take away what these rows take the place of. A job in its first version has no older state."""
    rows = part.rows
    known = rows.filter(pc.greater(rows["version"], 1)) if "version" in rows.column_names else rows
    if known.num_rows:
        _delete_rows(changes, part.table, known)


def _delete_rows(changes: Transaction, table: str, known: pa.Table) -> None:
    key = KEYS[table][-1]
    # That instant never changes, and its range tells most files apart from the wanted ones.
    seen = pc.min_max(known[DAYS[table]]).as_py()
    since = _where.GreaterThanOrEqual(DAYS[table], seen["min"].isoformat())
    until = _where.LessThanOrEqual(DAYS[table], seen["max"].isoformat())
    for source in pc.unique(known["source_id"]).to_pylist():
        those = known.filter(pc.equal(known["source_id"], source))[key].to_pylist()
        older = _where.And(_where.EqualTo("source_id", source), _where.In(key, those), since, until)
        with _nothing_to_delete():  # several versions of a new job
            changes.delete(older)


@contextmanager
def _nothing_to_delete() -> Iterator[None]:
    """Where that is as good, pyiceberg need not warn of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Delete operation did not match")
        yield
