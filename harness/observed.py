"""What a simulated gateway has shown, in the words of the tables, without the client's code."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from etl.simulator import World

SETTLED = ("completed", "failed", "cancelled")
FIELDS = ("model", "status", "prompt", "size", "seconds", "created_at", "completed_at", "expires_at")
SHOWN = (*FIELDS, "error_code", "error_message", "remixed_from_job_id")
CREATED = SHOWN.index("created_at")
Truth = tuple[Any, ...]


def columns(job: dict[str, Any]) -> Truth:
    """SHOWN, from a job as the gateway shows it."""
    error = job.get("error") or {}
    seconds = job.get("seconds")
    return (
        job.get("model") or None,
        job.get("status"),
        job.get("prompt") or None,
        job.get("size") or None,
        float(seconds) if seconds else None,
        *(_moment(job.get(name)) for name in ("created_at", "completed_at", "expires_at")),
        error.get("code") or None,
        error.get("message") or None,
        job.get("remixed_from_video_id") or None,
    )


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


class Observed:
    """Everything that the gateway has ever shown, moment by moment. `hidden`: jobs that no page can show.

    `one_way`: it lists newest first only, so what is older than an unreadable record may be out of reach.
    `spoilt`: faults changed what jobs seemed to be, so a version may tell what the world never knew.
    """

    def __init__(
        self, world: World, hidden: Iterable[int] = (), *, spoilt: bool = False, one_way: bool = False
    ) -> None:
        self.world, self.spoilt, self.one_way = world, spoilt, one_way
        self.hidden = {world.id_at(index) for index in hidden}
        self.shown: dict[str, list[Truth]] = {}
        self.listed: dict[str, Truth] = {}
        self.must: set[str] = set()  # listed when somebody read to the end undisturbed
        self.moments: list[tuple[datetime, float]] = []  # our clock, and the world's from then on
        self._strangers = world.twin()
        self._count, self._open = 0, set[str]()

    def look(self) -> None:
        """Call after every move of the world, before anybody reads it."""
        jobs = [job for job in self.world.expected() if job["id"] not in self.hidden]
        self.listed = {job["id"]: self._note(job) for job in jobs}
        self._count = self.world.created_count()
        self._open = {job["id"] for job in jobs if job["status"] not in SETTLED}

    def glance(self) -> None:
        """Notice what is new or open, without reading the whole world; `listed` stays as it was."""
        count = self.world.created_count()
        self._open |= {self.world.id_at(index) for index in range(self._count, count)} - self.hidden
        self._count = count
        for job_id in list(self._open):
            job = self.world.job(job_id)
            if job is not None:
                self._note(job)
            if job is None or job["status"] in SETTLED:
                self._open.discard(job_id)
        self.moments.append((datetime.now(UTC), self.world.now()))

    def _note(self, job: dict[str, Any]) -> Truth:
        truth = columns(job)
        seen = self.shown.setdefault(job["id"], [])
        if truth not in seen[-1:]:
            seen.append(truth)
        return truth

    def is_stranger(self, job_id: str) -> bool:
        """A job of the account that a fault lets answer now and then."""
        return self._strangers.job(job_id) is not None

    def could_be_seen(self, job_id: str, since: datetime, until: datetime) -> bool:
        """It was listed from one moment of our clock to another."""
        places = [bisect_right(self.moments, moment, key=itemgetter(0)) for moment in (since, until)]
        return all(
            place > 0 and self.world.job(job_id, now=self.moments[place - 1][1]) is not None
            for place in places
        )

    def was_read(self) -> None:
        self.must |= self.listed.keys()
