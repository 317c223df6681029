"""A first load from both ends of the list at once, until the two halves meet.

The checkpoint is {"old": last id of the oldest-first half, "below": holes of the newest-first half}, so a
killed first load goes on where its last batch ended.
"""

from __future__ import annotations

from etl.errors import GatewayError, OrderIgnored
from etl.load import Gap, Known
from etl.pipeline import order
from etl.pipeline.halves import MIDDLE, Half, leave_poison, shows_job_of
from etl.pipeline.poison import narrow
from etl.pipeline.read_ahead import Readers
from etl.pipeline.run import Run
from etl.pipeline.walk import handle_event
from etl.records import PageRequest, PageRows

#: So often may the oldest-first half begin again because its cursor is refused.
RESTARTS = 10
#: So often may a page come upside down before the run ends with an error.
TURNS = 3


class BothEnds:
    """Two lanes towards each other: `old` upwards from the oldest job, `new` downwards from the newest."""

    def __init__(self, run: Run) -> None:
        checkpoint = run.state.checkpoint or {}
        self.run = run
        self._readers: Readers  # while both ends are read
        self.old: str | None = checkpoint.get("old")
        self.below: list[str] = list(checkpoint.get("below", []))
        self.met = self.left_rest = self._began_new = self._began_again = False
        self._turns = self._restarts = 0
        self._hole_run: int | None = None
        self._head: str | None = None  # the newest job, unless it is all that is listed
        self._stands: str | None = None  # where the newest-first lane stands: the last job that it placed
        self._old, self._new = Half(max), Half(min)
        self._open_old()
        self._open_new()

    def _open_old(self) -> None:
        """Far below the newest-first half, so that the two halves tell themselves apart by position."""
        start = 0 if self.old is None else None
        self.run.lane("old", "asc", bounded=True, watch=False, start=start)

    def _open_new(self) -> None:
        self.run.lane("new", "desc", bounded=True, watch=False)

    def take_head(self, head: PageRows) -> None:
        """The newest jobs are visible before anything else is asked."""
        self._head = head.jobs[0].job_id if head.jobs and not head.page.ends else None
        self._take_new(head, first=True)
        if not head.page.items and self.old is None and not self.below:
            self.met = True  # an empty list; but not where a killed run has seen jobs
            return
        self.run.flush()

    def head_is_poisoned(self, error: GatewayError) -> None:
        """One of the newest jobs cannot be read: the newest-first half ends just above it."""
        self._new.stuck = (narrow(self.run, "new", self.run.request("desc"), error), error)

    def read_both_ends(self) -> None:
        with self.run.readers() as self._readers:
            self._read_old(self.old)
            self._read_the_other()
            for event in self._readers:
                handle_event(self, event)
                if self.met:
                    return
                self._read_the_other()
        if self._is_stuck and not self.run.lists_newest_first:
            self.left_rest = leave_poison(self.run, self._old, self._new, self.old)

    def _read_old(self, after: str | None) -> None:
        self._readers.start("old", self.run.request("asc", after), hold=self._old_has_met)

    def _read_new(self, after: str | None) -> None:
        self._readers.start("new", self.run.request("desc", after), hold=self._new_has_met)

    def _old_has_met(self, rows: PageRows) -> bool:
        return self._old.may_have_met(rows, self._new)

    def _new_has_met(self, rows: PageRows) -> bool:
        """Always possible in a run that resumes: it soon meets what the run before has stored."""
        return self._new.may_have_met(rows, self._old) or self.run.store.resumed

    @property
    def _is_stuck(self) -> bool:
        return self._old.stuck is not None or self._new.stuck is not None

    def _read_the_other(self) -> None:
        """The newest-first half too, when pages come slowly, or a killed run left holes in it."""
        if self._began_new or not self._readers.running or not self.below or self._new.stuck:
            return
        if len(self.below) > 1 or (self.run.source.first_load_lanes > 1 and self._readers.hungry):
            self._start_new()

    def end_lane(self, lane: str) -> None:
        """A lane is at the far end of the list, the gateway says. But its way there leads through the other
        half: while they have not met, the other one has to confirm it."""
        if self._readers.running:
            return
        if lane == "old" and self.below and not self._new.stuck:
            self._start_new()
        elif self._doubts_end():
            self._ask_again()
        elif not self._is_stuck:
            self._give_up_between()

    def _doubts_end(self) -> bool:
        ends = (self._old.ending, self._new.ending)
        return any(end.tail for end in ends) and any(end.doubt() for end in ends)

    def _ask_again(self) -> None:
        """The list ends, but has a hole: each lane shows its last job again, and goes on if it can."""
        self.run.flush()
        old, new = self._old.ending, self._new.ending
        if not self._old.stuck:
            self._open_old()
            self._read_old(old.cursor or self.old)
        if not self._new.stuck and new.tail:
            self._began_new = True
            self.below = [*new.tail[-1:], *(cursor for cursor in self.below if cursor not in new.tail)]
            self._open_new()
            self._stands = None
            self._read_new(new.cursor)

    def _give_up_between(self) -> None:
        """What lies between the halves is not shown; a reconcile looks again."""
        self.met = True
        low, high = self._old.ending.tail[-1:], self._new.ending.tail[-1:]
        if low and high:
            reason = "the list ends on the way from its oldest to its newest job, asked from either side"
            self.run.open_gap(Gap(self._old.taken, self._new.taken, low[0], high[0], reason))

    def pass_poison(self, lane: str, request: PageRequest, error: GatewayError) -> None:
        """The lane is stuck above the record, or below it; the other one has to come from behind."""
        half = self._old if lane == "old" else self._new
        try:
            half.stuck = (narrow(self.run, lane, request, error), error)
        except OrderIgnored:
            if lane != "old":
                raise
            order.note_downwards(self.run)  # what could be read ran downwards: so is the rest read
            return
        if lane == "old" and not self._readers.running and not self._new.stuck:
            self._start_new()

    def replace_cursor(self, lane: str, request: PageRequest, error: GatewayError) -> None:
        """The list forgot the cursor meanwhile: begin again at its oldest job, or leave the rest to `old`."""
        if lane == "old":
            self._begin_old_again(error)
        elif not self._readers.running:
            self._begin_new_again(error)

    def _begin_old_again(self, error: GatewayError) -> None:
        if self._restarts == RESTARTS:
            raise error
        self._restarts, self.old = self._restarts + 1, None
        self.run.flush()  # what the lane passed is stored before the lane moves
        self._open_old()
        self._read_old(None)

    def _start_new(self) -> None:
        self._began_new = True
        cursor = self.below[0] if self.below else None
        self._hole_run = self.run.store.first_run_of(cursor)  # it stored nothing at the hole's far side
        if cursor != self._stands:  # at the hole of a killed run, far below: anew, so that it finds its place
            self.run.flush()
            self._open_new()
        self._read_new(cursor)

    def _begin_new_again(self, error: GatewayError) -> None:
        """The job at which the newest-first half should go on is gone, and `old` is stuck: from the head."""
        if self._began_again:
            raise error
        self._began_again, self.below = True, []
        self._start_new()

    def take_page(self, lane: str, rows: PageRows) -> None:
        (self._take_old if lane == "old" else self._take_new)(rows)

    def _take_old(self, rows: PageRows) -> None:
        run = self.run
        if self._ignores_order(rows):
            self._readers.stop("old")
            self._turns += 1
            if not order.lists_newest_first(run):
                self._ask_for_page_again()
            return
        known = self._known(rows, apart=self._old.is_apart(rows, self._new))
        met = shows_job_of("new", run, rows, known)
        run.add("old", rows)
        self._old.saw(rows)
        self.old = rows.page.leads_to or self.old
        self.met = met and len(self.below) <= 1
        run.commit_if_due(self._checkpoint())

    def _ask_for_page_again(self) -> None:
        """It was this page alone that came upside down. Raises OrderIgnored where it always does."""
        if self._turns == TURNS:
            where = "asked for first" if self.old is None else f"after {self.old!r}"
            raise OrderIgnored(
                f"the page {where} runs from newer to older jobs each time, but the list the other way",
                hint="the gateway may hold wrong creation times; look at that page",
            )
        self._read_old(self.old)

    def _take_new(self, rows: PageRows, *, first: bool = False) -> None:
        run = self.run
        run.check("new", rows)
        known = self._known(rows, apart=self._new.is_apart(rows, self._old))
        met_old = shows_job_of("old", run, rows, known)
        interrupted = any(
            k.list_position > MIDDLE and k.first_run_id not in (run.store.committed.run_id, self._hole_run)
            for k in known.values()
        )
        run.add("new", rows)
        self._new.saw(rows)
        self._stands = rows.page.leads_to or self._stands
        following = rows.page.following
        cursor = following.after if following else None
        if cursor is None and not met_old and self._has_holes(first=first):
            cursor = self._stands  # the list goes on below: a killed run has seen it
        if self._move_below(cursor, first=first, jump=interrupted) and not first:
            self._readers.stop("new")
            self._start_new()
        self.met = met_old and len(self.below) <= 1
        run.commit_if_due(self._checkpoint())

    def _has_holes(self, *, first: bool) -> bool:
        return bool(self.below if first else self.below[1:])

    def _move_below(self, cursor: str | None, *, first: bool, jump: bool) -> bool:
        """`below[0]` is where the newest-first half goes on; the rest are holes of interrupted runs, to which
        it may jump over what they have read. True when it does."""
        rest = self.below if first else self.below[1:]
        jumps = jump and bool(rest)
        self.below = rest if jumps else [c for c in (cursor,) if c is not None] + rest
        return jumps

    def _known(self, rows: PageRows, *, apart: bool) -> dict[str, Known]:
        """What is stored of the page; not asked while the two halves are plainly apart in time."""
        if apart and not self.run.store.resumed:
            return {}
        return self.run.store.known([row.job_id for row in rows.jobs])

    def _ignores_order(self, rows: PageRows) -> bool:
        """The oldest-first half comes newest first: then the gateway can only be read downwards."""
        known = self.run.store.known([row.job_id for row in rows.jobs]) if self._old.taken is None else {}
        found = [row for row in rows.jobs if row.job_id in known]
        places = [known[row.job_id].list_position for row in found]
        upside_down = len(places) > 1 and places == sorted(places, reverse=True)
        if upside_down and len({row.created_at for row in found}) == 1:  # ties may have moved since
            upside_down = order.lists_newest_first(self.run)
        if not upside_down and not order.runs_against(self.run, rows) and not self._starts_at_head(rows):
            return self._goes_backwards(rows)
        order.note_downwards(self.run)
        return True

    def _starts_at_head(self, rows: PageRows) -> bool:
        """The oldest job is the newest one, but not the only one: pages of a job or two tell no order."""
        first = not self._old.ending.tail and rows.page.request.after is None
        same = first and bool(rows.jobs) and rows.jobs[0].job_id == self._head
        return same and order.lists_newest_first(self.run)

    def _goes_backwards(self, rows: PageRows) -> bool:
        """Each page of one second, and the next one of an earlier. Raises PagingError."""
        try:
            self.run.check("old", rows)
        except OrderIgnored as error:
            order.demand_downwards(self.run, "old", error)
            return True
        return False

    def _checkpoint(self) -> dict[str, object]:
        return {"old": self.old, "below": self.below}
