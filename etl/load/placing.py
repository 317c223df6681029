"""Give the jobs of a walk their places, and notice known jobs that should have been there and were not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from etl.errors import SkippedPages
from etl.load import lookup, positions
from etl.load.lookup import Found, Known
from etl.load.upsert import Seen
from etl.records import JobRow, Order, PageRows
from etl.schema.tables import video_jobs


@dataclass(slots=True)
class Lane:
    """One walk in one direction. `edge` is the position of the last job passed; None at the list's end.

    `bounded` walks meet known jobs on their far side: the halves of a first load, the segments of a
    reconcile. `watch` notices known jobs that should have been passed and were not.
    """

    order: Order
    bounded: bool = False
    watch: bool = True
    edge: int | None = None
    started: bool = False
    near: int | None = None  # position of the first job passed, or of the one it began behind
    from_end: bool = False  # it began at the list's own end
    ended: bool = False  # its last page was the list's last one, says the page
    cursor: str | None = None  # where its next page begins
    joined: bool = False  # from the newest job down, it has come to known ground
    noted: str | None = None  # what it left in the checkpoint

    @property
    def floats(self) -> bool:
        """What it has read stands above a stretch that is not read yet."""
        return self.order == "desc" and self.cursor is not None and not self.joined

    def begin(self, after: str | None, known: dict[str, Known]) -> None:
        """Start at the job that the first page was asked for behind, if it is known."""
        if not self.started:
            self.edge = self.near = known[after].list_position if after in known else None
            self.started = True

    def follow(self, pages: Sequence[PageRows]) -> None:
        """Each page begins where the one before has ended. Raises SkippedPages: else something unread would
        lie between them, and nobody would know."""
        for rows in pages:
            after = rows.page.request.after
            if self.cursor is None:
                self.from_end = after is None
            elif after != self.cursor:
                raise SkippedPages(self.cursor, after)
            self.cursor, self.ended = rows.page.leads_to or self.cursor, rows.page.ends


@dataclass(slots=True)
class Placed:
    """A lane's pages, placed: what to write, and how many sights said nothing new.

    Those are repeats of a job within the batch, and jobs that stand as they are stored.
    """

    seen: list[Seen] = field(default_factory=list)
    unchanged: int = 0
    missing: list[str] = field(default_factory=list)


def place_lane(
    conn: sa.Connection, source_id: int, lane: Lane, pages: Sequence[PageRows], found: Found
) -> Placed:
    """Place the jobs of consecutive pages of one lane, which has begun; moves its edge."""
    known = found.jobs
    jobs, repeats = _unique_jobs(pages)
    ordered = positions.oldest_first(jobs, lane.order)
    stored = [known.get(row.job_id) for row, _ in ordered]
    ended = pages[-1].page.ends
    places = _find_places(conn, source_id, lane, [row for row, _ in ordered], stored, ended=ended)
    sights = [
        Seen(row, place, page.page.received_at, job, False, page.ready.get(row.job_id))
        for (row, page), place, job in zip(ordered, places, stored, strict=True)
        if job is None or not job.stands(row, place)
    ]
    if lane.near is None and places:
        near = places[0] if lane.order == "asc" else places[-1]
        lane.near = near if lane.edge is None else lane.edge
    placed = Placed(sights, repeats + len(ordered) - len(sights))
    if places:
        _pass_places(conn, source_id, lane, places, stored, placed, found, ended=ended)
    return placed


def _unique_jobs(pages: Iterable[PageRows]) -> tuple[list[tuple[JobRow, PageRows]], int]:
    """Every job once, its latest sight in its first place."""
    latest: dict[str, tuple[JobRow, PageRows]] = {}
    total = 0
    for page in pages:
        for row in page.jobs:
            latest[row.job_id] = (row, page)
            total += 1
    return list(latest.values()), total - len(latest)


def _find_places(
    conn: sa.Connection,
    source_id: int,
    lane: Lane,
    jobs: Sequence[JobRow],
    known: list[Known | None],
    *,
    ended: bool,
) -> list[int]:
    stored = [_place_beyond(lane, job) for job in known]
    places = [place for place in stored if place is not None]
    if places == stored and places == sorted(set(places)):
        return places
    low, high, newest = _outer_bounds(conn, source_id, lane, jobs, stored, ended=ended)
    return positions.place_jobs(stored, low, high, newest=newest, from_top=lane.order == "desc")


def _place_beyond(lane: Lane, job: Known | None) -> int | None:
    """Where it stands, unless it is to be placed anew: a place that the lane has passed contradicts the list,
    and where a lane turned back, what it has passed would count as missing later."""
    if job is None or job.list_position <= positions.UNPLACED:
        return None
    place, edge = job.list_position, lane.edge
    if edge is not None and (place <= edge if lane.order == "asc" else place >= edge):
        return None
    return place


def _outer_bounds(
    conn: sa.Connection,
    source_id: int,
    lane: Lane,
    jobs: Sequence[JobRow],
    places: Sequence[int | None],
    *,
    ended: bool,
) -> tuple[int | None, int | None, int | None]:
    """Positions just outside the batch, on its older and newer side, and of the newest job stored."""
    stored = [place for place in places if place is not None]
    if lane.order == "asc":
        low = _anchor_of_list(conn, source_id, jobs, stored) if lane.edge is None else lane.edge
        if lane.bounded:
            return low, _position_beyond(conn, source_id, max(stored, default=low), above=True), None
        last = max(stored, default=low)
        return low, _next_newer(conn, source_id, last, jobs, places), lookup.highest_position(conn, source_id)
    high, newest = lane.edge, None
    if high is None:  # the head of the list: nothing is newer
        newest = lookup.highest_position(conn, source_id)
        leap = positions.HOP if ended else positions.LEAP
        high = None if newest is None or stored else newest + leap
    bottom = min(stored) if stored else high
    return _position_beyond(conn, source_id, bottom, above=False), high, newest


def _anchor_of_list(
    conn: sa.Connection, source_id: int, jobs: Sequence[JobRow], stored: list[int]
) -> int | None:
    """The list may begin with an unknown job: what was created before it has aged out. A job without a time
    of creation tells nothing; the first one that has it does."""
    born = next((job.created_at for job in jobs if job.created_at is not None), None)
    found = None if born is None else lookup.newest_before(conn, source_id, born)
    return None if found is None or found >= min(stored, default=found + 1) else found


def _next_newer(
    conn: sa.Connection,
    source_id: int,
    last: int | None,
    jobs: Sequence[JobRow],
    places: Sequence[int | None],
) -> int | None:
    """The next known job after a batch that ends with unknown ones, unless they are newer than all: a lie may
    have hidden them until now. One that was deleted meanwhile does not count, so its age decides; and where
    its age is absurd, the room below it must not be used up."""
    unknown = list(
        takewhile(lambda pair: pair[1] is None, zip(reversed(jobs), reversed(places), strict=True))
    )
    times = [job.created_at for job, _ in unknown if job.created_at is not None]
    found = lookup.next_after(conn, source_id, last, max(times)) if times else None
    scarce = found is not None and last is not None and (found - last) // (2 * len(unknown) + 2) == 0
    return None if scarce else found


def _position_beyond(conn: sa.Connection, source_id: int, position: int | None, *, above: bool) -> int | None:
    if position is None:
        position = -(1 << 63) if above else (1 << 63) - 1
    found = lookup.find_neighbour(conn, source_id, position, above=above)
    return None if found is None else found[1]


def _pass_places(
    conn: sa.Connection,
    source_id: int,
    lane: Lane,
    places: list[int],
    stored: Sequence[Known | None],
    placed: Placed,
    found: Found,
    *,
    ended: bool,
) -> None:
    """Move the edge past the batch; list the known jobs in the passed stretch that were not seen."""
    far = places[-1] if lane.order == "asc" else places[0]
    if lane.watch:
        newer = None if lane.edge is None else lane.edge - 1
        low, high = (lane.edge, far) if lane.order == "asc" else (far - 1, newer)
        if low is None:  # what is older than the first job listed has aged out, and is the scan's to judge
            low = places[0] - 1
        if lane.order == "asc" and ended and not lane.bounded:
            high = None
        seen = [job for job in stored if job is not None]
        placed.missing = _missing_jobs(conn, source_id, low, high, seen, found)
    lane.edge = far


def _missing_jobs(
    conn: sa.Connection, source_id: int, low: int, high: int | None, seen: Sequence[Known], found: Found
) -> list[str]:
    """Jobs believed to be listed with low < position <= high (None: no bound) that are not among `seen`.

    Counted first: nearly always as many stand there as were seen, and then those are they.
    """
    ids = {job.job_id for job in seen}
    if found.covers(low, high):
        return [i for i, job in found.jobs.items() if i not in ids and job.listed_between(low, high)]
    stretch = {"source": source_id, "low": low, "high": lookup.HIGHEST if high is None else high}
    expected = sum(job.listed_between(low, high) for job in seen)
    count, every = _listed_in_stretch()
    if conn.scalar(count, {**stretch, "most": expected + 1}) == expected:
        return []
    return [i for i in conn.scalars(every, stretch) if i not in ids]


@cache  # every tick asks
def _listed_in_stretch() -> tuple[sa.Select[Any], sa.Select[Any]]:
    """How many listed jobs stand above `low` up to `high`, `most` at most, and which.

    Taken in order, and not all of them: PostgreSQL goes by an index then. It does not yet know the positions
    of what was just loaded, takes any stretch for half the table, and would read all of it at every tick.
    """
    c, place = video_jobs.c, video_jobs.c.list_position
    stretch = (place > sa.bindparam("low"), place <= sa.bindparam("high"))
    where = (c.source_id == sa.bindparam("source"), c.unlisted_at.is_(None), *stretch)
    first = sa.select(place).where(*where).order_by(place).limit(sa.bindparam("most")).subquery("stretch")
    return sa.select(sa.func.count()).select_from(first), sa.select(c.job_id).where(*where)
