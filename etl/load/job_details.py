"""`job_details`: which ended jobs are to be read by id, and what those that were have told."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from etl.load.erasures import find_erased_jobs, has_erasures
from etl.log_records import JobDetails
from etl.schema.tables import job_details, video_job_versions, video_jobs
from etl.transform.erasing import erase_message

#: In so many runs a job is asked for that the gateway does not find, or cannot read.
READS = 3
#: Versions that one run looks through, at most, for jobs that have ended.
LOOKED_THROUGH = 5000
_CHUNK = 500


class DetailMarks(NamedTuple):
    """Of the history, by change_seq: `newest` and all after it are yet to be looked through, and so is what
    lies before `oldest`; between the two every ended job has its row."""

    oldest: int
    newest: int


class DetailsRead(NamedTuple):
    """What asking once gave."""

    job_id: str
    outcome: Literal["read", "gone", "unreadable"]
    told: JobDetails = JobDetails()


@dataclass(slots=True)
class DetailsBatch:
    """What one transaction makes durable: jobs that have ended since, and what others have told."""

    ended: list[str] = field(default_factory=list)
    read: list[DetailsRead] = field(default_factory=list)


def newest_change(conn: sa.Connection, source_id: int) -> int:
    c = video_job_versions.c
    return conn.scalar(sa.select(sa.func.max(c.change_seq)).where(c.source_id == source_id)) or 0


def ended_jobs(conn: sa.Connection, source_id: int, marks: DetailMarks) -> tuple[DetailMarks, list[str]]:
    """Ended, listed jobs of a bounded stretch of history that has not been looked through: what is new, then
    what is older than all that has. Their ids, newest first, and the marks behind it."""
    c = video_job_versions.c
    new = _stretch(conn, source_id, c.change_seq > marks.newest, c.change_seq)
    old = [] if new else _stretch(conn, source_id, c.change_seq < marks.oldest, c.change_seq.desc())
    changes = sorted([*new, *old], reverse=True)
    if not changes:
        return marks, []
    after = DetailMarks(min(marks.oldest, changes[-1][0]), max(marks.newest, changes[0][0]))
    return after, _without_row(conn, source_id, list(dict.fromkeys(job_id for _, job_id in changes)))


def _stretch(
    conn: sa.Connection, source_id: int, where: sa.ColumnElement[bool], order: Any
) -> list[tuple[int, str]]:
    c = video_job_versions.c
    query = sa.select(c.change_seq, c.job_id).where(c.source_id == source_id, where)
    return [(row[0], row[1]) for row in conn.execute(query.order_by(order).limit(LOOKED_THROUGH))]


def _without_row(conn: sa.Connection, source_id: int, ids: Sequence[str]) -> list[str]:
    found: list[str] = []
    jobs = video_jobs.c
    for part in _parts(ids):
        taken = set(
            conn.scalars(
                sa.select(job_details.c.job_id).where(
                    job_details.c.source_id == source_id, job_details.c.job_id.in_(part)
                )
            )
        )
        query = sa.select(jobs.job_id).where(
            jobs.source_id == source_id, jobs.job_id.in_(part), jobs.settled, jobs.unlisted_at.is_(None)
        )
        ended = set(conn.scalars(query)) - taken
        found += [each for each in part if each in ended]
    return found


def jobs_without_details(conn: sa.Connection, source_id: int, limit: int) -> list[str]:
    """Ids of jobs that are to be read: those not tried yet first, of these the last that ended."""
    c = job_details.c
    query = sa.select(c.job_id).where(c.source_id == source_id, c.reads_left > 0)
    return list(conn.scalars(query.order_by(c.reads_left.desc(), c.queued_at.desc(), c.job_id).limit(limit)))


def write_details(
    conn: sa.Connection, source_id: int, run_id: int, batch: DetailsBatch, at: datetime
) -> None:
    rows = [
        {"source_id": source_id, "job_id": each, "queued_at": at, "reads_left": READS, "run_id": run_id}
        for each in _without_row(conn, source_id, batch.ended)
    ]
    if rows:
        conn.execute(sa.insert(job_details), rows)
    if batch.read:
        numbers = next_details(conn, source_id)
        for one in _obey_erasures(conn, batch.read):
            _write_read(conn, source_id, run_id, one, at, next(numbers))


def _obey_erasures(conn: sa.Connection, read: list[DetailsRead]) -> list[DetailsRead]:
    """The answers; those of erased jobs without what a reason may quote."""
    telling = {one.job_id for one in read if one.told.reasons}
    if not telling or not has_erasures(conn):
        return read
    erased = find_erased_jobs(conn, telling)
    return [one._replace(told=_without_quotations(one.told)) if one.job_id in erased else one for one in read]


def _without_quotations(told: JobDetails) -> JobDetails:
    return told._replace(reasons=tuple(erase_message(reason) or "" for reason in told.reasons))


def next_details(conn: sa.Connection, source_id: int) -> Iterator[int]:
    """The order of answers goes on where it stands; the source's lease is held."""
    c = job_details.c
    newest = conn.scalar(sa.select(sa.func.max(c.detail_seq)).where(c.source_id == source_id))
    return itertools.count((newest or 0) + 1)


def _write_read(
    conn: sa.Connection, source_id: int, run_id: int, one: DetailsRead, at: datetime, number: int
) -> None:
    c = job_details.c
    here = (c.source_id == source_id, c.job_id == one.job_id)
    seen: dict[str, Any] = {"read_at": at, "run_id": run_id}
    if one.outcome == "read":
        told = {**seen, **_values(one.told), "detail_seq": number}
        conn.execute(sa.update(job_details).where(*here).values(**told))
        return
    tried = {"reads_left": c.reads_left - 1, **seen}
    conn.execute(sa.update(job_details).where(*here, c.reads_left > 0).values(**tried))
    given_up = {"outcome": one.outcome, "detail_seq": number}
    conn.execute(sa.update(job_details).where(*here, c.reads_left == 0).values(**given_up))


def _values(told: JobDetails) -> dict[str, Any]:
    return {
        "outcome": "read",
        "reads_left": 0,
        "reported_cost": told.cost,
        "outputs": told.outputs,
        "variants": told.variants,
        "filtered_outputs": told.filtered,
        "filter_reasons": "; ".join(told.reasons) or None,
    }


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
