"""The segments of a full scan: between known jobs, read in parallel, each believed for its own reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from etl.errors import GatewayError, OrderIgnored, SuspiciousScan
from etl.load import Boundary, find_boundary
from etl.pipeline import known_gaps, order
from etl.pipeline.ending import Ending
from etl.pipeline.page_checks import wholly_after
from etl.pipeline.poison import behind, close_in, narrow, read_from_above, show_from_above
from etl.pipeline.poison_proof import record
from etl.pipeline.read_ahead import Readers
from etl.pipeline.run import Run
from etl.records import PageRequest, PageRows

#: While more than one request in so many had to be repeated, no further lane begins.
BEARABLE = 50
#: So many known jobs are tried as a segment's beginning, before it is read from the list's own.
RETRIES = 5


@dataclass(slots=True)
class Segment:
    """From behind `start` to `end`, in creation order (None: the list's own ends)."""

    start: Boundary | None
    end: Boundary | None
    reached: bool = False
    first: bool = True
    retries: int = 0  # since a page was believed that leads on
    refused: set[str | None] = field(default_factory=set)  # cursors
    restarted: bool = False  # from the list's beginning
    doubted: bool = False  # it was at the list's end, which is asked for once more
    passed: Sequence[str] = ()  # the jobs of the page that was taken last


class Segments:
    """The segments of one scan, about `count` of `listed` jobs, and how far each has come."""

    def __init__(self, run: Run, readers: Readers, listed: int, count: int) -> None:
        self.run, self._readers = run, readers
        self.oldest: str | None = None
        self.descending = False
        self._segments: dict[str, Segment] = {}
        self._size, self._left = max(1, listed // count), count
        self._last: Boundary | None = None
        self._at_once = 1  # lanes that have proved worth having
        self.ending = Ending()  # of the segment without an end: all that is newer will count as missing

    def begin_segments(self, many: int) -> None:
        """Begin segments: one, and more while that brings pages sooner; the next one waits for its turn, so
        that nobody waits for a commit."""
        if self._left and self._at_once < many and self._readers.hungry and self._bears_more():
            self._at_once += 1
            self._readers.one_more()
        while self._left and self._readers.running <= self._at_once:
            self._start(self._cut())

    def _bears_more(self) -> bool:
        """A gateway at its limit refuses requests, and they are repeated."""
        gateway = self.run.gateway
        return gateway.retries * BEARABLE <= gateway.requests

    def _cut(self) -> str:
        """One more segment, where the last one ends."""
        store, start = self.run.store, self._last
        self._left -= 1
        if self._left:
            self._last = store.read(lambda conn: find_boundary(conn, store.source_id, start, self._size))
        end = self._last if self._left else None
        self._left = self._left if end else 0
        name = f"segment {len(self._segments)}"
        self._segments[name] = Segment(start, end)
        return name

    def _start(self, name: str) -> None:
        segment = self._segments[name]
        segment.first = True
        self.run.lane(name, "asc", bounded=segment.end is not None)
        after = segment.start.job_id if segment.start else None
        self._readers.start(name, self.run.request("asc", after), reaches(segment.end))

    def take_page(self, name: str, rows: PageRows) -> None:
        run, segment = self.run, self._segments[name]
        if segment.first and segment.start is None and self._runs_down(rows):
            self._fall_back()
            return
        if segment.first and segment.start is not None and not self._has_witness(segment, rows):
            run.distrust(rows)
            self._readers.stop(name)
            self._move_start(name, segment)
            return
        if not self._in_order(name, segment, rows):
            self._fall_back()
            return
        run.add(name, rows)
        if segment.first and segment.start is None and rows.jobs:
            self.oldest = rows.jobs[0].job_id
        if segment.end is None:
            self.ending.saw(rows)
        segment.first, segment.passed = False, [row.job_id for row in rows.jobs]
        segment.reached = segment.reached or reaches(segment.end)(rows)
        if rows.page.leads_to not in segment.refused:
            segment.retries = 0
        run.commit_if_due()

    def _runs_down(self, rows: PageRows) -> bool:
        """The list's beginning is its newest end: plainly, or of a job or two, and as it says when asked."""
        unsure = order.may_run_down(self.run, rows)
        return order.runs_against(self.run, rows) or (unsure and order.lists_newest_first(self.run))

    def _in_order(self, name: str, segment: Segment, rows: PageRows) -> bool:
        """False where the list runs downwards, which pages of one second had hidden. Raises PagingError."""
        try:
            self.run.check(name, rows)
        except OrderIgnored as error:
            if segment.start is not None:
                raise
            order.demand_downwards(self.run, name, error)
            return False
        return True

    def _has_witness(self, segment: Segment, rows: PageRows) -> bool:
        """A page behind a known job shows another known job that stands behind it."""
        assert segment.start is not None
        known = self.run.store.known([row.job_id for row in rows.jobs])
        if not rows.jobs and segment.end is None and rows.page.following is None:
            return True  # behind the newest job there may be nothing
        return any(k.list_position > segment.start.position for k in known.values())

    def _move_start(self, name: str, segment: Segment) -> None:
        """The cursor is dead: start from the known job before it."""
        run, store, start = self.run, self.run.store, segment.start
        assert start is not None
        segment.retries += 1
        segment.refused.add(start.job_id)
        lower = store.listed_beside(start.position, above=False)
        if lower is None or segment.retries > RETRIES:
            if segment.doubted:
                return  # not from the beginning again: its end stays unproved
            if segment.restarted:
                raise SuspiciousScan(
                    f"the list does not go on behind job {start.job_id!r}, nor behind others beside it",
                    hint="nothing was marked; try again later",
                )
            segment.start, segment.restarted = None, True
        else:
            segment.start = Boundary(lower[0], lower[1], start.created_at)
        run.flush()
        self._start(name)

    def replace_cursor(self, name: str, request: PageRequest, error: GatewayError) -> None:
        segment = self._segments[name]
        self.run.note_refused(request.after)
        if not segment.first:  # deleted since the page that it ended, unless that page was another account's
            self.run.flush()
            if not self.run.store.was_known(segment.passed):
                raise error
            place = known_gaps.position(self.run, request.after)
            segment.start = None if place is None else Boundary(str(request.after), place, None)
        if segment.start is None:
            raise error
        self._move_start(name, segment)

    def pass_poison(self, name: str, request: PageRequest, error: GatewayError) -> None:
        """Read up to the poison record and go on behind the next known job."""
        segment = self._segments[name]
        above = self._pass_known(name, request, error) or self._narrow(name, request, error)
        if segment.end is None:  # where it ends in what nobody can read, there is nothing to show again
            self.ending = Ending() if above is None else Ending(above[0])
        if above is None or (segment.end is not None and above[1] >= segment.end.position):
            return
        if self.oldest is None and segment.first and segment.start is None:
            self.oldest = above[0]  # what is older stands in the gap: it has not aged out
        show_from_above(self.run, above[0], error)
        segment.start = Boundary(above[0], above[1], None)
        self._start(name)

    def _pass_known(self, name: str, request: PageRequest, error: GatewayError) -> tuple[str, int] | None:
        """Id and position of the known job behind a record that is known to be unreadable."""
        run, segment = self.run, self._segments[name]
        gap = known_gaps.ahead(run, request)
        if gap is None or gap.above is None or gap.high is None or run.gateway.cursors.apart:
            return None
        shown = known_gaps.read_up_to(run, name, request, gap, error)
        if shown is None:
            return None
        if shown and segment.first and segment.start is None:
            self.oldest = shown[0]
        return gap.above, gap.high

    def _narrow(self, name: str, request: PageRequest, error: GatewayError) -> tuple[str, int] | None:
        """Find the record; id and position of the next known job behind it."""
        run, before, segment = self.run, len(self.run.batch.pages), self._segments[name]
        low = narrow(run, name, request, error)
        shown = [row for _, rows in run.batch.pages[before:] for row in rows.jobs]
        if shown and segment.first and segment.start is None:
            self.oldest = shown[0].job_id
        above = behind(run, low, error)
        if above is None and segment.end is None:
            read_from_above(run, low, error)  # what is new stands behind the record
        elif above is None:
            record(run, low, None, error)
        else:
            close_in(run, low, above[0], error)
        return above

    def end_lane(self, name: str) -> None:
        segment = self._segments[name]
        if segment.end is None:
            self._doubt_end(name, segment)
        elif not segment.reached:
            raise SuspiciousScan(
                f"the list ended before job {segment.end.job_id!r}, which it showed before",
                hint="nothing was marked; try again later, or accept it: `bifrost-etl reconcile"
                " SOURCE --accept-suspicious`",
            )

    def _doubt_end(self, name: str, segment: Segment) -> None:
        """Nothing follows, says the gateway: its last job must be shown once more, with nothing behind it."""
        cursor = self.ending.cursor
        if not self.ending.tail or not self.ending.doubt():
            return
        self.run.flush()
        place = known_gaps.position(self.run, cursor)
        segment.doubted = True
        segment.start = None if cursor is None or place is None else Boundary(cursor, place, None)
        self._start(name)

    def _fall_back(self) -> None:
        self.descending = True
        for name in list(self._segments):
            self._readers.stop_if_running(name)
        self._left = 0


def reaches(end: Boundary | None) -> Callable[[PageRows], bool]:
    """True for the page that shows the segment's end, or lies wholly behind it."""

    def reached(rows: PageRows) -> bool:
        if end is None:
            return False
        behind_it = end.created_at is not None and wholly_after(rows, end.created_at)
        return behind_it or end.job_id in [row.job_id for row in rows.jobs]

    return reached
