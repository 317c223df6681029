"""Jobs that a walk passed and did not see: suspects first, unlisted only on complete evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from etl.errors import SuspiciousScan
from etl.load import bulk, sql_values
from etl.load.awaited import by_suspicion
from etl.load.job_rows import JOB_KEY, VERSION_COLUMNS, stored_row
from etl.load.lookup import is_placed
from etl.load.positions import UNPLACED
from etl.load.totals import Totals
from etl.records import TRACKED, Counts, as_utc
from etl.schema.tables import sync_runs, video_job_versions, video_jobs

_job = video_jobs.c

_CHUNK = 500
#: So many jobs are looked through for one that is alone in its second.
_NEAR = 100


@dataclass(frozen=True, slots=True)
class Scan:
    """A complete, consistent scan. `oldest_position` is the oldest listed job's; `empty`: none was listed;
    `shown` are jobs that it has shown and that are stored below all the same."""

    oldest_position: int | None
    empty: bool = False
    shown: frozenset[str] = frozenset()


def suspect_jobs(conn: sa.Connection, source_id: int, run_id: int | None, missing: Sequence[str]) -> None:
    """Remember that this run passed these jobs' places and did not see them; None takes that back."""
    _set_suspicion(conn, source_id, missing, f"suspect_run_id = {'NULL' if run_id is None else run_id}")


def mark_reread(conn: sa.Connection, source_id: int, ids: Sequence[str], at: datetime) -> None:
    """Remember when these jobs were last read by id."""
    _set_suspicion(conn, source_id, ids, f"reread_at = {sql_values.moment_literal(at)}")


def _set_suspicion(conn: sa.Connection, source_id: int, ids: Sequence[str], what: str) -> None:
    if ids:
        where, parameters = bulk.of_jobs(conn, source_id, ids)
        bulk.run_driver_sql(conn, f"UPDATE video_jobs SET {what} WHERE {where}", parameters)  # noqa: S608


def refused_runs(conn: sa.Connection, source_id: int, complete_run_id: int | None) -> list[int]:
    """Runs since the last complete one whose list looked wrong, or that ended before it was judged: jobs that
    they saw first prove nothing, for they may be another account's."""
    c = sync_runs.c
    unjudged = (c.error_class == SuspiciousScan.__name__) | (c.kind == "reconcile")
    return list(conn.scalars(sa.select(c.id).where(*_runs_since(source_id, complete_run_id), unjudged)))


def incomplete_runs(conn: sa.Connection, source_id: int, complete_run_id: int | None) -> list[int]:
    """Runs since the last complete one: what they saw first is no ground to judge a scan by."""
    return list(conn.scalars(sa.select(sync_runs.c.id).where(*_runs_since(source_id, complete_run_id))))


def _runs_since(source_id: int, complete_run_id: int | None) -> tuple[sa.ColumnElement[bool], ...]:
    return sync_runs.c.source_id == source_id, sync_runs.c.id > (complete_run_id or 0)


def count_suspects(conn: sa.Connection, source_id: int, run_id: int, strange: Sequence[int] = ()) -> int:
    """How many listed jobs this run passed and did not see, but for those first seen by `strange` runs."""
    return _count_jobs(conn, strange, *suspect_conditions(source_id, run_id))


def count_still_listed(conn: sa.Connection, source_id: int, strange: Sequence[int] = ()) -> int:
    """How many jobs are believed to be listed, but for those."""
    return _count_jobs(conn, strange, _job.source_id == source_id, _job.unlisted_at.is_(None), is_placed())


def count_older(
    conn: sa.Connection,
    source_id: int,
    position: int,
    strange: Sequence[int] = (),
    shown: frozenset[str] = frozenset(),
) -> int:
    """How many listed jobs are older than the one at `position`, but for those, and those `shown`."""
    unsuspected = _job.suspect_run_id.is_(None)
    return _count_jobs(conn, strange, unsuspected, *_older_conditions(source_id, position, shown))


