"""Jobs that live by the foreign gateway's clock, from one script for any number of gateways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.logs.site import Site
from tests.logs.test_discover import facts
from tests.support.foreign_gateway import ForeignGateway

Row = dict[str, Any]


@dataclass(frozen=True)
class Life:
    """Born `after` seconds behind the one before, its row written `late`; it waits, then takes, so long."""

    after: float
    late: float
    waits: float
    takes: float
    ends: str = "completed"


def bear(gateway: ForeignGateway, lives: list[Life], start: float) -> None:
    """All jobs, with the times of their births; none is there before."""
    at = start
    for number, life in enumerate(lives):
        at += life.after
        job_id = gateway.make(f"v{number:03}", at, late=life.late, model="veo-3.1", prompt=f"prompt {number}")
        gateway.jobs[job_id] |= {"seconds": "8", "size": "1280x720", "born": at, "life": life}


class Living(ForeignGateway):
    """Shows of the script what has happened by now: a job not yet born is in neither list nor log. `kept` are
    the rows that the reader has stored."""

    kept: frozenset[str] | set[str] = frozenset()

    def _list(self, query: dict[str, str]) -> Any:
        every, self.jobs = self.jobs, {i: self._now(job) for i, job in self._born().items()}
        try:
            return super()._list(query)
        finally:
            self.jobs = every

    def _job(self, job_id: str) -> Any:
        every, self.jobs = self.jobs, {i: self._now(job) for i, job in self._born().items() if i == job_id}
        try:
            return super()._job(job_id)
        finally:
            self.jobs = every

    def _born(self) -> dict[str, Row]:
        return {i: job for i, job in self.jobs.items() if job["born"] <= self.now}

    def _now(self, job: Row) -> Row:
        life, age = job["life"], self.now - job["born"]
        shown = {name: value for name, value in job.items() if name not in ("life", "born")}
        ended = int(job["born"] + life.waits + life.takes)
        if age < life.waits:
            return shown | {"status": "queued"}
        if age < life.waits + life.takes:
            return shown | {"status": "in_progress"}
        if life.ends == "failed":
            return shown | {"status": "failed", "error": {"code": "moderation", "message": "blocked"}}
        return shown | {"status": life.ends, "completed_at": ended, "progress": 100}


def own_rows(s: Site, table: str) -> list[Row]:
    """Of this source alone: others may share the database."""
    (source_id,) = (row["id"] for row in s.rows("sources") if row["name"] == s.source.name)
    return [row for row in s.rows(table) if row["source_id"] == source_id]


def mirrored(s: Site) -> tuple[dict[str, Row], dict[str, list[Row]]]:
    """What this source's tables say of jobs and their history: keys of the database aside."""
    jobs, versions = own_rows(s, "video_jobs"), own_rows(s, "video_job_versions")
    told: dict[str, list[Row]] = {}
    for row in sorted(versions, key=lambda row: row["version"]):
        told.setdefault(row["job_id"], []).append(_bare(row))
    return {row["job_id"]: _bare(row) for row in jobs}, told


def _bare(row: Row) -> Row:
    ours = ("source_id", "change_seq", "run_id", "suspect_run_id", "erased_at")
    return {name: value for name, value in facts(row).items() if name not in ours}


#: What depends on the moment at which a job came to light.
SEEN = frozenset(
    {"first_seen_at", "last_changed_at", "started_seen_at", "ended_seen_at", "valid_from", "version", "op"}
)


def states(versions: list[Row]) -> list[Row]:
    left_out = SEEN | {"changed_fields"}
    return [{name: value for name, value in row.items() if name not in left_out} for row in versions]


def assert_told_alike(listed: Any, found: Any, late: set[str]) -> None:
    """The same jobs and the same history. Of a job whose row came `late`, what happened before is not known:
    its history begins later, and goes on alike."""
    (jobs, told), (jobs_found, told_found) = listed, found
    assert jobs_found.keys() == jobs.keys()
    for job_id, row in jobs.items():
        if told_found[job_id] == told[job_id]:
            assert jobs_found[job_id] == row
            continue
        assert job_id in late, (told_found[job_id], told[job_id])
        known = states(told_found[job_id])
        assert known == states(told[job_id])[-len(known) :]
        assert states([jobs_found[job_id]]) == states([row])
