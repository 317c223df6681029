"""Deliver what is new to a destination: exactly once in effect, wherever it is interrupted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import sqlalchemy as sa

from etl.config import Config, Destination, require_secrets
from etl.config.nearest import unknown_name
from etl.errors import ConfigError
from etl.feed import changes, corrections, watermarks
from etl.feed.changes import ChangeBatch
from etl.feed.lag import find_lowest_marks, missing_files_error, name_destination
from etl.feed.locks import only_one
from etl.feed.masking import mask_rows
from etl.feed.shaping import behind_marks, shape_rows
from etl.feed.sinks.base import Part, Sink
from etl.feed.sinks.registry import open_sink
from etl.feed.tables import RUNS, SMALL, STREAMS, VERSIONS, Stream, target_tables
from etl.feed.watermarks import START, Mark, Marks
from etl.log import get_logger

#: Told after every batch: destination, table, rows of it delivered so far.
DeliveryWatch = Callable[[str, str, int], None]


@dataclass(frozen=True, slots=True)
class FeedResult:
    """How one delivery ended. `status`: ok, failed, interrupted (asked to stop) or skipped (another process
    delivers there). `rows` counts what was delivered, by table; `error` is set when failed. `reached` says
    how far each table that is read has been delivered, per source id; it is empty when failed or skipped."""

    destination: str
    status: Literal["ok", "failed", "interrupted", "skipped"]
    rows: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None
    reached: dict[str, dict[int, Mark]] = field(default_factory=dict)


def deliver_to_all(
    engine: sa.Engine,
    config: Config,
    names: Sequence[str] = (),
    *,
    watch: DeliveryWatch | None = None,
    stop: threading.Event | None = None,
) -> list[FeedResult]:
    """Deliver to the named destinations (all configured ones, if none is named), one after the other.

    Raises ConfigError for an unknown name; a destination's own failure is in its result.
    """
    chosen = choose_destinations(config, names)
    return [deliver_to_one(engine, destination, watch=watch, stop=stop) for destination in chosen]


def choose_destinations(config: Config, names: Sequence[str] = ()) -> tuple[Destination, ...]:
    """The destinations of these names. Raises ConfigError for an unknown one, or when none is configured."""
    known = {destination.name: destination for destination in config.feed.destinations}
    if not known:
        raise ConfigError(
            f"no feed destination is configured ({config.origin})", hint="add one under feed: destinations:"
        )
    for name in names:
        if name not in known:
            raise unknown_name("destination", name, known)
    return tuple(known[name] for name in names) or tuple(known.values())


def deliver_to_one(
    engine: sa.Engine,
    destination: Destination,
    *,
    watch: DeliveryWatch | None = None,
    stop: threading.Event | None = None,
    streams: Sequence[Stream] = STREAMS,
    batch_rows: int = changes.BATCH_ROWS,
) -> FeedResult:
    """Deliver to one destination. Rows that commit meanwhile are the next delivery's."""
    rows: Counter[str] = Counter()
    try:
        require_secrets(f"feed destination {destination.name}", destination)
        with only_one(engine, destination) as alone:
            if not alone:
                return FeedResult(destination.name, "skipped")
            sink = open_sink(destination)
            try:
                work = _Delivery(
                    engine, sink, stop or threading.Event(), batch_rows, rows, destination, watch
                )
                done = work.run(streams)
            finally:
                sink.close()
    except Exception as error:  # noqa: BLE001 - a destination's library may raise anything; it is reported
        return FeedResult(destination.name, "failed", dict(rows), name_destination(destination, error))
    status: Literal["ok", "interrupted"] = "ok" if done else "interrupted"
    return FeedResult(destination.name, status, dict(rows), reached=work.reached)


