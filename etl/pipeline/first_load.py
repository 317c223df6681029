"""The whole history: the newest page at once, then from both ends until the two halves meet.

The checkpoint is {"old": last id of the oldest-first half, "below": holes of the newest-first half}, so a
killed first load goes on where its last batch ended.
"""

from __future__ import annotations

from datetime import datetime

from etl.errors import GatewayError, OrderIgnored
from etl.extract import next_cursor, next_request
from etl.load import TOP, Gap, Known
from etl.pipeline import order
from etl.pipeline.ending import Ending
from etl.pipeline.newest_first import newest_first
from etl.pipeline.oldest_first import oldest_first, read_one_way
from etl.pipeline.page_checks import backwards, created
from etl.pipeline.poison import narrow, record
from etl.pipeline.read_ahead import Readers
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON
from etl.pipeline.walk import handle_event
from etl.records import PageRequest, PageRows

#: So often may the oldest-first half begin again because its cursor is refused.
RESTARTS = 10
#: So often may a page come upside down before it is believed.
TURNS = 3
#: Positions above belong to the newest-first half, below to the oldest-first half.
MIDDLE = TOP // 2


def first_load(run: Run) -> None:
    """Read everything the source lists. Raises GatewayError, StorageError, LeaseLost, Stopped."""
    if run.lists_newest_first:
        newest_first(run)
        return
    if run.lists_oldest_first:
        oldest_first(run)
        return
    load = FirstLoad(run)
    try:
        head = _ask_head(run)
    except POISON as error:
        load.head_is_poisoned(error)
    else:
        if backwards(head, "desc"):
            run.distrust(head)
            oldest_first(run)
            return
        if order.begins_alike(run, head):
            run.distrust(head)
            read_one_way(run, head)
            return
        load.take_head(head)
    if not load.met:
        load.read_both_ends()
    if run.lists_newest_first and not load.left_rest:
        newest_first(run)
    run.join("new")  # the halves have met, or what lies between them is a recorded gap


def _ask_head(run: Run) -> PageRows:
    """The newest page. One that comes upside down is asked for again: it may lie."""
    head = run.first(run.request("desc"))
    if not backwards(head, "desc"):
        return head
    run.distrust(head)
    return run.first(run.request("desc"))


