"""Delta tables, local or in an object store: one commit holds the rows and the marks that they justify.

The marks are Delta's own application transactions, which the format keeps for exactly this purpose: per
source, one whose version is the last delivered key and one whose version is the digest that proves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError

from etl.config import Destination
from etl.feed.marks import WHOLE, Mark
from etl.feed.sink import Part, required_url
from etl.feed.tables import KEYS, STATE

_APP = "bifrost-etl"


def open_sink(destination: Destination) -> DeltaTables:
    """`url`: a folder (a path, file:///…, s3://…); `options` are deltalake's storage options."""
    options = {name: str(value) for name, value in destination.options.items()}
    return DeltaTables(required_url(destination).rstrip("/"), options)


class DeltaTables:
    """A folder with one Delta table each."""

    keeps_state = True

    def __init__(self, root: str, options: dict[str, str]) -> None:
        self._root, self._options = root, options

    def marks(self, table: str) -> dict[int, Mark]:
        found = self._open(table)
        return {} if found is None else _read_marks(found)

    def deliver(self, parts: Sequence[Part]) -> None:
        for part in parts:
            found = self._open(part.table)
            changed = part.marks
            if found is not None:
                before = _read_marks(found)
                changed = {s: mark for s, mark in part.marks.items() if before.get(s) != mark}
            commit = CommitProperties(app_transactions=_transactions(changed, max(part.marks)))
            if part.table == STATE and found is not None:
                _merge(found, part, commit)
            else:
                self._write(part, commit)

    def close(self) -> None:
        """Nothing is held open."""

    def _write(self, part: Part, commit: CommitProperties) -> None:
        write_deltalake(
            self._place(part.table),
            part.rows,
            mode="overwrite" if part.whole else "append",
            schema_mode="overwrite" if part.whole else "merge",
            storage_options=self._options,
            commit_properties=commit,
        )

    def _open(self, table: str) -> DeltaTable | None:
        try:
            return DeltaTable(self._place(table), storage_options=self._options)
        except TableNotFoundError:
            return None

    def _place(self, table: str) -> str:
        return f"{self._root}/{table}"


def _merge(found: DeltaTable, part: Part, commit: CommitProperties) -> None:
    same = " AND ".join(f"held.{name} = new.{name}" for name in KEYS[part.table])
    merger: Any = found.merge(
        part.rows,
        same,
        source_alias="new",
        target_alias="held",
        merge_schema=True,
        commit_properties=commit,
    )
    merger.when_matched_update_all().when_not_matched_insert_all().execute()


def _transactions(marks: dict[int, Mark], sources: int) -> list[Transaction]:
    """Transactions can only be asked for by name, so the largest source id is one as well."""
    newest = {"sources": sources}
    for source, mark in marks.items():
        newest |= {f"{source}/key": mark.key, f"{source}/proof": int(mark.proof, 16)}
    return [Transaction(f"{_APP}/{name}", version) for name, version in newest.items()]


def _read_marks(table: DeltaTable) -> dict[int, Mark]:
    found: dict[int, Mark] = {}
    for source in range(WHOLE, (_version(table, "sources") or 0) + 1):
        key, digest = _version(table, f"{source}/key"), _version(table, f"{source}/proof")
        if key is not None and digest is not None:
            found[source] = Mark(key, f"{digest:014x}")
    return found


def _version(table: DeltaTable, name: str) -> int | None:
    return table.transaction_version(f"{_APP}/{name}")
