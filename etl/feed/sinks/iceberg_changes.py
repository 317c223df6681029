"""What is to be changed in one commit to an Iceberg table."""

from __future__ import annotations

from typing import Any

from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata


class Changes(Transaction):
    """A transaction that puts the table's metadata together once for each change that is added to it.

    pyiceberg does so at each look at it, some two hundred times a commit, each time from the beginning and
    with a deep copy: a third of what a small delivery cost.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._seen: tuple[Any, Any, TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        base, updates = self._table.metadata, self._updates
        if self._seen is None or self._seen[0] is not base or self._seen[1] is not updates:
            self._seen = base, updates, super().table_metadata
        return self._seen[2]