class FirstLoad:
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
        self._ends = {"old": Ending(), "new": Ending()}
        # Lane → last readable id, at a poison record.
        self.stuck: dict[str, tuple[str | None, GatewayError]] = {}
        self._read_old: datetime | None = None  # how far each half was read, stored or not
        self._read_new: datetime | None = None
        self._highest_old: datetime | None = None
        self._lowest_new: datetime | None = None
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
        self.stuck["new"] = (narrow(self.run, "new", self.run.request("desc"), error), error)

    def read_both_ends(self) -> None:
        with self.run.readers() as self._readers:
            self._readers.start("old", self.run.request("asc", self.old), hold=self._old_has_met)
            self._read_the_other()
            for event in self._readers:
                handle_event(self, event)
                if self.met:
                    return
                self._read_the_other()
        if self.stuck and not self.run.lists_newest_first:
            self._leave_poison()

    def _read_the_other(self) -> None:
        """The newest-first half too, when pages come slowly, or a killed run left holes in it."""
        if self._began_new or not self._readers.running or not self.below or "new" in self.stuck:
            return
        if len(self.below) > 1 or (self.run.source.first_load_lanes > 1 and self._readers.hungry):
            self._start_new()

    def end_lane(self, lane: str) -> None:
        """A lane is at the far end of the list, the gateway says. But its way there leads through the other
        half: while they have not met, the other one has to confirm it."""
        if self._readers.running:
            return
        if lane == "old" and self.below and "new" not in self.stuck:
            self._start_new()
        elif self._doubts_end():
            self._ask_again()
        elif not self.stuck:
            self._give_up_between()

    def _doubts_end(self) -> bool:
        ends = self._ends.values()
        return any(end.tail for end in ends) and any(end.doubt() for end in ends)

    def _ask_again(self) -> None:
        """The list ends, but has a hole: each lane shows its last job again, and goes on if it can."""
        self.run.flush()
        old, new = self._ends["old"], self._ends["new"]
        if "old" not in self.stuck:
            self._open_old()
            cursor = old.cursor or self.old
            self._readers.start("old", self.run.request("asc", cursor), hold=self._old_has_met)
        if "new" not in self.stuck and new.tail:
            self._began_new = True
            self.below = [*new.tail[-1:], *(cursor for cursor in self.below if cursor not in new.tail)]
            self._open_new()
            self._stands = None
            self._readers.start("new", self.run.request("desc", new.cursor), hold=self._new_has_met)

    def _give_up_between(self) -> None:
        """What lies between the halves is not shown; a reconcile looks again."""
        self.met = True
        low, high = self._ends["old"].tail[-1:], self._ends["new"].tail[-1:]
        if low and high:
            reason = "the list ends on the way from its oldest to its newest job, asked from either side"
            self.run.open_gap(Gap(self._highest_old, self._lowest_new, low[0], high[0], reason))

    def pass_poison(self, lane: str, request: PageRequest, error: GatewayError) -> None:
        """The lane is stuck above the record, or below it; the other one has to come from behind."""
        run = self.run
        try:
            self.stuck[lane] = (narrow(run, lane, request, error), error)
        except OrderIgnored:
            if lane != "old" or run.source.order == "asc":
                raise
            run.state.list_order = "desc"  # what could be read ran downwards: so is the rest read
            return
        if lane == "old" and not self._readers.running and "new" not in self.stuck:
            self._start_new()

    def replace_cursor(self, lane: str, request: PageRequest, error: GatewayError) -> None:
        """The list forgot the cursor meanwhile: begin again at its oldest job, or leave the rest to `old`."""
        if lane == "old":
            self._begin_old_again(error)
        elif not self._readers.running:
            self._begin_new_again(error)

    def take_page(self, lane: str, rows: PageRows) -> None:
        (self._take_old if lane == "old" else self._take_new)(rows)

    def _begin_old_again(self, error: GatewayError) -> None:
        if self._restarts == RESTARTS:
            raise error
        self._restarts, self.old = self._restarts + 1, None
        self._open_old()
        self._readers.start("old", self.run.request("asc"), hold=self._old_has_met)

    def _start_new(self) -> None:
        self._began_new = True
        cursor = self.below[0] if self.below else None
        self._hole_run = self.run.store.first_run_of(cursor)  # it stored nothing at the hole's far side
        if cursor != self._stands:  # at the hole of a killed run, far below: anew, so that it finds its place
            self.run.flush()
            self._open_new()
        self._readers.start("new", self.run.request("desc", cursor), hold=self._new_has_met)

    def _begin_new_again(self, error: GatewayError) -> None:
        """The job at which the newest-first half should go on is gone, and `old` is stuck: from the head."""
        if self._began_again:
            raise error
        self._began_again, self.below = True, []
        self._start_new()

    def _old_has_met(self, rows: PageRows) -> bool:
        """In a reader's thread: the other half has probably been reached, so do not read on unasked."""
        self._read_old = max(created(rows), default=self._read_old)
        other = self._read_new or self._lowest_new
        return self._read_old is None or other is None or self._read_old >= other

    def _new_has_met(self, rows: PageRows) -> bool:
        """As above; a resumed half soon meets what an earlier run stored."""
        self._read_new = min(created(rows), default=self._read_new)
        other = self._read_old
        return self.run.resumed or self._read_new is None or other is None or self._read_new <= other

    def _take_old(self, rows: PageRows) -> None:
        run = self.run
        if self._ignores_order(rows):
            self._readers.stop("old")
            self._turns += 1
            if not order.lists_newest_first(run) and self._turns < TURNS:  # it was this page alone
                self._readers.start("old", run.request("asc", self.old), hold=self._old_has_met)
            return
        known = self._known(rows, self._lowest_new, newer=True)
        met = self._meets(rows, known, "new")
        run.add("old", rows)
        self._ends["old"].saw(rows)
        times = [row.created_at for row in rows.jobs if row.created_at]
        self._highest_old = max(times, default=self._highest_old)
        self.old = next_cursor(rows.page) or self.old
        self.met = met and len(self.below) <= 1
        run.commit_if_due(self._checkpoint())

    def _take_new(self, rows: PageRows, *, first: bool = False) -> None:
        run = self.run
        run.check("new", rows)
        known = self._known(rows, self._highest_old, newer=False)
        met_old = self._meets(rows, known, "old")
        interrupted = any(
            k.list_position > MIDDLE and k.first_run_id not in (run.store.committed.run_id, self._hole_run)
            for k in known.values()
        )
        run.add("new", rows)
        self._ends["new"].saw(rows)
        times = [row.created_at for row in rows.jobs if row.created_at]
        self._lowest_new = min(times, default=self._lowest_new)
        self._stands = next_cursor(rows.page) or self._stands
        following = next_request(rows.page)
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

    def _known(self, rows: PageRows, edge: datetime | None, *, newer: bool) -> dict[str, Known]:
        """What is stored of the page; not asked while the two halves are plainly apart in time."""
        if edge is not None and not self.run.resumed and rows.jobs:
            last = rows.jobs[-1].created_at
            if last is not None and (last < edge if newer else last > edge):
                return {}
        return self.run.store.known([row.job_id for row in rows.jobs])

    def _meets(self, rows: PageRows, known: dict[str, Known], lane: str) -> bool:
        """A job on the page was stored by the other half."""
        if not known and self.run.pending.keys().isdisjoint([row.job_id for row in rows.jobs]):
            return False  # nearly always
        return any(self._half(row.job_id, known) == lane for row in rows.jobs)

    def _half(self, job_id: str, known: dict[str, Known]) -> str | None:
        if job_id in self.run.pending:
            return self.run.pending[job_id]
        if job_id in known:
            return "new" if known[job_id].list_position > MIDDLE else "old"
        return None

    def _ignores_order(self, rows: PageRows) -> bool:
        """The oldest-first half comes newest first: then the gateway can only be read downwards."""
        known = self.run.store.known([row.job_id for row in rows.jobs]) if self._highest_old is None else {}
        places = [known[row.job_id].list_position for row in rows.jobs if row.job_id in known]
        upside_down = len(places) > 1 and places == sorted(places, reverse=True)
        if not upside_down and not backwards(rows, "asc") and not self._starts_at_head(rows):
            return self._goes_backwards(rows)
        if self.run.source.order == "asc":
            raise OrderIgnored(
                "asked for order=asc, got newest first", hint="set `order: auto` for this source"
            )
        self.run.state.list_order = "desc"
        return True

    def _starts_at_head(self, rows: PageRows) -> bool:
        """The oldest job is the newest one, but not the only one: pages of a job or two tell no order."""
        first = not self._ends["old"].tail and rows.page.request.after is None
        same = first and bool(rows.jobs) and rows.jobs[0].job_id == self._head
        return same and order.lists_newest_first(self.run)

    def _goes_backwards(self, rows: PageRows) -> bool:
        """Each page of one second, and the next one of an earlier. Raises PagingError."""
        try:
            self.run.check("old", rows)
        except OrderIgnored:
            if self.run.source.order != "auto" or not order.lists_newest_first(self.run):
                raise
            self.run.distrust_lane("old")
            return True
        return False

    def _checkpoint(self) -> dict[str, object]:
        return {"old": self.old, "below": self.below}

    def _leave_poison(self) -> None:
        """Both halves stopped at unreadable records; what lies between them cannot be read."""
        low, error = self.stuck.get("old", (self.old, None))
        high, other = self.stuck.get("new", (None, None))
        if error is None or other is None:
            raise error or other or AssertionError("a first load ended without meeting")
        if low is not None and low == high:  # from either end the list leads to this job: `order` is ignored
            self._leave_rest_behind(low, error)
        else:
            record(self.run, low, high, error)

    def _leave_rest_behind(self, last: str, error: GatewayError) -> None:
        """What lies behind `last` cannot be read: newer jobs or older ones, as its beginning tells.
        While it does not, nobody knows what was not read, and the run fails."""
        run, self.left_rest = self.run, True
        way = order.way_of_beginning(run, error)
        if way == 0 and run.source.order == "auto":
            raise error
        run.distrust_lane("new" if way > 0 else "old")  # the same jobs: they would be placed upside down
        if way > 0:
            run.state.list_order = "asc"
            record(run, last, None, error)
        elif run.source.order == "asc":
            raise OrderIgnored(
                "asked for order=asc, got newest first", hint="set `order: auto` for this source"
            )
        else:
            run.state.list_order = "desc"
            record(run, None, last, error)