def _older_conditions(
    source_id: int, position: int, shown: frozenset[str]
) -> tuple[sa.ColumnElement[bool], ...]:
    """Listed jobs below a position, but for those that were `shown`."""
    older = (_job.source_id == source_id, _job.unlisted_at.is_(None), _job.list_position < position)
    return (*older, is_placed(), *([_job.job_id.not_in(sorted(shown))] if shown else []))


def suspects_behind(conn: sa.Connection, source_id: int, run_id: int, last: str, limit: int) -> list[str]:
    """So many of this run's suspects, in the order of their ids behind `last`."""
    query = sa.select(_job.job_id).where(*suspect_conditions(source_id, run_id), _job.job_id > last)
    return list(conn.scalars(query.order_by(_job.job_id).limit(limit)))


def listed_below(conn: sa.Connection, source_id: int, position: int, limit: int) -> list[tuple[str, int]]:
    """Id and position of so many listed jobs below this position, the newest first."""
    query = sa.select(_job.job_id, _job.list_position).where(
        *_older_conditions(source_id, position, frozenset())
    )
    found = conn.execute(query.order_by(_job.list_position.desc()).limit(limit))
    return [(row.job_id, row.list_position) for row in found]


def _count_jobs(conn: sa.Connection, strange: Sequence[int], *where: sa.ColumnElement[bool]) -> int:
    known = (_job.first_run_id.not_in(strange),) if strange else ()
    return int(
        conn.execute(sa.select(sa.func.count()).select_from(video_jobs).where(*where, *known)).scalar_one()
    )


def forget_suspects(conn: sa.Connection, source_id: int, run_id: int) -> None:
    """Nobody is suspected by this run any more."""
    conn.execute(
        sa.update(video_jobs).where(*suspect_conditions(source_id, run_id)).values(suspect_run_id=None)
    )


def suspects_at_new_end(conn: sa.Connection, source_id: int, run_id: int) -> list[str]:
    """Jobs that this run did not see and that stand above all that it did, the newest first."""
    seen = (_job.source_id == source_id, _job.unlisted_at.is_(None), _job.suspect_run_id.is_(None))
    top = sa.select(sa.func.max(_job.list_position)).where(*seen, is_placed()).scalar_subquery()
    above = sa.select(_job.job_id).where(*suspect_conditions(source_id, run_id), _job.list_position > top)
    return list(conn.scalars(above.order_by(_job.list_position.desc())))


@dataclass(frozen=True, slots=True)
class Boundary:
    """A known, listed job between two segments of a scan; `created_at` is the gateway's (UTC)."""

    job_id: str
    position: int
    created_at: datetime | None


def find_boundary(conn: sa.Connection, source_id: int, start: Boundary | None, size: int) -> Boundary | None:
    """The listed job that ends a segment of about `size` jobs behind `start` (None: the oldest); None when
    fewer are left. Asked segment by segment, so that the first one is read before all jobs were counted.

    Counted are unlisted jobs too: so the index on positions tells, without a look at the jobs. A job that
    shares its second with none of its neighbours is taken where there is one: what stands behind it is the
    same, whatever order a gateway gives to jobs of one second.
    """
    place, of_source = _job.list_position, _job.source_id == source_id
    low = UNPLACED if start is None else start.position
    query = sa.select(place).where(of_source, place > low).order_by(place).offset(size - 1).limit(1)
    if (end := conn.scalar(query)) is None:
        return None
    listed = (_job.unlisted_at.is_(None), _job.suspect_run_id.is_(None))
    found = sa.select(_job.job_id, place, _job.created_at).where(of_source, place >= end, *listed)
    rows = [Boundary(*row) for row in conn.execute(found.order_by(place).limit(_NEAR))]
    dense = rows[0] if len(rows) == _NEAR else None  # else what is left is soon read
    return next(filter(None, map(_if_alone, rows, rows[1:], rows[2:])), dense)


