"""Remove what is old: page logs, runs, rejects, requests and superseded versions, in small transactions.

What stays, whatever its age: rows that a configured feed destination does not have yet, the newest version
of every job, the newest row of every source in each table that the feed reads (it proves to a destination
that this is the history it knows), and runs that other rows or an unfinished walk still need.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from etl.config import Destination, Retention
from etl.db.engine import storage_errors, write_transaction
from etl.feed.lag import find_lowest_marks, name_destination
from etl.feed.prune_months import prune_months
from etl.feed.sinks.registry import open_sink
from etl.feed.tables import LOOKUPS, PAGES, REQUESTS, RUNS, VERSIONS, Stream, target_tables
from etl.feed.watermarks import Marks
from etl.schema.tables import (
    coverage_gaps,
    list_pages,
    rejected_items,
    sync_runs,
    sync_state,
    video_job_versions,
    video_jobs,
)

#: Rows of one transaction: a writer waits for it a fraction of a second at most.
BATCH = 2_000
PruneWatch = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Task:
    """Rows of one table that may go: those that fulfil `where`, in the order of `key`. `is_shared`: no two
    sources share a key."""

    table: sa.Table
    key: sa.Column[int]
    where: tuple[sa.ColumnElement[bool], ...]
    is_shared: bool = True


def prune_tables(
    engine: sa.Engine,
    retention: Retention,
    destinations: Iterable[Destination] = (),
    *,
    now: datetime,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    watch: PruneWatch | None = None,
) -> dict[str, int]:
    """Rows removed (or, in a dry run, removable) per table; a kind whose retention is None is left alone.

    Raises EtlError when a destination cannot say what it has: then nothing is removed.
    """
    limits = _combine_limits([_read_delivered_marks(destination) for destination in destinations])
    removed: dict[str, int] = {}
    stop = stop or threading.Event()
    for task in plan_tasks(retention, limits, now):
        name = str(task.table.name)
        if dry_run:
            removed[name] = _count_rows(engine, task)
            continue
        removed[name] = (
            _prune_whole_months(engine, retention, limits, now, stop) if name == VERSIONS.name else 0
        )
        removed[name] += _remove_rows(engine, task, stop, watch)
    return removed


def plan_tasks(retention: Retention, limits: Mapping[str, Marks] | None, now: datetime) -> list[Task]:
    """What each kind's age allows. `limits` None: no destination is configured, nothing waits."""
    made: list[Task] = []
    pages: Task | None = None
    if retention.versions is not None:
        made.append(_plan_versions(now - timedelta(seconds=retention.versions), limits))
    if retention.page_log is not None:
        edge = now - timedelta(seconds=retention.page_log)
        pages = _plan_log(PAGES, "received_at", edge, limits)
        made += [_plan_log(LOOKUPS, "looked_up_at", edge, limits), pages]
    if retention.rejects is not None:
        edge = now - timedelta(seconds=retention.rejects)
        columns = rejected_items.c
        made.append(Task(rejected_items, columns.id, (columns.last_seen_at < edge,)))
    if retention.requests is not None:
        edge = now - timedelta(seconds=retention.requests)
        made.append(replace(_plan_log(REQUESTS, "requested_at", edge, limits), is_shared=False))
    if retention.runs is not None:
        made.append(_plan_runs(now - timedelta(seconds=retention.runs), limits, pages))
    return made


def _plan_versions(
    edge: datetime, limits: Mapping[str, Marks] | None, old: sa.Table = video_job_versions
) -> Task:
    """A version may go when the next one is older than the edge: "as of" questions after it stay right.

    That of an erasure stays: a destination restored from an old backup must hear of it again. `old` is the
    whole history or a month's part of it.
    """
    newer = video_job_versions.alias("newer")
    superseded = sa.exists().where(
        newer.c.source_id == old.c.source_id,
        newer.c.job_id == old.c.job_id,
        newer.c.version == old.c.version + 1,
        newer.c.valid_from < edge,
    )
    may = (old.c.valid_from < edge, old.c.op != "erase", superseded)
    return Task(old, old.c.change_seq, (*may, *_passed_by_all(VERSIONS, limits, old)))


def _prune_whole_months(
    engine: sa.Engine,
    retention: Retention,
    limits: Mapping[str, Marks] | None,
    now: datetime,
    stop: threading.Event,
) -> int:
    """Rows removed with whole months, where history stands in months."""
    assert retention.versions is not None
    edge = now - timedelta(seconds=retention.versions)
    return prune_months(engine, edge, lambda part: _plan_versions(edge, limits, part).where, stop)


