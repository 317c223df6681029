"""The gateway's log, read to its end from where the last run left it, and some time before: rows come late.

Its pages are asked for by time, not by number: whatever is written into or removed from the log meanwhile
moves the numbers of all rows behind it, but no row's time. Only within one second the number counts, and
there each page repeats the last row of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

from etl.errors import NotFound, PagingError, RepeatedPage
from etl.extract import OWN_REQUEST, LogPage
from etl.load import Gap, LogBatch, known_requests, newest_request, read_log_state
from etl.log_records import LogRow
from etl.pipeline.run import Run
from etl.records import Reject
from etl.transform import Unusable, log_row

#: Each row holds the keys' settings and a prompt, some kilobytes in all.
ROWS_PER_PAGE = 500
#: A page may come again so often before the log counts as one that ignores offset.
REPEATS = 3
#: Where the gap begins that a log leaves which no longer reaches back to what was read.
CUT = "the gateway's log, cut"


@dataclass(slots=True)
class _Walk:
    """What one walk of the log has come by. `began`: when it was begun, by the gateway's clock. `expected`:
    the time of a row that was there the last time, and that this walk has to meet, it or one like it."""

    looked_at: frozenset[str]
    expected: datetime | None = None
    began: datetime | None = None
    newest: datetime | None = None
    polls: dict[str, datetime] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)


def read_log(run: Run) -> Iterator[list[LogRow]]:
    """Store the rows that are new, page by page, and give those that named no job although they made one.

    Each page is committed before it is given. Raises GatewayError, StorageError, LeaseLost, Stopped.
    """
    store = run.store
    state = store.read(lambda conn: read_log_state(conn, store.source_id))
    walk = _Walk(frozenset(state.polls))
    since = state.until
    if since is None or store.kind == "reconcile":
        start = None
    else:
        start = since - timedelta(seconds=run.source.logs_overlap)
        walk.expected = _expected(run, start, since)
    for page, rows in _pages(run, start):
        walk.began = walk.began or page.began
        log = run.log()
        fresh = _fresh(run, walk, rows)
        log.rows += _completed(run, fresh)
        _advance(run, walk, log, since, rows)
        if since is not None:
            _find_cut(run, walk, log, since, rows, at_end=len(page.rows) < page.limit)
        run.flush()
        yield [row for row in log.rows if row.makes and row.status == "success" and row.job_id is None]
    if walk.began is not None:
        run.learn(log_read=int(walk.began.timestamp()))


def _expected(run: Run, start: datetime, since: datetime) -> datetime | None:
    """The time of the newest row that this walk has to meet, unless it may have grown too old since.

    The log has shown a row of that age at its last reading: as long as no more time has passed, a row that
    came after that reading is not too old for it."""
    store, read = run.store, run.state.learned.log_read
    newest = store.read(lambda conn: newest_request(conn, store.source_id, start, since))
    if newest is None or read is None:
        return newest
    last = datetime.fromtimestamp(read, UTC)
    return newest if run.now() - last > last - newest else None


def _find_cut(
    run: Run, walk: _Walk, log: LogBatch, since: datetime, rows: list[LogRow], *, at_end: bool
) -> None:
    """A log without any row of the time that was read is cut: what was asked for since then, and before the
    oldest row that it has now, is lost. Recorded before the mark passes it."""
    if walk.expected is None or walk.began is None:
        return
    if any(row.at <= since or row.request_id in walk.met for row in rows):
        walk.expected = None
        return
    if not rows and not at_end:
        return
    reason = f"the gateway's log no longer reaches back to {since:%Y-%m-%d %H:%M} UTC, where it was left"
    until = min((row.at for row in rows), default=walk.began)
    run.batch.gaps.append(Gap(since, until, CUT, None, reason))
    walk.expected = None
    log.until = max(log.until or walk.began, until)


def _advance(run: Run, walk: _Walk, log: LogBatch, before: datetime | None, rows: list[LogRow]) -> None:
    """Move the mark up to which the log is read. Never past the walk's own beginning: what was written behind
    a page since it was read lies within the overlap of that."""
    times = [row.at for row in rows] + ([] if walk.newest is None else [walk.newest])
    if not times or walk.began is None:
        return
    walk.newest = max(times)
    log.until = max(filter(None, (before, min(walk.newest, walk.began))))
    edge = log.until - timedelta(seconds=run.source.logs_overlap)
    log.polls = [each for each, at in walk.polls.items() if at >= edge]


def _pages(run: Run, start: datetime | None) -> Iterator[tuple[LogPage, list[LogRow]]]:
    """Pages of rows, each row once."""
    since, offset = None if start is None else start.replace(microsecond=0), 0
    seen: dict[str, datetime] = {}
    before: list[str] = []
    repeats = 0
    while True:
        run.obey()
        page = run.wait_for(partial(run.gateway.logs.page, since, offset, limit=ROWS_PER_PAGE))
        run.tell_reading("row of the gateway's log", len(page.rows))
        rows = _decoded(run, page)
        _check(run, rows, since)
        ids = [row.request_id for row in rows]
        if offset and ids and ids[0] not in seen:  # rows before it were removed, and it moved up
            offset = 0
            continue
        yield page, [row for row in rows if row.request_id not in seen]
        if len(page.rows) < page.limit:
            return
        if not rows:
            raise PagingError(f"no row on a page of the gateway's log can be read (source {run.source.name})")
        repeats = repeats + 1 if ids == before else 0  # a row that came in before it moves a page down
        if repeats >= REPEATS:
            raise RepeatedPage(f"the gateway's log ignores offset (source {run.source.name})")
        seen.update((row.request_id, row.at) for row in rows)
        last = rows[-1].at.replace(microsecond=0)
        if since is None or last > since:
            since, offset, before = last, 0, []
            seen = {each: at for each, at in seen.items() if at >= last}
        else:
            offset, before = offset + len(page.rows) - 1, ids


def _decoded(run: Run, page: LogPage) -> list[LogRow]:
    """The rows that can be read; the others are rejects."""
    rows = []
    for raw in page.rows:
        try:
            rows.append(log_row(raw, run.options))
        except Unusable as error:
            kept = raw if run.options.prompts == "store" else None
            run.batch.rejects.append((Reject(f"GET /api/logs: {error}", kept), None, run.now()))
    return rows


def _check(run: Run, rows: list[LogRow], since: datetime | None) -> None:
    where = f"GET /api/logs (source {run.source.name})"
    if since is not None and any(row.at < since for row in rows):
        raise PagingError(f"{where}: rows are older than the start_time that was asked for")
    if any(later.at < row.at for row, later in pairwise(rows)):
        raise PagingError(f"{where}: rows are not in order of time, although that was asked for")


def _fresh(run: Run, walk: _Walk, rows: list[LogRow]) -> list[LogRow]:
    """What is to be stored: rows of this source's key that are new, that have ended since, or whose cost is
    another one now."""
    store = run.store
    ids = [row.request_id for row in rows]
    known = store.read(lambda conn: known_requests(conn, store.source_id, ids))
    kept = []
    for row in rows:
        status, cost = known.get(row.request_id, (None, None))
        if status is not None or row.request_id in walk.looked_at:
            walk.met.add(row.request_id)
        is_repriced = row.cost is not None and row.cost != cost
        if (status == row.status and not is_repriced) or not _is_ours(run, row):
            continue
        if row.makes or row.settles:
            kept.append(row)
        elif row.names_jobs == "polls":
            walk.polls[row.request_id] = row.at
            if row.request_id not in walk.looked_at:
                kept.append(row)
    return kept


def _is_ours(run: Run, row: LogRow) -> bool:
    source = run.source
    if row.request_id.startswith(OWN_REQUEST):
        return False
    return source.key_name is None or source.key_id is not None or row.key_name == source.key_name


def _completed(run: Run, rows: list[LogRow]) -> list[LogRow]:
    """The rows with what only their details tell: the job's id, where this gateway keeps it there."""
    asked = [row for row in rows if _needs_detail(row)]
    if not asked:
        return rows
    with ThreadPoolExecutor(max_workers=run.source.concurrency) as pool:
        told = dict(pool.map(lambda row: (row.request_id, _detail(run, row)), asked))
    return [told.get(row.request_id, row) for row in rows]


def _needs_detail(row: LogRow) -> bool:
    if row.status != "success":
        return row.makes and row.status == "error"  # why it was refused
    if row.job_id is not None:
        return False
    if row.makes and row.names_jobs == "polls":
        return row.remakes and row.remixed_job_id is None
    return row.names_jobs == "detail" if row.makes else row.names_jobs == "polls"


def _detail(run: Run, row: LogRow) -> LogRow:
    run.obey()
    run.tell_reading("row of the gateway's log by id")
    try:
        told = log_row(run.wait_for(lambda: run.gateway.logs.row(row.request_id)), run.options)
        return told if row.cost is None else told._replace(cost=row.cost)
    except (NotFound, Unusable):
        return row  # removed since
