"""Which jobs a scan has shown: they are listed, at whatever place they are stored.

Eight bytes each, in memory up to `IN_MEMORY`, then in a temporary file. What is kept of an id is the hash
that Python salts anew in each process. That one of a million suspects is taken for one of ten million shown
jobs by mistake happens once in two million scans; a later process finds it missing.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Sequence

#: Bytes: a million jobs.
IN_MEMORY = 8 << 20
#: Bytes that are compared at once.
_CHUNK = 1 << 20


class Sights:
    """Written as pages are committed, read when the scan is over."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY if _has_folder() else 0)  # noqa: SIM115

        self._refused: set[str] = set()

    def add(self, ids: Sequence[str]) -> None:
        self._refused.difference_update(ids)
        self._file.write(array("q", map(hash, ids)))

    def refuse(self, cursor: str) -> None:
        """The gateway knows this job no more: only being shown again says that it is listed."""
        self._refused.add(cursor)

    def among(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that were shown."""
        wanted = {hash(job_id): job_id for job_id in ids if job_id not in self._refused}
        found = set[str]()
        self._file.seek(0)
        while wanted and (chunk := self._file.read(_CHUNK)):
            found.update(wanted[each] for each in wanted.keys() & array("q", chunk))
        self._file.seek(0, 2)
        return found

    def close(self) -> None:
        self._file.close()


def _has_folder() -> bool:
    """A container may have none that can be written; then all stays in memory."""
    try:
        return bool(tempfile.gettempdir())
    except FileNotFoundError:
        return False