def _plan_log(stream: Stream, at: str, edge: datetime, limits: Mapping[str, Marks] | None) -> Task:
    table, key = stream.table, stream.table.c[stream.key]
    return Task(table, key, (table.c[at] < edge, _not_newest(stream), *_passed_by_all(stream, limits)))


def _plan_runs(edge: datetime, limits: Mapping[str, Marks] | None, pages: Task | None) -> Task:
    """A run stays while something points to it. `pages`: which of its pages go, in a dry run before it."""
    runs = sync_runs.c
    staying = () if pages is None else (sa.not_(sa.and_(*pages.where)),)
    needed = [
        sa.exists().where(list_pages.c.run_id == runs.id, *staying),
        sa.exists().where(coverage_gaps.c.run_id == runs.id),
        sa.exists().where(sync_state.c.complete_run_id == runs.id),
        sa.exists().where(video_jobs.c.suspect_run_id == runs.id),
    ]
    where = (runs.finished_at < edge, runs.status != "running", *(~other for other in needed))
    return Task(sync_runs, runs.id, (*where, _not_newest(RUNS), *_passed_by_all(RUNS, limits)))


def _not_newest(stream: Stream) -> sa.ColumnElement[bool]:
    newer = stream.table.alias("newer")
    later = newer.c[stream.key] > stream.table.c[stream.key]
    return sa.exists().where(newer.c.source_id == stream.table.c.source_id, later)


def _passed_by_all(
    stream: Stream, limits: Mapping[str, Marks] | None, table: sa.Table | None = None
) -> tuple[sa.ColumnElement[bool], ...]:
    """Before every destination's mark; the row at the mark stays, as its proof."""
    if limits is None:
        return ()
    columns, marks = (stream.table if table is None else table).c, limits[stream.name]
    passed = [
        sa.and_(columns.source_id == source, columns[stream.key] < mark.key) for source, mark in marks.items()
    ]
    return (sa.or_(*passed) if passed else sa.false(),)


def _read_delivered_marks(destination: Destination) -> dict[str, Marks]:
    try:
        sink = open_sink(destination)
        try:
            return {
                stream.name: find_lowest_marks(
                    sink.marks(name) for name in target_tables(stream, state=sink.keeps_state)
                )
                for stream in (VERSIONS, REQUESTS, PAGES, LOOKUPS, RUNS)
            }
        finally:
            sink.close()
    except Exception as error:
        raise name_destination(destination, error) from error


def _combine_limits(delivered: list[dict[str, Marks]]) -> dict[str, Marks] | None:
    if not delivered:
        return None
    return {name: find_lowest_marks(marks[name] for marks in delivered) for name in delivered[0]}


def _count_rows(engine: sa.Engine, task: Task) -> int:
    query = sa.select(sa.func.count()).select_from(task.table).where(*task.where)
    with storage_errors(), engine.connect() as conn:
        return int(conn.execute(query).scalar_one())


def _remove_rows(engine: sa.Engine, task: Task, stop: threading.Event, watch: PruneWatch | None) -> int:
    """Rows go by key upwards, so that every transaction looks only at rows that no earlier one looked at."""
    done = after = 0
    query = sa.select(task.table.c.source_id, task.key).order_by(task.key).limit(BATCH)
    while not stop.is_set():
        with storage_errors(), engine.connect() as conn:
            keys = [(row[0], row[1]) for row in conn.execute(query.where(task.key >= after, *task.where))]
        if not keys:
            break
        # What may go once may always go (a reject seen again meanwhile is written anew).
        with write_transaction(engine) as conn:
            gone = sum(conn.execute(each).rowcount for each in _deletions(task, keys))
        done, after = done + gone, keys[-1][1] + (0 if gone else 1)
        if watch is not None:
            watch(str(task.table.name), done)
    return done


def _deletions(task: Task, keys: Sequence[tuple[int, int]]) -> Iterator[sa.Delete]:
    delete = sa.delete(task.table)
    if task.is_shared:
        yield delete.where(task.key.in_([key for _, key in keys]))
        return
    for source in sorted({source for source, _ in keys}):
        mine = [key for owner, key in keys if owner == source]
        yield delete.where(task.table.c.source_id == source, task.key.in_(mine))
