"""From the newest job down to known ground.

Used when the oldest-first tick finds no witness, and always for gateways that only list newest first. A walk
that is interrupted leaves a hole between what it read and what was known; the checkpoint's `below` lists the
cursors at which holes begin, newest first, and the next walk jumps down through them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from etl.errors import GatewayError, SuspiciousScan
from etl.load import Gap, Known, may_be_joined, newest_known, open_jobs
from etl.load.state import CREDIBLE, LOOK_BACK
from etl.pipeline.ending import Ending
from etl.pipeline.page_checks import created
from etl.pipeline.poison import isolate_from_above
from etl.pipeline.run import Run
from etl.pipeline.shifted import look_over
from etl.pipeline.walk import NEIGHBOURS, Steering, walk_list
from etl.records import JobRow, PageRequest, PageRows

#: So many unknown jobs that are older than the newest known one, in a list without any known one, are
#: another account's.
MANY = 10
CUT_SHORT = "the list ended here without showing its last job again"


def newest_first(run: Run) -> None:
    """Walk down until a page shows only known, settled jobs and no job is waited for below it.

    When the list ends before anything known was met, what lies between is recorded as a coverage gap.
    """
    descent = Descent(run)
    walk_list(descent, run.request("desc"))
    if descent.turned_amid_new and run.store.kind != "first":  # a first load is looked over as a whole
        look_over(run, descent.lowest_shown)
    if descent.hidden or not descent.reached_end:
        run.join("head")
        return
    run.met_known = descent.met_known
    if not descent.met_known and descent.overlapping >= MANY:
        raise SuspiciousScan(
            f"none of the known jobs is listed, but {descent.overlapping} others of their time are: perhaps"
            " another account's pages",
            hint="pin a key (`key_name`), and run `check`; if this is right, run `bifrost-etl reconcile"
            " SOURCE --accept-suspicious`",
        )
    if descent.unproved or not descent.met_known:
        run.open_gap(descent.gap(run))
    run.join("head")


class Descent(Steering):
    """Newest first to known ground, and what was met so far."""

    ending: Ending

    def __init__(self, run: Run) -> None:
        super().__init__(run, "head", "desc")
        source_id, complete = run.store.source_id, run.state.complete_run_id
        since = run.now() - timedelta(seconds=run.source.open_job_patience)
        self.ground = -1 if complete is None else complete  # jobs first seen by later runs prove nothing
        self.below: list[str] = list((run.state.checkpoint or {}).get("below", []))
        self.awaited = run.store.read(lambda conn: open_jobs(conn, source_id, since))
        self.unseen = dict(self.awaited)
        self.newest = run.store.read(lambda conn: newest_known(conn, source_id, self.ground))
        self.met_known = self.newest is None
        self.reached_end = False
        self.hidden = False  # all that is older stands in a recorded gap
        self.last: PageRows | None = None
        self._hole_run: int | None = None
        self._oldest: JobRow | None = None  # the last job seen
        self._newest_at: datetime | None = None  # creation of the newest job seen
        self.ending = Ending()
        self.unproved = False
        self.turned_amid_new = False  # a page that ends with a job that was not known led to the next one
        self.overlapping = 0  # unknown jobs that are older than the newest known one

    @property
    def lowest_shown(self) -> str | None:
        return None if self._oldest is None else self._oldest.job_id

    def begin_stretch(self, start: PageRequest) -> None:
        """The lane anew after every jump: its first cursor says where it stands."""
        self.run.lane(self.lane, self.order)

    def nears_end(self, rows: PageRows) -> bool:
        known = None if self.newest is None else self.newest[1]
        oldest = min(created(rows), default=None)
        return bool(self.below) or (known is not None and (oldest is None or oldest <= known))

    def take_page(self, rows: PageRows) -> None:
        """Store the page. On known ground the walk is over; at what an interrupted one has read, it jumps to
        where that one stopped."""
        run, following = self.run, rows.page.following
        run.check(self.lane, rows)
        known = run.store.known([row.job_id for row in rows.jobs])
        solid = {i: k for i, k in known.items() if k.first_run_id <= self.ground}
        self.met_known = self.met_known or bool(solid)
        self._count_overlapping(rows, solid)
        for job_id in known:
            self.unseen.pop(job_id, None)
        run.add(self.lane, rows)
        self.turned_amid_new = self.turned_amid_new or self._leads_on_from_new(rows, solid)
        self.last = rows
        self._oldest = rows.jobs[-1] if rows.jobs else self._oldest
        self.ending.saw(rows)
        done = self._on_known_ground(rows, solid)
        self.below = [hole for hole in self.below if hole not in known]  # the walk has come there itself
        jumps = not done and self._in_interrupted(known) and self._may_jump()
        holes = [following.after] if following is not None and not jumps else []
        run.commit_if_due({"below": [*holes, *(hole for hole in self.below if hole not in holes)]})
        if jumps:
            run.flush()  # what the lane passed is stored before the lane moves
            self.jump = run.request("desc", self.next_hole())
        self.over = done or jumps

    def _leads_on_from_new(self, rows: PageRows, solid: dict[str, Known]) -> bool:
        return rows.page.following is not None and bool(rows.jobs) and rows.jobs[-1].job_id not in solid

    def pass_poison(self, request: PageRequest, error: GatewayError) -> PageRequest | None:
        following, _ = isolate_from_above(self.run, self.lane, request, error)
        self.hidden = following is None
        return following

    def _count_overlapping(self, rows: PageRows, solid: dict[str, Known]) -> None:
        newest_at = None if self.newest is None else self.newest[1]
        if newest_at is not None and not self.met_known:
            unknown = [row for row in rows.jobs if row.job_id not in solid]
            self.overlapping += sum(1 for row in unknown if row.created_at and row.created_at < newest_at)

    def doubt_end(self) -> PageRequest | None:
        """Where to ask again when the list ends before anything known was met, or above a hole that an
        earlier walk left: a job stood there."""
        self.reached_end = True
        nothing_new = self.newest is None and not self.ending.tail
        expected = not self.below and (nothing_new or (self.newest is not None and self.met_known))
        if expected or not self.ending.doubt():
            self.unproved = not expected and not self.ending.proved
            return None
        self.reached_end = False
        self.run.flush()
        return self.run.request("desc", self.ending.cursor)

    def _on_known_ground(self, rows: PageRows, solid: dict[str, Known]) -> bool:
        """All known and settled (or given up), and every job still waited for stands above the page."""
        if not rows.jobs or rows.rejects or len(solid) < len(rows.jobs):
            return False
        top = max(k.list_position for k in solid.values())
        quiet = all(row.settled or row.job_id not in self.awaited for row in rows.jobs)
        below = quiet and all(position > top for position in self.unseen.values())
        return below and not self._may_hide(rows)

    def _may_hide(self, rows: PageRows) -> bool:
        """The page ends among jobs that are as new as the newest one: where a gateway orders by time and id,
        one that came since may stand farther down."""
        times = created(rows)
        latest = [moment for moment in times if moment <= self.run.now() + CREDIBLE]
        self._newest_at = max([*latest, *([self._newest_at] if self._newest_at else [])], default=None)
        newest = self._newest_at
        if newest is None or not times or newest - min(times) > LOOK_BACK or rows.page.ends:
            return False
        complete = self.run.state.complete_run_id
        return self.run.store.read(lambda conn: may_be_joined(conn, complete, newest))

    def _in_interrupted(self, known: dict[str, Known]) -> bool:
        """The page reaches what an interrupted walk stored: go on where that one stopped."""
        own = (self.run.store.committed.run_id, self._hole_run)
        return any(k.first_run_id > self.ground and k.first_run_id not in own for k in known.values())

    def _may_jump(self) -> bool:
        """To the next hole, but not over a job that was open when an interrupted walk stored it."""
        if self.run.begun_anew or self.run.state.learned.cursors_apart:
            return False  # no hole can be asked for by its job's id
        hole = self.run.store.known(self.below[:1]).get(self.below[0]) if self.below else None
        awaited = hole is not None and any(place > hole.list_position for place in self.unseen.values())
        return bool(self.below) and not awaited

    def next_hole(self) -> str:
        """The cursor at which the next hole begins. Its job's run stored nothing below the hole."""
        cursor = self.below.pop(0)
        self._hole_run = self.run.store.first_run_of(cursor)
        return cursor

    def replace_cursor(self, request: PageRequest, error: GatewayError) -> PageRequest | None:
        """The job the cursor named is gone: go on from the end of the last page, then from its neighbours,
        which were there a moment ago. Raises `error` when all of them are refused."""
        if self.last is None:
            raise error
        following = self.last.page.following
        if following is None:
            return self.run.request("desc")
        ids = [row.job_id for row in self.last.jobs if row.job_id != following.after]
        cursors = [following.after, *reversed(ids[-NEIGHBOURS:])]
        refused = request.after
        left = cursors[cursors.index(refused) + 1 :] if refused in cursors else cursors
        if not left:
            raise error
        return self.run.request("desc", left[0])

    def gap(self, run: Run) -> Gap:
        """The list ended before it reached anything known."""
        oldest = self._oldest
        newest_id, newest_at = self.newest or (None, None)
        return Gap(
            gap_from=newest_at,
            gap_until=oldest.created_at if oldest else run.now(),
            last_known_job_id=newest_id,
            oldest_listed_job_id=oldest.job_id if oldest else None,
            reason=CUT_SHORT
            if self.unproved and self.ending.tail
            else "the list no longer reaches back to what was known",
        )
