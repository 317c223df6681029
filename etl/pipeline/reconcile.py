"""A full scan: segments between known jobs, read in parallel, compared with the table page by page.

Finds changed jobs, and jobs that are no longer listed. Those are suspects until the scan is complete and
looks right; a scan that does not is refused, and marks nothing.
"""

from __future__ import annotations

from contextlib import closing, suppress

from etl.errors import EtlError, GatewayError, SuspiciousScan
from etl.load import Gap, Scan, newest_known, unlisting
from etl.pipeline import known_gaps, new_end, order, second_look, spared
from etl.pipeline.ending import Ending
from etl.pipeline.poison import isolate_from_above
from etl.pipeline.run import Run
from etl.pipeline.segments import Segments
from etl.pipeline.shifted import look_over
from etl.pipeline.sights import Sights
from etl.pipeline.turns import look_for_turns
from etl.pipeline.walk import Steering, handle_event, walk_list
from etl.records import Order, PageRequest, PageRows
from etl.words import count_noun

#: Segments per concurrent request: small ones even out, large ones overlap less.
SEGMENTS_PER_REQUEST = 4
#: A segment shorter than this costs more in overlap than it gains.
MIN_SEGMENT = 1000
#: More jobs than this, and more than this share, missing from the middle: not believed unasked.
MANY, SHARE = 10, 0.2


def reconcile(run: Run, *, accept_suspicious: bool = False) -> None:
    """Scan everything. Raises SuspiciousScan, and then has marked nothing."""
    with closing(Sights()) as sights:
        run.sights = sights
        try:
            _scan(run, accept_suspicious=accept_suspicious)
        finally:
            run.sights = None  # a scan that failed still commits what it has read


def _scan(run: Run, *, accept_suspicious: bool) -> None:
    store, complete = run.store, run.state.complete_run_id
    strange = store.read(lambda conn: unlisting.incomplete_runs(conn, store.source_id, complete))
    listed = store.read(lambda conn: unlisting.count_still_listed(conn, store.source_id, strange))
    newest = store.read(lambda conn: newest_known(conn, store.source_id, complete or 0))
    try:
        downwards = run.lists_newest_first and order.lists_newest_first(run)
        oldest, unproved = _newest_first(run) if downwards else _segments(run, listed)
        run.flush()
        looked = look_over(run)
        spared.trust_what_was_shown(run)
        spared.leave_gaps_out(run)
        place, unsaid = second_look.look_again(run, _lower(_oldest_place(run, oldest), looked))
        if not accept_suspicious:
            unsaid += new_end.trust_new_end(run)
        shown = spared.shown_below(run, place)
        missing, aged = _lost(run, place, strange, shown)
        if not accept_suspicious:
            _judge(run, listed, missing + unsaid, aged, unproved)
            if any(_lost(run, place, [], shown)):  # what one account lists says nothing of another one's jobs
                look_for_turns(run)
        elif newest is not None and missing + aged >= listed:
            reason = "none of the jobs known as listed was listed any more, and that was accepted"
            run.open_gap(Gap(newest[1], None, newest[0], oldest, reason, accepted=True))
        run.batch.scan = Scan(place, store.committed.counts.jobs_seen == 0, shown)
        run.learn(moves_by_id=False)  # jobs that stand still say it anew
    except BaseException:
        with suppress(EtlError):  # left behind, they stay mere suspicion; what went wrong is what counts
            store.forget_suspects()
        raise


def _newest_first(run: Run) -> tuple[str | None, str | None]:
    """A gateway that only lists newest first is read in one piece; returns the oldest job's id, and where the
    list ended without proof."""
    scan = _Downwards(run, "all", "desc")
    walk_list(scan, run.request("desc"))
    run.join("all")
    return scan.oldest, scan.ending.unproved


class _Downwards(Steering):
    """Newest first to the list's end: all that is older than its last job will count as aged out."""

    ending: Ending

    def __init__(self, run: Run, lane: str, order: Order) -> None:
        super().__init__(run, lane, order)
        self.oldest: str | None = None
        self.ending = Ending()

    def begin_stretch(self, start: PageRequest) -> None:
        self.run.lane(self.lane, self.order)

    def take_page(self, rows: PageRows) -> None:
        super().take_page(rows)
        self.ending.saw(rows)
        self.oldest = rows.jobs[-1].job_id if rows.jobs else self.oldest

    def pass_poison(self, request: PageRequest, error: GatewayError) -> PageRequest | None:
        following, high = isolate_from_above(self.run, self.lane, request, error)
        self.oldest = high or self.oldest
        if following is None:
            self.ending = Ending()  # it ends in what nobody can read: nothing to show again
        return following


def _segments(run: Run, listed: int) -> tuple[str | None, str | None]:
    """Read all segments, up to `concurrency` at a time; returns as `_newest_first`."""
    many = run.source.concurrency
    alone = many == 1 or run.state.learned.cursors_apart  # no known job's id is a cursor
    count = 1 if alone else max(1, min(many * SEGMENTS_PER_REQUEST, listed // MIN_SEGMENT))
    with run.readers(at_once=1) as readers:
        work = Segments(run, readers, listed, count)
        work.begin_segments(many)
        for event in readers:
            handle_event(work, event)
            work.begin_segments(many)
    if work.descending:
        run.state.list_order = "desc"
        return _newest_first(run)
    return work.oldest, work.ending.unproved


def _oldest_place(run: Run, oldest: str | None) -> int | None:
    """Where the oldest listed job stands: what is older has aged out. None when that cannot be said, as part
    of it stands in a stretch that this run could not read."""
    place, now = known_gaps.position(run, oldest), run.store.committed
    unread = [gap for gap in now.gaps if gap.kind == "unreadable" and gap.id in now.met]
    return None if any(gap.overlaps(None, place) for gap in unread) else place


def _lower(place: int | None, shown: int | None) -> int | None:
    """The oldest place that is listed, where another look showed one, too."""
    return place if place is None or shown is None else min(place, shown)


def _lost(run: Run, place: int | None, strange: list[int], shown: frozenset[str]) -> tuple[int, int]:
    """How many jobs that were listed are missing, and how many are older than the oldest one listed, but for
    those that were `shown`."""
    store = run.store
    run_id, source_id = store.committed.run_id or 0, store.source_id
    missing = store.read(lambda conn: unlisting.count_suspects(conn, source_id, run_id, strange))
    if place is None:
        return missing, 0
    return missing, store.read(lambda conn: unlisting.count_older(conn, source_id, place, strange, shown))


def _judge(run: Run, listed: int, missing: int, aged: int, unproved: str | None) -> None:
    """Raise SuspiciousScan when what was seen cannot be the list that was known."""
    if unproved is not None:
        raise _suspicious(f"the list ended after job {unproved!r} without showing it again")
    if listed == 0:
        return
    if run.store.committed.counts.jobs_seen == 0:
        raise _suspicious(
            f"the list is empty, but {count_noun(listed, 'job was', 'jobs were')} listed before"
        )
    if missing + aged >= listed:
        raise _suspicious(
            f"of {count_noun(listed, 'job')} known as listed none was seen: perhaps another account's pages"
        )
    if missing > MANY and missing > SHARE * (listed - aged):
        raise _suspicious(f"{missing} of {listed} jobs are missing from the middle of the list")


def _suspicious(what: str) -> SuspiciousScan:
    return SuspiciousScan(
        f"{what}; nothing was marked as unlisted",
        hint="if this is right, run `bifrost-etl reconcile SOURCE --accept-suspicious`",
    )
