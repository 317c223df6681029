"""`job_requests` and how far the gateway's log was read, in one commit with the jobs that it names."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from etl.load.erasures import find_erased_jobs, has_erasures
from etl.log_records import OWNER_COLUMNS, LogRow
from etl.records import PageRows
from etl.schema.tables import job_requests, sync_state, video_jobs
from etl.transform.erasing import erase_message

#: A job that the log names is asked for by id in so many runs before a 404 means that it is gone.
READS = 2
_CHUNK = 500


@dataclass(slots=True)
class LogBatch:
    """What of the log one transaction makes durable.

    `found` are jobs read by id because a row named them; `read` the ids that need no further look, `missed`
    those answered 404, `suspects` known jobs answered so for the first time. `discovers`: jobs that the rows
    name are to be read by id, unless they are known. `until` and `polls` take the place of `LogState`'s.
    """

    discovers: bool = False

    rows: list[LogRow] = field(default_factory=list)
    found: list[PageRows] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    suspects: list[str] = field(default_factory=list)
    until: datetime | None = None
    polls: list[str] | None = None


class LogState(NamedTuple):
    """Up to which time of the gateway's clock the log was read, and the polls that were looked at since."""

    until: datetime | None
    polls: tuple[str, ...]


def read_log_state(conn: sa.Connection, source_id: int) -> LogState:
    columns = (sync_state.c.log_until, sync_state.c.log_polls)
    row = conn.execute(sa.select(*columns).where(sync_state.c.source_id == source_id)).one()
    return LogState(row.log_until, tuple(msgspec.json.decode(row.log_polls)) if row.log_polls else ())


def state_columns(batch: LogBatch) -> dict[str, Any]:
    """What a batch changes of `sync_state`."""
    more: dict[str, Any] = {} if batch.until is None else {"log_until": batch.until}
    if batch.polls is not None:
        more["log_polls"] = msgspec.json.encode(batch.polls).decode() if batch.polls else None
    return more


def known_requests(
    conn: sa.Connection, source_id: int, ids: Sequence[str]
) -> dict[str, tuple[str, Decimal | None]]:
    """Status and cost, by id, of the rows among `ids` that are stored."""
    found: dict[str, tuple[str, Decimal | None]] = {}
    columns = (job_requests.c.request_id, job_requests.c.status, job_requests.c.cost)
    for part in _cut_ids(ids):
        query = sa.select(*columns).where(
            job_requests.c.source_id == source_id, job_requests.c.request_id.in_(part)
        )
        for row in conn.execute(query):
            found[row.request_id] = (row.status, None if row.cost is None else round(row.cost, 6))
    return found


def newest_request(conn: sa.Connection, source_id: int, since: datetime, until: datetime) -> datetime | None:
    """The time of the newest row of the log that is stored from between these times."""
    c = job_requests.c
    between = (c.requested_at >= since, c.requested_at <= until)
    query = sa.select(sa.func.max(c.requested_at)).where(c.source_id == source_id, *between)
    newest: datetime | None = conn.scalar(query)
    return newest


def waiting_jobs(conn: sa.Connection, source_id: int, limit: int) -> list[str]:
    """Ids of jobs to read, of at most `limit` rows, the newest first."""
    c = job_requests.c
    query = sa.select(_wanted(c)).where(c.source_id == source_id, c.reads_left > 0)
    ids = conn.scalars(query.order_by(c.requested_at.desc(), c.request_id).limit(limit))
    return list(dict.fromkeys(str(each) for each in ids))


def _wanted(c: Any) -> sa.ColumnElement[Any]:
    """The job that a row waits for: `LogRow.wanted`."""
    return sa.func.coalesce(c.job_id, c.remixed_job_id)


def parents_of(conn: sa.Connection, source_id: int, ids: Sequence[str]) -> dict[str, str]:
    """The parents, by id, of those among these jobs that were made from another."""
    c = video_jobs.c
    query = sa.select(c.job_id, c.remixed_from_job_id).where(c.source_id == source_id, c.job_id.in_(ids))
    rows = conn.execute(query.where(c.remixed_from_job_id.is_not(None)))
    return {row.job_id: row.remixed_from_job_id for row in rows}


def maker_of(conn: sa.Connection, source_id: int, job_id: str) -> str | None:
    """The request that made a job."""
    c = job_requests.c
    query = sa.select(c.request_id).where(c.source_id == source_id, c.job_id == job_id, c.role == "made")
    return conn.scalar(query)


def write_requests(conn: sa.Connection, source_id: int, run_id: int, batch: LogBatch, at: datetime) -> None:
    """Store a batch's rows, and what became of the jobs that were asked for."""
    rows = _obey_erasures(conn, _each_once(batch.rows))
    _insert_requests(conn, source_id, run_id, rows, at, discovers=batch.discovers)
    _set_reads(conn, source_id, batch.read, sa.literal(0))
    _set_reads(conn, source_id, batch.missed, job_requests.c.reads_left - 1)


def _obey_erasures(conn: sa.Connection, rows: list[LogRow]) -> list[LogRow]:
    """The rows; those of erased jobs without what an error may quote."""
    telling = {row.job_id for row in rows if row.error_message is not None and row.job_id is not None}
    if not telling or not has_erasures(conn):
        return rows
    erased = find_erased_jobs(conn, telling)
    return [
        row._replace(error_message=erase_message(row.error_message)) if row.job_id in erased else row
        for row in rows
    ]


