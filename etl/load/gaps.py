"""Stretches of the list that nobody has read: `coverage_gaps`. No row: complete.

A row is deleted in the transaction that stores what it stood for: when a walk has read from its lower end to
its upper one, page behind page, or when a reconcile has read everything and did not meet it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load import bulk, lookup
from etl.load.placing import Lane
from etl.load.sql_values import storable_text
from etl.schema.tables import coverage_gaps, sync_state, video_jobs

#: `unreadable`: the gateway fails on every page that holds this stretch. `interrupted`: a walk from the
#: newest job has not come down to known jobs yet. `window`: the list did not reach back to what was known.
GapKind = Literal["unreadable", "interrupted", "window"]
_HELD = "a walk from the newest job has not come down to known jobs yet; the next run goes on"
_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch to be recorded: behind `last_known_job_id`, before `oldest_listed_job_id` (None: the list's
    own end). The instants are those jobs' creation (UTC). `accepted`: somebody knows, and lives with it."""

    gap_from: datetime | None
    gap_until: datetime | None
    last_known_job_id: str | None
    oldest_listed_job_id: str | None
    reason: str
    kind: GapKind = "window"
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class OpenGap:
    """A recorded gap behind the job `below` and before the job `above` (None: the list's own end), at the
    positions `low` and `high` (None: the end, or no such job is stored)."""

    id: int
    kind: GapKind
    below: str | None
    above: str | None
    low: int | None
    high: int | None
    probed_at: datetime | None
    accepted: bool

    def overlaps(self, low: int | None, high: int | None) -> bool:
        """Some place lies both in it and between these positions (None: no bound)."""
        mine = _ordered_bounds(self.low, self.high)
        other = _ordered_bounds(low, high)
        return max(mine[0], other[0]) < min(mine[1], other[1])

    def is_read_by(self, lane: Lane) -> bool:
        """The lane has read from one end of it to the other."""
        if lane.order == "asc":
            begun = lane.from_end if self.below is None else _reaches_edge(self.low, lane.near, -1)
            return begun and (lane.ended if self.above is None else _reaches_edge(self.high, lane.edge, 1))
        begun = lane.from_end if self.above is None else _reaches_edge(self.high, lane.near, 1)
        return begun and (lane.ended if self.below is None else _reaches_edge(self.low, lane.edge, -1))


def _ordered_bounds(low: int | None, high: int | None) -> tuple[int, int]:
    return _LOWEST if low is None else low, _HIGHEST if high is None else high


def _reaches_edge(end: int | None, edge: int | None, sign: int) -> bool:
    return end is not None and edge is not None and sign * edge >= sign * end


# Put together once, as every tick asks it.
_ALL = (
    sa.select(coverage_gaps)
    .where(coverage_gaps.c.source_id == sa.bindparam("source"))
    .order_by(coverage_gaps.c.id)
)


def read_open(conn: sa.Connection, source_id: int) -> list[OpenGap]:
    """Every gap of the source, oldest places first, with the positions that its ends have now."""
    rows = conn.execute(_ALL, {"source": source_id}).all()
    ids = {i for row in rows for i in (row.last_known_job_id, row.oldest_listed_job_id) if i is not None}
    known = lookup.known_jobs(conn, source_id, list(ids))
    places = {job_id: job.list_position for job_id, job in known.items()}
    found = [
        OpenGap(
            id=row.id,
            kind=row.kind,
            below=row.last_known_job_id,
            above=row.oldest_listed_job_id,
            low=places.get(row.last_known_job_id),
            high=places.get(row.oldest_listed_job_id),
            probed_at=row.probed_at,
            accepted=row.accepted_at is not None,
        )
        for row in rows
    ]
    return sorted(found, key=lambda gap: _ordered_bounds(gap.low, gap.high))


