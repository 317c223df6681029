"""Jobs into `video_jobs` and their history: compare with what is known, write only what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from etl.load import bulk, sql_values
from etl.load.erasures import find_erased_jobs, has_erasures, mark_erased_jobs
from etl.load.job_rows import INSERTED, JOB_KEY, VERSION_COLUMNS, make_ready, stored_row, tracked_values
from etl.load.lookup import Known
from etl.load.observed import Observed, Sight, observe_changes
from etl.load.totals import Totals
from etl.load.twins import find_twins, mark_twins
from etl.records import TRACKED, Counts, JobRow, Op
from etl.schema.tables import video_job_versions, video_jobs
from etl.transform.erasing import erase_row

_UPDATE = (*TRACKED, "settled", "content_hash", "version", "last_changed_at", "list_position")
_SET = (*_UPDATE, *Observed._fields)
_CLEARED = ("unlisted_at", "unlisted_reason", "suspect_run_id")
#: What a version says that its job says otherwise, at the moment of its insert.
_AT_INSERT = {
    "op": "'insert'",
    "valid_from": "first_seen_at",
    "changed_fields": "NULL",
    "unlisted_reason": "NULL",
    "run_id": "first_run_id",
}
_COPY_FIRST_VERSIONS = (
    f"INTO video_job_versions ({', '.join(VERSION_COLUMNS)}) "  # noqa: S608 (our own names)
    f"SELECT {', '.join(_AT_INSERT.get(name, name) for name in VERSION_COLUMNS)} FROM video_jobs"
)
#: Jobs whose rows SQLite gets at once, before the next ones are made: of a whole batch they are 5 MB.
_AT_ONCE = 500
_NUMBER_ANEW = """UPDATE video_jobs SET version = 1 + COALESCE((SELECT MAX(version) FROM video_job_versions v
    WHERE v.source_id = video_jobs.source_id AND v.job_id = video_jobs.job_id), 0)"""


def _id_of(job: Seen) -> str:
    return job.row.job_id


class Seen(NamedTuple):
    """One job on one page: where it stands, when the page came, and what is known of it.

    `partial` marks an answer by id, which leaves out zero values: what it does not say has not changed.
    `ready` is what `job_rows.ready_rows` made of it, if it was asked.
    """

    row: JobRow
    position: int
    at: datetime
    known: Known | None
    partial: bool = False
    ready: Any = None


@dataclass(slots=True)
class _WritePlan:
    """The rows of one write, by statement."""

    inserts: list[Seen] = field(default_factory=list)
    updates: list[tuple[Any, ...]] = field(default_factory=list)
    progress: list[tuple[Any, ...]] = field(default_factory=list)
    moves: list[tuple[Any, ...]] = field(default_factory=list)
    rehashes: list[tuple[Any, ...]] = field(default_factory=list)
    versions: list[tuple[Any, ...]] = field(default_factory=list)
    twins: dict[str, int] = field(default_factory=dict)
    erased: list[str] = field(default_factory=list)
    came: list[JobRow] = field(default_factory=list)
    went: list[JobRow] = field(default_factory=list)
    back: list[JobRow] = field(default_factory=list)  # as they were when they were no longer listed


class JobWriter:
    """Writes the jobs of one run. `history_progress` gives progress-only changes a version too; `alone` says
    that all jobs stored are this run's, each written once; `first` that `look_again` follows a first load;
    `orphans` that new jobs may have a history, which goes on. Raises DuplicateRow when that is not so."""

    def __init__(
        self,
        conn: sa.Connection,
        source_id: int,
        run_id: int,
        *,
        history_progress: bool = False,
        alone: bool = False,
        first: bool = False,
        orphans: bool = False,
    ) -> None:
        self._conn = conn
        self._source_id = source_id
        self._run_id = run_id
        self._history_progress = history_progress
        self._alone = alone
        self._first = first
        self._orphans = orphans
        self.shared: list[tuple[int, Seen]] = []  # jobs that were written, and who counts them
        self._time = sql_values.instant_writer(conn.dialect.name)

    def write(self, seen: Sequence[Seen], counts: Counts) -> None:
        """Write jobs, each at most once in `seen`, and count what became of them."""
        plan = _WritePlan()
        changed: list[Seen] = []
        plan.inserts = self._obey_erasures(plan, [job for job in seen if job.known is None])
        if not self._first:
            plan.twins = find_twins(self._conn, self._source_id, [job.row for job in plan.inserts])
        plan.came += [job.row for job in plan.inserts if job.row.job_id not in plan.twins]
        self.shared += [(plan.twins[i], job) for job in plan.inserts if (i := job.row.job_id) in plan.twins]
        for job in seen:
            if job.known is None:
                continue
            if self._row_differs(job.row, job.known):
                changed.append(job)
            else:
                self._touch_job(plan, job, counts)
        counts.jobs_inserted += len(plan.inserts)
        self._change_jobs(plan, changed, counts)
        self._execute_plan(plan)

    def _obey_erasures(self, plan: _WritePlan, new: list[Seen]) -> list[Seen]:
        """New jobs, those without texts that were erased in another source or before they were stored."""
        if not new or not has_erasures(self._conn):
            return new
        erased = find_erased_jobs(self._conn, [job.row.job_id for job in new])
        plan.erased = sorted(erased)
        return [
            job._replace(row=erase_row(job.row), ready=None) if job.row.job_id in erased else job
            for job in new
        ]

    def _row_differs(self, row: JobRow, known: Known) -> bool:
        return (
            row.content_hash != known.content_hash
            or known.unlisted
            or (self._history_progress and row.progress != known.progress)
        )

    def _touch_job(self, plan: _WritePlan, job: Seen, counts: Counts) -> None:
        """A job that says nothing new, but perhaps for its progress or its place."""
        known = job.known
        assert known is not None
        key = (self._source_id, known.job_id)
        said = job.row.progress is not None or not job.partial
        if said and job.row.progress != known.progress:
            plan.progress.append((job.row.progress, *key))
            counts.jobs_updated += 1
        else:
            counts.jobs_unchanged += 1
        if job.position != known.list_position or known.suspect_run_id is not None:
            plan.moves.append((job.position, None, *key))

    def _change_jobs(self, plan: _WritePlan, changed: Sequence[Seen], counts: Counts) -> None:
        stored = self._read_stored([job.row.job_id for job in changed])
        updates: list[tuple[Seen, Sight, list[str]]] = []
        erased = {job_id for job_id, old in stored.items() if old["erased_at"] is not None}
        shown = (job._replace(row=erase_row(job.row)) if job.row.job_id in erased else job for job in changed)
        for job in shown:
            assert job.known is not None
            old = stored[job.row.job_id]
            fields = [name for name in TRACKED if not _same_meaning(getattr(job.row, name), old[name])]
            if job.partial:
                fields = [name for name in fields if getattr(job.row, name) is not None]
                # Of some providers a read by id says that the job was created just now.
                fields = [name for name in fields if name != "created_at" or old[name] is None]
            if not self._history_progress:
                fields = [name for name in fields if name != "progress"]
            # Two lanes of one run may show a job in the wrong order: the later sight stands.
            outdated = job.known.first_run_id == self._run_id and job.at < old["last_changed_at"]
            if outdated:
                counts.jobs_unchanged += 1
            elif fields or job.known.unlisted:
                updates.append((job, _sight_of(job, old), fields))
                counts.jobs_updated += 1
            else:
                self._touch_job(plan, job, counts)
                if not job.partial:  # the stored digest was an answer by id's
                    plan.rehashes.append((job.row.content_hash, self._source_id, job.row.job_id))
        observed = observe_changes(
            self._conn, self._source_id, self._run_id, [sight for _, sight, _ in updates]
        )
        for (job, sight, fields), seen in zip(updates, observed, strict=True):
            self._update_job(plan, job, sight, fields, seen)

    def _update_job(
        self, plan: _WritePlan, job: Seen, sight: Sight, fields: list[str], seen: Observed
    ) -> None:
        known, row = job.known, sight.row
        assert known is not None
        if sight.old["twin_source_id"] is None:
            (plan.back if known.unlisted else plan.went).append(stored_row(sight.old))
            plan.came.append(row)
        else:
            self.shared.append((sight.old["twin_source_id"], job._replace(row=row)))
        at = self._time(sight.at)
        tracked, key, version = (
            tracked_values(row, self._time),
            (self._source_id, row.job_id),
            known.version + 1,
        )
        op: Op = "relist" if known.unlisted else "update"
        own = [self._time(value) if isinstance(value, datetime) else value for value in seen]
        plan.updates.append(
            (*tracked, row.settled, row.content_hash, version, at, job.position, *own, None, None, None, *key)
        )
        names = msgspec.json.encode(fields).decode()
        plan.versions.append((*key, version, op, at, names, *tracked, None, self._run_id))

    def _read_stored(self, ids: Sequence[str]) -> dict[str, Any]:
        table = video_jobs
        rows: dict[str, Any] = {}
        for start in range(0, len(ids), 500):
            query = sa.select(table).where(
                table.c.source_id == self._source_id, table.c.job_id.in_(ids[start : start + 500])
            )
            rows.update((row["job_id"], row) for row in self._conn.execute(query).mappings())
        return rows

    def _execute_plan(self, plan: _WritePlan) -> None:
        conn, table = self._conn, video_jobs
        self._insert_all(plan.inserts)
        mark_twins(conn, self._source_id, plan.twins)
        mark_erased_jobs(conn, self._source_id, plan.erased)
        bulk.update_rows(conn, table, (*_SET, *_CLEARED), JOB_KEY, plan.updates)
        bulk.update_rows(conn, table, ("progress",), JOB_KEY, plan.progress)
        bulk.update_rows(conn, table, ("list_position", "suspect_run_id"), JOB_KEY, plan.moves)
        bulk.update_rows(conn, table, ("content_hash",), JOB_KEY, plan.rehashes)
        bulk.insert_rows(conn, video_job_versions, VERSION_COLUMNS, plan.versions)
        totals = Totals(plan.came)
        totals.subtract(Totals(plan.went))
        totals.subtract(Totals(plan.back, unlisted=True))
        totals.write(conn, self._source_id)

    def _insert_all(self, jobs: list[Seen]) -> None:
        """New jobs, and their first versions: those are copied inside the database, so they travel once."""
        if not jobs:
            return
        new = bulk.rows_to_come(self._conn, video_jobs)
        if new:  # SQLite: by id, so that each page of the two indexes of ids is changed and written once
            jobs = sorted(jobs, key=_id_of)
        size = _AT_ONCE if new else len(jobs)
        for start in range(0, len(jobs), size):
            self._insert_rows(jobs[start : start + size])
        which, ids = new or self._where_inserted(jobs)
        if self._orphans:
            self._go_on_with_history(jobs)
        order = "rowid" if new else "list_position"
        # An error rolls all back anyway, so SQLite need not keep every page as it was before the statement:
        # 40 MB for a batch amid a million jobs.
        insert = "INSERT OR FAIL" if new else "INSERT"
        bulk.run_driver_sql(
            self._conn, f"{insert} {_COPY_FIRST_VERSIONS} WHERE {which} ORDER BY {order}", ids
        )

    def _insert_rows(self, jobs: list[Seen]) -> None:
        made = zip(self._prepare_rows(jobs), jobs, strict=True)
        rows = [(row, job.position, self._run_id) for row, job in made]
        bulk.insert_ready(self._conn, video_jobs, INSERTED, rows)

    def _go_on_with_history(self, jobs: list[Seen]) -> None:
        """Number the first versions of jobs after those that history has of them."""
        where, ids = bulk.of_jobs(self._conn, self._source_id, [job.row.job_id for job in jobs])
        bulk.run_driver_sql(self._conn, f"{_NUMBER_ANEW} WHERE {where}", ids)

    def _prepare_rows(self, jobs: list[Seen]) -> list[Any]:
        late = [(job.row, job.at) for job in jobs if job.ready is None]
        made = iter(make_ready(self._conn.dialect.name, self._source_id, late))
        return [next(made) if job.ready is None else job.ready for job in jobs]

    def _where_inserted(self, jobs: list[Seen]) -> tuple[str, tuple[str, ...]]:
        """A WHERE for the jobs just inserted: by the stretch they fill, unless others stand in it.

        A stretch is read in its order; thousands of ids must be parsed, looked up and sorted.
        """
        places = [job.position for job in jobs]
        stretch = (
            f"source_id = {self._source_id} AND list_position BETWEEN {min(places)} AND {max(places)}"
            f" AND first_run_id = {self._run_id}"
        )
        if self._alone or self._count_where(stretch) == len(jobs):
            return stretch, ()
        return bulk.of_jobs(self._conn, self._source_id, [job.row.job_id for job in jobs])

    def _count_where(self, where: str) -> int:
        query = f"SELECT count(*) FROM video_jobs WHERE {where}"  # noqa: S608
        return int(bulk.run_driver_sql(self._conn, query).scalar_one())


def _sight_of(job: Seen, old: Any) -> Sight:
    """What an answer by id leaves out is as it was; our clock may have been set back."""
    row = job.row
    if job.partial:
        row = row._replace(**{n: old[n] for n in TRACKED if getattr(row, n) is None})
        created_at = old["created_at"] or row.created_at
        if created_at != row.created_at:  # the list decides: its answer must not look like this one
            row = row._replace(created_at=created_at, content_hash="-")
    return Sight(old, row, max(job.at, old["last_changed_at"]), job.partial)


def _same_meaning(new: Any, old: Any) -> bool:
    """Equal in meaning: JSON text may come back from the database with other spacing or key order."""
    if new == old:
        return True
    if isinstance(new, str) and isinstance(old, str) and new[:1] == "{" == old[:1]:
        try:
            return bool(msgspec.json.decode(new) == msgspec.json.decode(old))
        except msgspec.DecodeError:
            return False
    return False
