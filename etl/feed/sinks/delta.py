"""Delta tables, local or in an object store: one commit holds the rows and the marks that they justify.

The marks are Delta's own application transactions, which the format keeps for exactly this purpose: per
source, one whose version is the last delivered key and one whose version is the digest that proves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError

from etl.config import Destination
from etl.feed.sinks.base import OnlyRows, Part, Written, local_folder, required_url
from etl.feed.sinks.delta_upkeep import (
    is_due,
    is_quiet,
    keep_up,
    note_change,
    note_versions,
    noted_version,
    only_next,
    properties,
    target_size,
    written_as,
)
from etl.feed.tables import DAYS, KEYS, REPLACED
from etl.feed.watermarks import WHOLE, Mark

#: How much smaller rows are in a file than in memory, at least.
_SHRINKS = 4
#: So many rows are replaced by naming their keys, in a third of the time that a merge takes; deltalake would
#: take a long list of them apart for seconds, or crash.
_FEW = 100
#: What deltalake reads, and pyarrow cannot compute with.
_PLAIN = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def open_sink(destination: Destination) -> DeltaTables:
    """`url`: a folder (a path, file:///…, s3://…); `options` are deltalake's storage options."""
    options = {name: str(value) for name, value in destination.options.items()}
    return DeltaTables(required_url(destination).rstrip("/"), options, destination.keep_replaced)


class DeltaTables:
    """A folder with one Delta table each."""

    keeps_state = True

    def __init__(self, root: str, options: dict[str, str], keep: float) -> None:
        self._root, self._options, self._keep = root, options, keep
        self._written = Written()
        self._due: set[str] = set()
        self._delivered: set[str] = set()
        self._asked: dict[str, DeltaTable] = {}

    def marks(self, table: str) -> dict[int, Mark]:
        found = self._open_table(table)
        if found is not None:
            self._asked[table] = found
        return self._written.note(table, {} if found is None else _read_marks(found))

    def deliver(self, parts: Sequence[Part]) -> None:
        for part in parts:
            found = self._open_table(part.table)
            before = {} if found is None else _read_marks(found)
            self._written.check(part.table, before)
            commit = self._commit_properties(part, found, before)
            if part.table in REPLACED and found is not None and part.rows.num_rows > _FEW:
                _merge_rows(found, part.table, part.rows, commit, insert=True)
            else:
                self._write_part(part, found, commit)
            self._written.note(part.table, part.marks)
            self._delivered.add(part.table)

    def read(self, table: str, columns: Sequence[str], only: OnlyRows | None = None) -> Iterator[pa.Table]:
        found, wanted = self._open_table(table), _predicate(only) if only is not None else None
        for batch in [] if found is None else found.scan(columns=list(columns), predicate=wanted):
            rows = pa.table(batch)
            yield rows.cast(
                pa.schema([(field.name, _PLAIN.get(field.type, field.type)) for field in rows.schema])
            )

    def columns(self, table: str) -> list[str]:
        found = self._open_table(table)
        return [] if found is None else [field.name for field in found.schema().fields]

    def replace(self, table: str, rows: pa.Table) -> None:
        found = self._open_table(table)
        assert found is not None
        _merge_rows(found, table, rows, only_next(note_change()), insert=False)
        self._due.add(table)
        self._delivered.add(table)

    def missing_files(self) -> list[str]:
        if (root := local_folder(self._root)) is None:
            return []
        named = (
            root / name / unquote(path)
            for name, found in self._asked.items()
            if name not in self._delivered
            for path in pa.table(found.get_add_actions())["path"].to_pylist()
        )
        return [str(path) for path in named if not path.exists()]

    def upkeep(self) -> None:
        for name, table in self._asked.items():
            if name not in self._delivered and is_quiet(table, self._keep):
                self._due.add(name)
        for name in sorted(self._due):
            found = self._open_table(name)
            assert found is not None
            keep_up(name, found, self._keep, is_fed=name in self._delivered)
        self._due = set()

    def close(self) -> None:
        """Nothing is held open."""

    def _commit_properties(
        self, part: Part, found: DeltaTable | None, before: dict[int, Mark]
    ) -> CommitProperties:
        changed = {s: mark for s, mark in part.marks.items() if before.get(s) != mark}
        deliveries = 1 + ((noted_version(found, "deliveries") or 0) if found is not None else 0)
        if found is not None and is_due(part.table, found, deliveries):
            self._due.add(part.table)
        noted = [*note_versions(deliveries=deliveries), *note_change()]
        return only_next([*_mark_transactions(changed, max(part.marks)), *noted])

    def _write_part(self, part: Part, found: DeltaTable | None, commit: CommitProperties) -> None:
        described = part.rows.schema.metadata or {}
        size = part.rows.nbytes // _SHRINKS
        new: dict[str, Any] = {"configuration": properties(part.table, self._keep, size)}
        if comment := described.get(b"comment"):
            new["description"] = comment.decode()
        how: dict[str, Any] = {"mode": "append", "schema_mode": "merge"}
        if part.whole:
            how = {"mode": "overwrite", "schema_mode": "overwrite"}
        elif part.table in REPLACED and found is not None:
            how |= {"mode": "overwrite", "predicate": _same_keys(part)}
        write_deltalake(
            self._place(part.table) if found is None else found,
            part.rows.replace_schema_metadata(None) if part.whole else _described_once(part.rows, found),
            storage_options=self._options,
            target_file_size=target_size(part.table, size),
            writer_properties=written_as(part.table),
            commit_properties=commit,
            **how,
            **(new if found is None else {}),
        )

    def _open_table(self, table: str) -> DeltaTable | None:
        try:
            return DeltaTable(self._place(table), storage_options=self._options)
        except TableNotFoundError:
            return None

    def _place(self, table: str) -> str:
        return f"{self._root}/{table}"


def _merge_rows(
    found: DeltaTable, table: str, rows: pa.Table, commit: CommitProperties, *, insert: bool
) -> None:
    # That instant never changes, and its range tells most files apart from the wanted ones.
    keys = (*KEYS[table], DAYS[table])
    merger: Any = found.merge(
        _described_once(rows, found),
        " AND ".join(f"held.{name} = new.{name}" for name in keys),
        source_alias="new",
        target_alias="held",
        merge_schema=True,
        writer_properties=written_as(table),
        commit_properties=commit,
    )
    merger = merger.when_matched_update_all()
    (merger.when_not_matched_insert_all() if insert else merger).execute()


def _predicate(only: OnlyRows) -> str:
    texts = ", ".join("'" + text.replace("'", "''") + "'" for text in only.texts)
    return f"{only.column} IN ({texts})"


def _same_keys(part: Part) -> str:
    """What holds for rows of the same keys. That instant never changes, and its range tells files apart."""
    source, key = KEYS[part.table]
    day = DAYS[part.table]
    of_source: dict[int, list[str]] = {}
    for row in part.rows.select([source, key]).to_pylist():
        of_source.setdefault(row[source], []).append(row[key])
    keys = [f"({source} = {n} AND {_predicate(OnlyRows(key, texts))})" for n, texts in of_source.items()]
    seen = pc.min_max(part.rows[day]).as_py()
    since, until = (f"'{seen[end].isoformat()}'" for end in ("min", "max"))
    return f"({' OR '.join(keys)}) AND {day} >= {since} AND {day} <= {until}"


def _described_once(rows: pa.Table, found: DeltaTable | None) -> pa.Table:
    """Rows that repeat no comment which the table has: in a small file, comments are most of its bytes."""
    rows = rows.replace_schema_metadata(None)
    known = {field.name for field in found.schema().fields} if found is not None else set()
    fields = [field.remove_metadata() if field.name in known else field for field in rows.schema]
    return rows.cast(pa.schema(fields))


def _mark_transactions(marks: dict[int, Mark], sources: int) -> list[Transaction]:
    """Transactions can only be asked for by name, so the largest source id is one as well."""
    newest = {"sources": sources}
    for source, mark in marks.items():
        newest |= {f"{source}/key": mark.key, f"{source}/proof": int(mark.proof, 16)}
    return note_versions(**newest)


def _read_marks(table: DeltaTable) -> dict[int, Mark]:
    found: dict[int, Mark] = {}
    for source in range(WHOLE, (noted_version(table, "sources") or 0) + 1):
        key, digest = noted_version(table, f"{source}/key"), noted_version(table, f"{source}/proof")
        if key is not None and digest is not None:
            found[source] = Mark(key, f"{digest:014x}")
    return found