class GapBook:
    """What one transaction does to a source's gaps. `met` collects the ids of those that the run has met."""

    def __init__(
        self,
        conn: sa.Connection,
        source_id: int,
        run_id: int,
        now: datetime,
        gaps: Sequence[OpenGap],
        met: set[int],
    ) -> None:
        self._conn, self._source_id, self._run_id, self._now = conn, source_id, run_id, now
        self._gaps, self._met, self._changed = list(gaps), met, False

    def present(self) -> list[OpenGap]:
        """The gaps as they are now."""
        return read_open(self._conn, self._source_id) if self._changed else self._gaps

    def close_read(self, lanes: Sequence[Lane]) -> None:
        """Forget the gaps that one of these lanes has read from end to end."""
        self._delete_gaps([gap for gap in self._gaps if any(gap.is_read_by(lane) for lane in lanes)])

    def joined(self, *, everything: bool) -> None:
        """No walk is left above a hole; `everything`: a reconcile has read the whole list, so what it did not
        meet again is readable, or gone."""
        over = [gap for gap in self._gaps if gap.kind == "interrupted"]
        if everything:
            unmet = [gap for gap in self._gaps if gap.id not in self._met]
            over += [gap for gap in unmet if gap.kind == "unreadable" or self._is_listed(gap)]
        self._delete_gaps(over)

    def _is_listed(self, gap: OpenGap) -> bool:
        """Both of its ends are listed, so that what lies between was read with everything."""
        ends = [end for end in (gap.below, gap.above) if end is not None]
        known = lookup.known_jobs(self._conn, self._source_id, ends)
        return len(ends) == 2 and len(known) == 2 and not any(job.unlisted for job in known.values())

    def note(self, gaps: Sequence[Gap], probed: Sequence[int]) -> None:
        """Open these gaps, and note of recorded ones that the gateway was asked for them in vain."""
        for gap in gaps:
            self._record_gap(gap)
        if probed:
            which = coverage_gaps.c.id.in_(probed)
            self._conn.execute(sa.update(coverage_gaps).where(which).values(probed_at=self._now))
            self._met.update(probed)
            self._changed = True

    def hold(self, below: Sequence[Any], ground: int) -> None:
        """A walk from the newest job has not come down to what run `ground` and earlier ones knew. `below`
        are the last jobs above each hole, newest first."""
        edge = str(below[-1]) if below else None
        known = lookup.newest_known(self._conn, self._source_id, ground)
        low, since = (None, None) if known is None else known
        until = _created_at(self._conn, self._source_id, edge)
        self._record_gap(Gap(since, until, low, edge, _HELD, "interrupted"))

    def _delete_gaps(self, over: Sequence[OpenGap]) -> None:
        if over:
            self._conn.execute(
                sa.delete(coverage_gaps).where(coverage_gaps.c.id.in_([gap.id for gap in over]))
            )
            self._gaps = [gap for gap in self._gaps if gap not in over]
            self._changed = True

    def _record_gap(self, gap: Gap) -> None:
        """Write the gap, or move the ends of the one that it is a new sight of."""
        values = {name: getattr(gap, name) for name in gap.__slots__ if name != "accepted"}
        values = {name: storable_text(v) if isinstance(v, str) else v for name, v in values.items()}
        values |= {"run_id": self._run_id, "probed_at": self._now}
        for name, job_id in (("gap_from", gap.last_known_job_id), ("gap_until", gap.oldest_listed_job_id)):
            values[name] = values[name] or _created_at(self._conn, self._source_id, job_id)
        if gap.accepted:
            values["accepted_at"] = self._now
        same = self._same_gaps(gap)
        if same:
            self._conn.execute(
                sa.update(coverage_gaps).where(coverage_gaps.c.id == same[0].id).values(**values)
            )
            self._met.add(same[0].id)
        else:
            values |= {"source_id": self._source_id, "detected_at": self._now}
            self._met.add(bulk.insert_one(self._conn, coverage_gaps, values))
        self._delete_gaps(same[1:])
        self._changed = True
        self._gaps = read_open(self._conn, self._source_id)

    def _same_gaps(self, gap: Gap) -> list[OpenGap]:
        alike = [other for other in self._gaps if other.kind == gap.kind]
        if gap.kind == "interrupted":
            return alike
        if gap.kind == "window":
            begun = gap.last_known_job_id
            return [o for o in alike if begun is not None and o.below == begun and o.above is None]
        ends = (gap.last_known_job_id, gap.oldest_listed_job_id)
        known = lookup.known_jobs(self._conn, self._source_id, [i for i in ends if i is not None])
        low, high = (known[i].list_position if i in known else None for i in ends)
        return [other for other in alike if other.overlaps(low, high)]


def with_holes(checkpoint: dict[str, Any] | None, floating: Sequence[Lane]) -> dict[str, Any] | None:
    """The checkpoint, with where each walk from the newest job has stopped above a stretch not yet read: the
    next run goes on there, however this one ends."""
    for lane in floating:
        noted = (checkpoint or {}).get("below", [])
        if lane.cursor not in noted:
            below = [lane.cursor, *(cursor for cursor in noted if cursor != lane.noted)]
            checkpoint = {**(checkpoint or {}), "below": below}
        lane.noted = lane.cursor
    return checkpoint


def _created_at(conn: sa.Connection, source_id: int, job_id: str | None) -> datetime | None:
    """Creation of a stored job (UTC)."""
    jobs = video_jobs.c
    query = sa.select(jobs.created_at).where(jobs.source_id == source_id, jobs.job_id == job_id)
    found: datetime | None = None if job_id is None else conn.scalar(query)
    return found


def accept_gaps(engine: sa.Engine, ids: Sequence[int], now: datetime) -> int:
    """Note that somebody knows of these gaps and lives with them; returns how many were open. What only an
    unfinished walk has left is not lost, and cannot be accepted, unless its source is retired. Raises
    StorageError."""
    archives = sa.select(sync_state.c.source_id).where(sync_state.c.retired_at.is_not(None))
    which = (
        coverage_gaps.c.id.in_(ids),
        coverage_gaps.c.accepted_at.is_(None),
        (coverage_gaps.c.kind != "interrupted") | coverage_gaps.c.source_id.in_(archives),
    )
    with write_transaction(engine) as conn:
        return int(conn.execute(sa.update(coverage_gaps).where(*which).values(accepted_at=now)).rowcount)
