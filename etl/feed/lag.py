"""How far behind each destination is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from etl.config import Destination
from etl.db.engine import storage_errors
from etl.errors import EtlError
from etl.feed import changes
from etl.feed.compare import TableState, compare_tables
from etl.feed.sinks.base import Sink
from etl.feed.sinks.registry import open_sink
from etl.feed.tables import STREAMS, VERSIONS, Stream, target_tables
from etl.feed.watermarks import START, Mark, Marks
from etl.schema.tables import sources, video_job_versions

_DAMAGED = (
    "a file of a table is gone or damaged: restore it, or drop that table there, with Iceberg in its "
    "catalogue too; the next delivery brings all of its rows that are still here"
)


@dataclass(frozen=True, slots=True)
class Lag:
    """One source in one destination. `delivered_to` is a change_seq; `pending` counts changes that wait, and
    `oldest_pending` is when the oldest of them was seen (our clock, UTC)."""

    source: str
    delivered_to: int
    pending: int
    oldest_pending: datetime | None


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """A destination's lags and tables, or why they could not be read."""

    destination: str
    lags: tuple[Lag, ...] = ()
    error: Exception | None = None
    tables: tuple[TableState, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """It cannot be delivered to, or does not hold what was delivered."""
        return self.error is not None or any(table.is_wrong for table in self.tables)


def destination_statuses(
    engine: sa.Engine, destinations: Iterable[Destination], *, deep: bool = False
) -> list[DestinationStatus]:
    """Where each destination stands; nothing is written. `deep` compares every column of every row."""
    return [_destination_status(engine, destination, deep) for destination in destinations]


def _destination_status(engine: sa.Engine, destination: Destination, deep: bool) -> DestinationStatus:
    try:
        sink = open_sink(destination)
        try:
            marks = {stream.name: lowest_marks(engine, sink, stream) for stream in STREAMS}
            tables = compare_tables(engine, sink, destination.mask, deep=deep)
        finally:
            sink.close()
    except Exception as error:  # noqa: BLE001 - a destination's library may raise anything; it is reported
        return DestinationStatus(destination.name, error=name_destination(destination, error))
    return DestinationStatus(destination.name, measure_lags(engine, marks), tables=tables)


def name_destination(destination: Destination, error: Exception) -> Exception:
    """An error that says where; its text is redacted where it is printed."""
    if isinstance(error, EtlError):
        return error
    damaged = "no such file" in str(error).lower() or type(error).__name__ == "ArrowInvalid"
    told = EtlError(
        f"feed destination {destination.name!r} failed ({type(error).__name__})",
        hint=_DAMAGED if damaged else None,
    )
    told.__cause__ = error
    return told


def missing_files_error(destination: Destination, gone: Sequence[str]) -> EtlError:
    """Files that a destination's own tables name."""
    more = f" and {len(gone) - 1} more are gone" if len(gone) > 1 else " is gone"
    return EtlError(f"feed destination {destination.name!r}: {gone[0]}{more}", hint=_DAMAGED)


def lowest_marks(engine: sa.Engine, sink: Sink, stream: Stream) -> dict[int, Mark]:
    """Per source, how far every table that this stream fills has come. Raises StorageError when it was
    filled from another history: so would a delivery."""
    found = [sink.marks(name) for name in target_tables(stream, state=sink.keeps_state)]
    for marks in found:
        changes.verify_marks(engine, stream, marks)
    return find_lowest_marks(found)


def find_lowest_marks(found: Iterable[Marks]) -> dict[int, Mark]:
    """Per source, the mark of the table that is behind the others."""
    several = list(found)
    common = set.intersection(*(set(marks) for marks in several)) if several else set()
    return {source: min(marks[source] for marks in several) for source in common}


def measure_lags(engine: sa.Engine, marks: Mapping[str, Marks]) -> tuple[Lag, ...]:
    """What a destination lacks that has been delivered up to these marks, per source. Raises StorageError."""
    upper = changes.find_bounds(engine, (VERSIONS,), marks).upper[VERSIONS.name]
    delivered = marks[VERSIONS.name]
    with storage_errors(), engine.connect() as conn:
        names = conn.execute(sa.select(sources.c.id, sources.c.name).order_by(sources.c.name)).all()
        return tuple(
            Lag(
                name,
                delivered.get(source, START).key,
                *_count_pending(conn, source, delivered, upper.get(source)),
            )
            for source, name in names
        )


def _count_pending(
    conn: sa.Connection, source: int, delivered: Marks, upper: int | None
) -> tuple[int, datetime | None]:
    if upper is None:
        return 0, None
    table = video_job_versions.c
    query = sa.select(sa.func.count(), sa.func.min(table.valid_from)).where(
        table.source_id == source, table.change_seq > delivered.get(source, START).key
    )
    count, oldest = conn.execute(query).one()
    return count, oldest