def _insert_requests(
    conn: sa.Connection, source_id: int, run_id: int, rows: Sequence[LogRow], at: datetime, *, discovers: bool
) -> None:
    if not rows:
        return
    numbers = _next_numbers(conn, source_id)
    # Those under way, or of another cost now, are told anew. None goes for good: it may have been delivered.
    told = _take_out(conn, source_id, [row.request_id for row in rows])
    jobs = list({row.wanted for row in rows if row.wanted is not None})
    stored = _stored_ids(conn, source_id, jobs) if discovers else set(jobs)
    taken = _taken_roles(conn, source_id, jobs)
    values: list[dict[str, Any]] = []
    for row in rows:
        role = _role_of(row)
        if (row.job_id, role) in taken:
            if role == "polled" and row.request_id not in told:
                continue  # one is enough to name the job
            role = _take_over_role(conn, source_id, row, values, numbers) if role == "settled" else None
        if role is not None and row.job_id is not None:
            taken.add((row.job_id, role))
        # A job that is stored may be made from one that is not.
        waits = row.wanted is not None and (row.wanted not in stored or (discovers and row.remakes))
        reads = READS if waits else 0
        seen = {"first_seen_at": told.get(row.request_id, at), "request_seq": next(numbers)}
        values.append({**_request_values(source_id, run_id, row, role, reads), **seen})
    if values:
        conn.execute(sa.insert(job_requests), values)


def _next_numbers(conn: sa.Connection, source_id: int) -> Iterator[int]:
    """The order of change goes on where it stands; the source's lease is held."""
    newest = sa.select(sa.func.max(job_requests.c.request_seq)).where(job_requests.c.source_id == source_id)
    return itertools.count((conn.scalar(newest) or 0) + 1)


def _each_once(rows: Sequence[LogRow]) -> list[LogRow]:
    """Each row once, as last seen, in the order of time: the first that made a job is its maker."""
    latest = {row.request_id: row for row in rows}
    return sorted(latest.values(), key=lambda row: (row.at, row.request_id))


def _role_of(row: LogRow) -> str | None:
    if row.job_id is None or row.status != "success":
        return None
    if row.settles:
        return "settled"
    return "made" if row.makes else "polled"


def _take_over_role(
    conn: sa.Connection, source_id: int, row: LogRow, values: list[dict[str, Any]], numbers: Iterator[int]
) -> str:
    """A job settled anew: the later row counts, the earlier one no longer does."""
    for earlier in values:  # of the same page
        if (earlier["job_id"], earlier["role"]) == (row.job_id, "settled"):
            earlier["role"] = None
    c = job_requests.c
    same = (c.source_id == source_id, c.job_id == row.job_id, c.role == "settled")
    conn.execute(sa.update(job_requests).where(*same).values(role=None, request_seq=next(numbers)))
    return "settled"


def _request_values(source_id: int, run_id: int, row: LogRow, role: str | None, reads: int) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in LogRow._fields if name in job_requests.c}
    owner = {name: row.owner.get(name) for name in OWNER_COLUMNS}
    own = {"role": role, "requested_at": row.at, "reads_left": reads, "run_id": run_id}
    return {**same, **owner, **own, "source_id": source_id}


def _take_out(conn: sa.Connection, source_id: int, ids: Sequence[str]) -> dict[str, datetime]:
    """When each of these rows that is stored was first seen; it is removed."""
    c = job_requests.c
    seen: dict[str, datetime] = {}
    for part in _cut_ids(ids):
        those = (c.source_id == source_id, c.request_id.in_(part))
        found = conn.execute(sa.select(c.request_id, c.first_seen_at).where(*those))
        seen |= {row.request_id: row.first_seen_at for row in found}
        conn.execute(sa.delete(job_requests).where(*those))
    return seen


def _stored_ids(conn: sa.Connection, source_id: int, ids: Sequence[str]) -> set[str]:
    c = video_jobs.c
    found: set[str] = set()
    for part in _cut_ids(ids):
        found.update(conn.scalars(sa.select(c.job_id).where(c.source_id == source_id, c.job_id.in_(part))))
    return found


def _taken_roles(
    conn: sa.Connection, source_id: int, ids: Sequence[str]
) -> set[tuple[str | None, str | None]]:
    """The roles that are taken already, with their jobs."""
    c = job_requests.c
    found: set[tuple[str | None, str | None]] = set()
    for part in _cut_ids(ids):
        query = sa.select(c.job_id, c.role).where(c.source_id == source_id, c.job_id.in_(part))
        found.update((row.job_id, row.role) for row in conn.execute(query.where(c.role.is_not(None))))
    return found


def _set_reads(conn: sa.Connection, source_id: int, ids: Sequence[str], left: Any) -> None:
    c = job_requests.c
    for part in _cut_ids(ids):
        of_jobs = (c.source_id == source_id, _wanted(c).in_(part), c.reads_left > 0)
        conn.execute(sa.update(job_requests).where(*of_jobs).values(reads_left=left))


def _cut_ids(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
