"""Which way a gateway lists is found out from its pages. One page may lie, so it is asked again before it
counts, and again at times afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from etl.errors import GatewayError, OrderIgnored, Unparseable
from etl.pipeline.page_checks import backwards, created, direction, direction_of
from etl.pipeline.run import Run
from etl.records import PageRows

#: So many pages are read for two that differ in time.
PAGES = 10
#: So many jobs of one second tell its place in time.
SIDE = 3


def lists_newest_first(run: Run) -> bool:
    """Ask for the oldest page and note which way it runs, or the first few, where they are of one second;
    what cannot tell changes nothing.

    A configured order is not questioned.
    """
    find_way(run)
    return run.lists_newest_first


def find_way(run: Run, *, is_ignored: bool = False) -> int:
    """Which way the list runs when it is asked for its oldest jobs first, noted in the source's state: 1 from
    old to new, -1 from new to old, 0 when that cannot be told or is configured. `is_ignored`: it is known to
    ignore `order`, so that two jobs that differ in time are enough."""
    if run.source.order != "auto":
        return 0
    try:
        found = _found(run, is_ignored=is_ignored)
    except GatewayError:
        return 0
    if found < 0:
        run.state.list_order = "desc"
    elif found > 0 and run.state.list_order == "desc":
        run.state.list_order = None
    return found


def runs_against(run: Run, rows: PageRows) -> bool:
    """The page runs against the order asked for, and it is not its times that are wrong."""
    return backwards(rows, rows.page.request.order) and not run.turns_round(rows)


def keeps_order_again(run: Run) -> bool:
    """A list that ran from old to new whatever it was asked is asked for its newest jobs, and gives them."""
    try:
        head = run.peek(run.request("desc"))
    except GatewayError:
        return False
    if direction(head) != -1:
        return False
    run.state.list_order = None
    return True


def runs_up_only(run: Run) -> bool:
    """A walk from the newest job went upwards: the list begins with one job, of several, from either end,
    and does not run downwards. It is noted."""
    if run.source.order != "auto":
        return False
    try:
        newest, oldest = (run.peek(run.request(order)) for order in ("desc", "asc"))
    except GatewayError:
        return False
    alike = len(oldest.jobs) > 1 and [row.job_id for row in newest.jobs[:1]] == [oldest.jobs[0].job_id]
    if not alike or find_way(run, is_ignored=True) < 0:
        return False
    run.state.list_order = "asc"
    return True


def note_downwards(run: Run) -> None:
    """The list runs from new to old, though it was asked for its oldest jobs. Raises OrderIgnored where that
    order is configured."""
    if run.source.order == "asc":
        raise OrderIgnored(
            "asked for order=asc, got newest first",
            hint="set `order: auto` or `order: desc` for this source",
        )
    run.state.list_order = "desc"


def demand_downwards(run: Run, lane: str, error: OrderIgnored) -> None:
    """After pages of one second each, one is of an earlier second: the list runs from new to old, and nothing
    that this lane has read is believed. Raises `error` where the list does not say so itself."""
    if not lists_newest_first(run):
        raise error
    run.distrust_lane(lane)


def begins_alike(run: Run, head: PageRows) -> bool:
    """Whether the list begins with the same job, of several, from either end: it ignores `order`, or all of
    them are of one instant. Asked only where the newest page itself tells no order. Raises GatewayError."""
    several = len(head.jobs) > 1 or not head.page.ends
    if run.source.order != "auto" or not head.jobs or not several or direction(head):
        return False
    try:
        tail = run.first(run.request("asc"))
    except Unparseable:  # the newest page reads: then it does not begin with the oldest job
        return False
    run.distrust(tail)
    return bool(tail.jobs) and tail.jobs[0].job_id == head.jobs[0].job_id


def _found(run: Run, *, is_ignored: bool) -> int:
    """Which way the list's first pages run, 1, -1 or 0; a step from one page to the next counts too."""
    request, times = run.request("asc"), list[datetime]()
    first: PageRows | None = None
    for _ in range(PAGES):
        rows = run.fetch(request)
        run.distrust(rows)
        first = first or rows
        if found := direction(rows):
            return 1 if found < 0 and run.turns_round(rows) else found
        times += created(rows)
        if found := direction_of(times):  # of pages that hold a job or two
            return found
        following = rows.page.following
        if following is None or _way(times):
            break
        request = following
    if found := _way(times) or (_way_of_ends(times) if is_ignored else 0):
        return found
    return _way_of_few(run, first) if first is not None else 0


def _way_of_few(run: Run, rows: PageRows) -> int:
    """The way of a list too short for times to tell. It ignores `order` when both orders begin with the same
    job of several; then the first and the last one tell, or which of them was known before."""
    ids = [row.job_id for row in rows.jobs]
    if len(ids) < 2:
        return 0
    other = run.fetch(run.request("desc"))
    run.distrust(other)
    if not other.jobs or other.jobs[0].job_id != ids[0]:
        return 0
    if found := way_of_ends(rows):
        return found
    known = run.store.known(ids)
    return -1 if ids[0] not in known and ids[-1] in known else 0


def way_of_beginning(run: Run, error: GatewayError) -> int:
    """Which way the list runs, 1, -1 or 0, judged by what can be read before a record that cannot."""
    for limit in (6, 3, 2):
        run.narrowing.spend(error)
        try:
            rows = run.fetch(replace(run.request("asc"), limit=limit), attempts=1)
        except GatewayError:
            continue
        run.distrust(rows)
        if found := way_of_ends(rows):
            return found
    return 0


def may_run_down(run: Run, first: PageRows) -> bool:
    """Two jobs, or many of one second, are too few for `direction`; but a list of the oldest first would not
    have them so: an older one behind a newer, a known one behind an unknown, or against the stored order."""
    times = created(first)
    rising = len(times) == len(first.jobs) and all(before < after for before, after in pairwise(times))
    if run.source.order != "auto" or len(first.jobs) < 2 or rising or direction(first):
        return False
    ids = [row.job_id for row in first.jobs]
    known = run.store.known(ids)
    places = [known[job_id].list_position for job_id in ids if job_id in known]
    falling = len(places) > 1 and places == sorted(places, reverse=True)
    return times != sorted(times) or falling or (ids[0] not in known and ids[-1] in known)


def way_of_ends(rows: PageRows) -> int:
    """Which way the list runs, 1, -1 or 0, by the ends of one page: enough where `order` is ignored."""
    return _way_of_ends(created(rows))


def _way_of_ends(times: list[datetime]) -> int:
    if not times or times[0] == times[-1]:
        return 0
    return 1 if times[0] < times[-1] else -1


def _way(times: list[datetime]) -> int:
    """One pair tells nothing, as it may be one absurd time: so many must lie on either side of it."""
    first, last = times[:SIDE], times[-SIDE:]
    if len(times) < 2 * SIDE or len({*first}) > 1 or len({*last}) > 1 or first == last:
        return 0
    return 1 if first[0] < last[0] else -1