def _if_alone(before: Boundary, job: Boundary, after: Boundary) -> Boundary | None:
    return None if job.created_at in (before.created_at, after.created_at) else job


def conclude_scan(
    conn: sa.Connection, source_id: int, run_id: int, scan: Scan, counts: Counts, at: datetime
) -> None:
    """Mark what the scan proves: suspects are missing, all that is older than the oldest listed aged out."""
    missing = sa.select(_job.job_id).where(*suspect_conditions(source_id, run_id))
    counts.jobs_unlisted += _unlist_all(conn, source_id, run_id, missing, "missing", at)
    if scan.empty:
        everything = sa.select(_job.job_id).where(
            _job.source_id == source_id, _job.unlisted_at.is_(None), is_placed()
        )
        counts.jobs_unlisted += _unlist_all(conn, source_id, run_id, everything, "unknown", at)
    elif scan.oldest_position is not None:
        older = sa.select(_job.job_id).where(*_older_conditions(source_id, scan.oldest_position, scan.shown))
        counts.jobs_unlisted += _unlist_all(conn, source_id, run_id, older, "aged_out", at)


def suspect_conditions(source_id: int, run_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Never one that came to light in this run: it was listed, whatever place it was given."""
    suspected = (by_suspicion(source_id), _job.suspect_run_id == run_id, _job.unlisted_at.is_(None))
    return (*suspected, _job.first_run_id != run_id)


def _unlist_all(
    conn: sa.Connection,
    source_id: int,
    run_id: int,
    query: sa.Select[tuple[str]],
    reason: str,
    at: datetime,
) -> int:
    """Work is done in chunks, so that a forgotten history of any length fits in memory."""
    done = 0
    while ids := conn.scalars(query.limit(_CHUNK)).all():
        done += unlist_jobs(conn, source_id, run_id, [(str(job_id), reason) for job_id in ids], at)
    return done


def unlist_jobs(
    conn: sa.Connection, source_id: int, run_id: int, jobs: Iterable[tuple[str, str]], at: datetime
) -> int:
    """Mark (job_id, reason) pairs as no longer listed, with a version each; returns how many."""
    reasons = dict(jobs)
    table, ids = video_jobs, list(reasons)
    done = 0
    for start in range(0, len(ids), 500):
        query = sa.select(table).where(
            table.c.source_id == source_id,
            table.c.job_id.in_(ids[start : start + 500]),
            table.c.unlisted_at.is_(None),
        )
        done += _unlist_rows(conn, list(conn.execute(query).mappings()), reasons, run_id, at)
    return done


def _unlist_rows(
    conn: sa.Connection, rows: list[Any], reasons: dict[str, str], run_id: int, at: datetime
) -> int:
    time = sql_values.instant_writer(conn.dialect.name)
    updates, versions = [], []
    for row in rows:
        key, reason = (row["source_id"], row["job_id"]), reasons[row["job_id"]]
        moment = time(max(as_utc(at), row["last_changed_at"]))
        tracked = [time(v) if isinstance(v := row[n], datetime) else v for n in TRACKED]
        version = row["version"] + 1
        updates.append((version, moment, moment, reason, None, *key))
        versions.append((*key, version, "unlist", moment, '["unlisted_at"]', *tracked, reason, run_id))
    columns = ("version", "last_changed_at", "unlisted_at", "unlisted_reason", "suspect_run_id")
    bulk.update_rows(conn, video_jobs, columns, JOB_KEY, updates)
    bulk.insert_rows(conn, video_job_versions, VERSION_COLUMNS, versions)
    counted = [row for row in rows if row["twin_source_id"] is None]
    _count_vanished(conn, [row for row in counted if not row["settled"]])
    return len(rows)


def _count_vanished(conn: sa.Connection, rows: list[Any]) -> None:
    """They were open, as the totals have it. All are one source's."""
    if rows:
        jobs = list(map(stored_row, rows))
        totals = Totals(jobs, unlisted=True)
        totals.subtract(Totals(jobs))
        totals.write(conn, rows[0]["source_id"])