@dataclass(slots=True)
class _Delivery:
    engine: sa.Engine
    sink: Sink
    stop: threading.Event
    batch_rows: int
    rows: Counter[str]
    destination: Destination
    watch: DeliveryWatch | None
    waiting: list[Part] = field(default_factory=list)
    reached: dict[str, dict[int, Mark]] = field(default_factory=dict)

    def run(self, streams: Sequence[Stream]) -> bool:
        """False when it was asked to stop before the end."""
        marks = {s.name: self._read_marks(s) for s in streams}
        low = {name: find_lowest_marks(found.values()) for name, found in marks.items()}
        for stream in streams:
            for found in marks[stream.name].values():
                changes.verify_marks(self.engine, stream, found)
        bounds = changes.find_bounds(self.engine, streams, low)
        self.waiting = list(self._changed_small())
        if self.waiting or any(bounds.upper.values()):
            changes.make_durable(self.engine)
        done = all(self._deliver_stream(s, marks[s.name], low[s.name], bounds.upper[s.name]) for s in streams)
        self._flush_parts()
        if done:
            gone = self.sink.missing_files()
            self._try_upkeep()
            if gone:  # what is new was delivered, and nothing else would tell of what was lost
                raise missing_files_error(self.destination, gone)
        self.reached = {name: find_lowest_marks(found.values()) for name, found in marks.items()}
        return done

    def _try_upkeep(self) -> None:
        """Its failure is no failure of the delivery, and the next one tries again."""
        try:
            self.sink.upkeep()
        except Exception as error:  # noqa: BLE001 - a destination's library may raise anything
            get_logger("feed").warning(
                "upkeep_failed", destination=self.destination.name, error=type(error).__name__
            )

    def _changed_small(self) -> Iterator[Part]:
        """The small tables that do not stand in the destination as they are here."""
        for table in SMALL:
            rows = mask_rows(table.name, changes.read_whole_table(self.engine, table), self.destination.mask)
            mark = watermarks.marks_of_rows(rows)
            if self.sink.marks(table.name) != mark:  # an empty one says that there are no gaps
                yield Part(table.name, rows, mark, whole=True)

    def _read_marks(self, stream: Stream) -> dict[str, dict[int, Mark]]:
        return {name: self.sink.marks(name) for name in target_tables(stream, state=self.sink.keeps_state)}

    def _deliver_stream(
        self, stream: Stream, marks: dict[str, dict[int, Mark]], low: Marks, upper: Mapping[int, int]
    ) -> bool:
        batches = changes.read_changes(
            self.engine,
            stream,
            low,
            upper,
            state=stream is VERSIONS and self.sink.keeps_state,
            batch_rows=self.batch_rows,
        )
        for batch in batches:
            if self.stop.is_set():
                return False
            self._correct_held(stream, batch, low)
            masked = mask_rows(stream.name, batch.rows, self.destination.mask)
            self._deliver_batch(stream, ChangeBatch(masked, batch.marks), marks)
        return True

    def _correct_held(self, stream: Stream, batch: ChangeBatch, low: Marks) -> None:
        """Before marks pass what says that rows there have changed, they are put right."""
        if stream is VERSIONS and low and (erased := corrections.find_erased(batch.rows)):
            self._flush_parts()
            corrections.correct_texts(self.engine, self.sink, self.destination.mask, erased)
        if stream is RUNS and self.sink.keeps_state and (scanned := corrections.find_scanned(batch.rows)):
            self._flush_parts()
            corrections.correct_twins(self.engine, self.sink, scanned)

    def _deliver_batch(self, stream: Stream, batch: ChangeBatch, marks: dict[str, dict[int, Mark]]) -> None:
        parts = []
        for name, delivered in marks.items():
            new = behind_marks(batch.rows, stream.key, delivered)
            if new.num_rows:
                marks[name] = _advance_marks(delivered, batch.marks)
                parts.append(Part(name, shape_rows(name, new), marks[name]))
        full = sum(part.rows.num_rows for part in (*self.waiting, *parts)) > self.batch_rows
        if full or {part.table for part in parts} & {part.table for part in self.waiting}:
            self._flush_parts()
        self.waiting += parts

    def _flush_parts(self) -> None:
        """Small parts of several tables travel together: a warehouse takes a second or so for each load."""
        parts, self.waiting = self.waiting, []
        if parts:
            self.sink.deliver(parts)
        for part in parts:
            self.rows[part.table] += part.rows.num_rows
            if self.watch is not None:
                self.watch(self.destination.name, part.table, self.rows[part.table])


def _advance_marks(before: Marks, batch: Marks) -> dict[int, Mark]:
    after = dict(before)
    for source, mark in batch.items():
        after[source] = max(mark, after.get(source, START))
    return after
