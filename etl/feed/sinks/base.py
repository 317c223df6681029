"""What a destination must be able to do, and which module does it for which kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from etl.config import Destination
from etl.errors import ConfigError, EtlError
from etl.feed.watermarks import Mark

if TYPE_CHECKING:
    import pyarrow as pa


class OnlyRows(NamedTuple):
    """Of a table the rows whose `column` holds one of these texts."""

    column: str
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows for one table of a destination, and that table's marks once they are in, of every source.

    The state's rows are the newest per job; others are new, or (after a crash) the same as before. A `whole`
    part holds all that its table shall hold, and its mark stands under source 0.
    """

    table: str
    rows: pa.Table
    marks: dict[int, Mark]
    whole: bool = False


class Sink(Protocol):
    """An open destination. `keeps_state` says that it can replace rows, so it gets `video_jobs` as well."""

    keeps_state: bool

    def marks(self, table: str) -> dict[int, Mark]:
        """How far this table is filled, as the destination itself tells. Nothing when it is not there."""
        ...

    def deliver(self, parts: Sequence[Part]) -> None:
        """Make the parts durable. Whatever kills this half-way, `marks` and a repetition lead to each row
        once."""
        ...

    def read(self, table: str, columns: Sequence[str], only: OnlyRows | None = None) -> Iterator[pa.Table]:
        """These columns of what is there, in any order; nothing when the table is not there."""
        ...

    def columns(self, table: str) -> list[str]:
        """The columns that the table has there; none when it is not there."""
        ...

    def replace(self, table: str, rows: pa.Table) -> None:
        """Put these rows in the place of those of their keys that are there; marks stay as they are."""
        ...

    def missing_files(self) -> list[str]:
        """Files that are gone and that tables name which got nothing this time; as far as a look at names
        tells, on a disk of ours."""
        ...

    def upkeep(self) -> None:
        """Keep what is there small and fast to read: now and then, as the destination itself tells when.
        Takes away nothing that a reader may still use (`keep_replaced`)."""
        ...

    def close(self) -> None: ...


class Written:
    """What each table's marks were when we last looked: another feed may write to the same place."""

    def __init__(self) -> None:
        self._marks: dict[str, dict[int, Mark]] = {}

    def note(self, table: str, marks: dict[int, Mark]) -> dict[int, Mark]:
        self._marks[table] = marks
        return marks

    def check(self, table: str, marks: dict[int, Mark]) -> None:
        """Raises EtlError when they are others now. To be asked in the transaction that writes."""
        if self._marks[table] != marks:
            raise EtlError(
                f"another feed has written to {table} at the same time",
                hint="deliver again: nothing was written twice. OnlyRows one destination may name this place",
            )


def comment_statements(place: str, fields: pa.Schema, quote: Callable[[str], str]) -> Iterator[str]:
    """SQL that gives a table and its columns the comments they have here."""
    table = (fields.metadata or {}).get(b"comment")
    columns = {field.name: (field.metadata or {}).get(b"comment") for field in fields}
    if table:
        yield f"COMMENT ON TABLE {place} IS {_bytes_literal(table)}"
    for name, comment in columns.items():
        if comment:
            yield f"COMMENT ON COLUMN {place}.{quote(name)} IS {_bytes_literal(comment)}"


def _bytes_literal(text: bytes) -> str:
    return "'" + text.decode().replace("'", "''") + "'"


def local_folder(url: str) -> Path | None:
    """The folder that a URL or a path names; None when it is in an object store."""
    parts = urlsplit(url)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path) if parts.scheme else url).expanduser()


def required_url(destination: Destination) -> str:
    """The destination's URL, secrets included. Raises ConfigError when it names no place."""
    url = destination.url.reveal() if destination.url else ""
    if not url.rpartition(":")[2].strip("/"):
        raise ConfigError(
            f"feed destination {destination.name!r} needs a url that names a folder, a file or a database",
            hint="for example file:///srv/lake, s3://bucket/lake or duckdb:////srv/warehouse.duckdb",
        )
    return url
