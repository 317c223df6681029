"""A full scan: segments between known jobs, read in parallel, compared with the table page by page.

Finds changed jobs, and jobs that are no longer listed. Those are suspects until the scan is complete and
looks right; a scan that does not is refused, and marks nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from etl.errors import DeadCursor, EtlError, GatewayError, NotFound, OrderIgnored, SuspiciousScan
from etl.extract import next_request
from etl.load import Boundary, Gap, Scan, find_boundary, find_neighbour, newest_known, unlisting
from etl.pipeline import known_gaps, order
from etl.pipeline.ending import Ending
from etl.pipeline.page_checks import backwards, wholly_after
from etl.pipeline.poison import (
    POISON,
    behind,
    isolate_from_above,
    narrow,
    read_from_above,
    record,
    show_from_above,
)
from etl.pipeline.read_ahead import Event, Readers
from etl.pipeline.run import Run
from etl.records import PageRequest, PageRows

#: Segments per concurrent request: small ones even out, large ones overlap less.
SEGMENTS_PER_REQUEST = 4
#: A segment shorter than this costs more in overlap than it gains.
MIN_SEGMENT = 1000
#: While more than one request in so many had to be repeated, no further lane begins.
BEARABLE = 50
#: So many known jobs are tried as a segment's beginning.
RETRIES = 5
#: More jobs than this, and more than this share, missing from the middle: not believed unasked.
MANY, SHARE = 10, 0.2


def reconcile(run: Run, *, accept_suspicious: bool = False) -> None:
    """Scan everything. Raises SuspiciousScan, and then has marked nothing."""
    store, complete = run.store, run.state.complete_run_id
    strange = store.read(lambda conn: unlisting.incomplete_runs(conn, store.source_id, complete))
    listed = store.read(lambda conn: unlisting.count_still_listed(conn, store.source_id, strange))
    newest = store.read(lambda conn: newest_known(conn, store.source_id, complete or 0))
    try:
        downwards = run.lists_newest_first and order.lists_newest_first(run)
        oldest, unproved = _newest_first(run) if downwards else _segments(run, listed)
        run.flush()
        missing, aged = _lost(run, oldest, strange)
        if not accept_suspicious:
            _judge(run, listed, missing, aged, unproved)
        elif newest is not None and missing + aged >= listed:
            reason = "none of the jobs known as listed was listed any more, and that was accepted"
            run.open_gap(Gap(newest[1], None, newest[0], oldest, reason, accepted=True))
        run.batch.scan = Scan(_position(run, oldest), empty=store.committed.counts.jobs_seen == 0)
    except BaseException:
        with suppress(EtlError):  # left behind, they stay mere suspicion; what went wrong is what counts
            store.forget_suspects()
        raise


def _newest_first(run: Run) -> tuple[str | None, str | None]:
    """A gateway that only lists newest first is read in one piece; returns the oldest job's id, and where the
    list ended without proof."""
    oldest: str | None = None
    ending = Ending()
    following: PageRequest | None = run.request("desc")
    while (request := following) is not None:
        run.lane("all", "desc")
        try:
            for rows in run.follow(request):
                run.check("all", rows)
                run.add("all", rows)
                run.settle_scan()
                ending.saw(rows)
                oldest = rows.jobs[-1].job_id if rows.jobs else oldest
            following = _unless_ended(run, ending)
        except POISON as error:
            following, high = isolate_from_above(run, "all", error.request or request, error)
            oldest = high or oldest
            ending = (
                ending if following else Ending()
            )  # it ends in what nobody can read: nothing to show again
    run.join("all")
    return oldest, ending.unproved


def _unless_ended(run: Run, ending: Ending) -> PageRequest | None:
    """Where to ask again. All that is older than the last job listed will count as aged out."""
    if not ending.doubt():
        return None
    run.flush()
    return run.request("desc", ending.cursor)


def _segments(run: Run, listed: int) -> tuple[str | None, str | None]:
    """Read all segments, up to `concurrency` at a time; returns as `_newest_first`."""
    many = run.source.concurrency
    alone = many == 1 or run.state.learned.cursors_apart  # no known job's id is a cursor
    count = 1 if alone else max(1, min(many * SEGMENTS_PER_REQUEST, listed // MIN_SEGMENT))
    work = Segments(run, listed, count)
    with run.readers(at_once=1) as readers:
        work.read(readers, many)
        for event in readers:
            work.handle(event, readers)
            work.read(readers, many)
    if work.descending:
        run.state.list_order = "desc"
        return _newest_first(run)
    return work.oldest, work.ending.unproved


@dataclass(slots=True)
class Segment:
    """From behind `start` to `end`, in creation order (None: the list's own ends)."""

    start: Boundary | None
    end: Boundary | None
    reached: bool = False
    first: bool = True
    retries: int = 0
    doubted: bool = False  # it was at the list's end, which is asked for once more


class Segments:
    """The segments of one scan, about `count` of `listed` jobs, and how far each has come."""

    def __init__(self, run: Run, listed: int, count: int) -> None:
        self.run = run
        self.oldest: str | None = None
        self.descending = False
        self._segments: dict[str, Segment] = {}
        self._size, self._left = max(1, listed // count), count
        self._last: Boundary | None = None
        self._at_once = 1  # lanes that have proved worth having
        self.ending = Ending()  # of the segment without an end: all that is newer will count as missing

    def read(self, readers: Readers, many: int) -> None:
        """Begin segments: one, and more while that brings pages sooner; the next one waits for its turn, so
        that nobody waits for a commit."""
        if self._left and self._at_once < many and readers.hungry and self._bears_more():
            self._at_once += 1
            readers.one_more()
        while self._left and readers.running <= self._at_once:
            self._start(self._cut(), readers)

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

    def handle(self, event: Event, readers: Readers) -> None:
        segment = self._segments[event.lane]
        if event.rows is not None:
            self._take(event.lane, segment, event.rows, readers)
        elif event.error is not None:
            self._handle_error(event, segment, readers)
        else:
            self._finish(event.lane, segment, readers)

    def _start(self, name: str, readers: Readers) -> None:
        segment = self._segments[name]
        segment.first = True
        self.run.lane(name, "asc", bounded=segment.end is not None)
        after = segment.start.job_id if segment.start else None
        readers.start(name, self.run.request("asc", after), _reaches(segment.end))

    def _take(self, name: str, segment: Segment, rows: PageRows, readers: Readers) -> None:
        run = self.run
        if segment.first and segment.start is None and backwards(rows, "asc"):
            self._fall_back(readers)
            return
        if segment.first and segment.start is not None and not self._has_witness(segment, rows):
            run.distrust(rows)
            readers.stop(name)
            self._move_start(name, segment, readers)
            return
        if not self._in_order(name, segment, rows):
            run.distrust_lane(name)
            self._fall_back(readers)
            return
        run.add(name, rows)
        if segment.first and segment.start is None and rows.jobs:
            self.oldest = rows.jobs[0].job_id
        if segment.end is None:
            self.ending.saw(rows)
        segment.first = False
        segment.reached = segment.reached or _reaches(segment.end)(rows)
        run.settle_scan()

    def _in_order(self, name: str, segment: Segment, rows: PageRows) -> bool:
        """False where the list runs downwards, which pages of one second had hidden. Raises PagingError."""
        try:
            self.run.check(name, rows)
        except OrderIgnored:
            if segment.start is not None or not order.lists_newest_first(self.run):
                raise
            return False
        return True

    def _has_witness(self, segment: Segment, rows: PageRows) -> bool:
        """A page behind a known job shows another known job that stands behind it."""
        assert segment.start is not None
        known = self.run.store.known([row.job_id for row in rows.jobs])
        if not rows.jobs and segment.end is None and next_request(rows.page) is None:
            return True  # behind the newest job there may be nothing
        return any(k.list_position > segment.start.position for k in known.values())

    def _move_start(self, name: str, segment: Segment, readers: Readers) -> None:
        """The cursor is dead: start from the known job before it."""
        run, store, start = self.run, self.run.store, segment.start
        assert start is not None
        segment.retries += 1
        lower = store.read(
            lambda conn: find_neighbour(conn, store.source_id, start.position, above=False, listed=True)
        )
        if lower is None or segment.retries > RETRIES:
            if segment.doubted:
                return  # not from the beginning again: its end stays unproved
            segment.start = None
        else:
            segment.start = Boundary(lower[0], lower[1], start.created_at)
        run.flush()
        self._start(name, readers)

    def _handle_error(self, event: Event, segment: Segment, readers: Readers) -> None:
        error = event.error
        assert error is not None
        if isinstance(error, DeadCursor | NotFound) and segment.first and segment.start is not None:
            self._move_start(event.lane, segment, readers)
        elif isinstance(error, POISON):
            error.request = event.request
            self._pass_poison(event, segment, error, readers)
        else:
            raise error

    def _pass_poison(self, event: Event, segment: Segment, error: GatewayError, readers: Readers) -> None:
        """Read up to the poison record and go on behind the next known job."""
        above = self._pass_known(event, segment, error) or self._narrow(event, segment, error)
        if above is None and segment.end is None:
            self.ending = Ending()  # the list ends in what nobody can read: there is nothing to show again
        if above is None or (segment.end is not None and above[1] >= segment.end.position):
            return
        if self.oldest is None and segment.first and segment.start is None:
            self.oldest = above[0]  # what is older stands in the gap: it has not aged out
        show_from_above(self.run, above[0], error)
        segment.start = Boundary(above[0], above[1], None)
        self._start(event.lane, readers)

    def _pass_known(self, event: Event, segment: Segment, error: GatewayError) -> tuple[str, int] | None:
        """Id and position of the known job behind a record that is known to be unreadable."""
        run = self.run
        gap = known_gaps.ahead(run, event.request)
        if gap is None or gap.above is None or gap.high is None:
            return None
        shown = known_gaps.read_up_to(run, event.lane, event.request, gap, error)
        if shown is None:
            return None
        if shown and segment.first and segment.start is None:
            self.oldest = shown[0]
        return gap.above, gap.high

    def _narrow(self, event: Event, segment: Segment, error: GatewayError) -> tuple[str, int] | None:
        """Find the record; id and position of the next known job behind it."""
        run, before = self.run, len(self.run.batch.pages)
        low = narrow(run, event.lane, event.request, error)
        shown = [row for _, rows in run.batch.pages[before:] for row in rows.jobs]
        if shown and segment.first and segment.start is None:
            self.oldest = shown[0].job_id
        above = behind(run, low, error)
        if above is None and segment.end is None:
            read_from_above(run, low, error)  # what is new stands behind the record
        else:
            record(run, low, above[0] if above else None, error)
        return above

    def _finish(self, name: str, segment: Segment, readers: Readers) -> None:
        if segment.end is None:
            self._doubt_end(name, segment, readers)
        elif not segment.reached:
            raise SuspiciousScan(
                f"the list ended before job {segment.end.job_id!r}, which it showed before",
                hint="nothing was marked; try again later, or accept it with --accept-suspicious",
            )

    def _doubt_end(self, name: str, segment: Segment, readers: Readers) -> None:
        """Nothing follows, says the gateway: its last job must be shown once more, with nothing behind it."""
        cursor = self.ending.cursor
        if not self.ending.tail or not self.ending.doubt():
            return
        self.run.flush()
        place = _position(self.run, cursor)
        segment.doubted = True
        segment.start = None if cursor is None or place is None else Boundary(cursor, place, None)
        self._start(name, readers)

    def _fall_back(self, readers: Readers) -> None:
        self.descending = True
        for name in list(self._segments):
            readers.stop_if_running(name)
        self._left = 0


def _reaches(end: Boundary | None) -> Callable[[PageRows], bool]:
    """True for the page that shows the segment's end, or lies wholly behind it."""

    def reached(rows: PageRows) -> bool:
        if end is None:
            return False
        behind_it = end.created_at is not None and wholly_after(rows, end.created_at)
        return behind_it or end.job_id in [row.job_id for row in rows.jobs]

    return reached


def _position(run: Run, job_id: str | None) -> int | None:
    known = run.store.known([job_id]) if job_id is not None else {}
    return known[job_id].list_position if job_id in known else None


def _lost(run: Run, oldest: str | None, strange: list[int]) -> tuple[int, int]:
    """How many jobs that were listed are missing, and how many are older than the oldest one listed."""
    store, place = run.store, _position(run, oldest)
    run_id, source_id = store.committed.run_id or 0, store.source_id
    missing = store.read(lambda conn: unlisting.count_suspects(conn, source_id, run_id, strange))
    if place is None:
        return missing, 0
    return missing, store.read(lambda conn: unlisting.count_older(conn, source_id, place, strange))


def _judge(run: Run, listed: int, missing: int, aged: int, unproved: str | None) -> None:
    """Raise SuspiciousScan when what was seen cannot be the list that was known."""
    if unproved is not None:
        raise _suspicious(f"the list ended after job {unproved!r} without showing it again")
    if listed == 0:
        return
    if run.store.committed.counts.jobs_seen == 0:
        raise _suspicious(f"the list is empty, but {listed} jobs were listed before")
    if missing + aged >= listed:
        raise _suspicious(
            f"none of the {listed} jobs known as listed was seen: perhaps another account's pages"
        )
    if missing > MANY and missing > SHARE * (listed - aged):
        raise _suspicious(f"{missing} of {listed} jobs are missing from the middle of the list")


def _suspicious(what: str) -> SuspiciousScan:
    return SuspiciousScan(
        f"{what}; nothing was marked as unlisted",
        hint="if this is right, run `bifrost-etl reconcile SOURCE --accept-suspicious`",
    )
