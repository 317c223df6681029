"""A record that the gateway itself cannot decode makes every page that contains it fail, for ever.

An outage looks alike, so it takes proof: the gateway says so itself (`failed to unmarshal`), or runs have
failed at the same place again and again; the smallest page behind the last readable job fails twice; and a
known job beside it can be read, asked for with a cursor as well. What then cannot be read between two known
jobs becomes a coverage gap and a reject without bytes, and the run goes on behind it. Without proof the run
ends with the gateway's error; what was read without a break stays.
"""

from __future__ import annotations

from dataclasses import replace

from etl.errors import DeadCursor, GatewayError, NotFound
from etl.pipeline import known_gaps, order
from etl.pipeline.poison_proof import ask, reads, record
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON, demand_proof
from etl.pipeline.walk import Steering, walk_list
from etl.records import Order, PageRequest, PageRows

#: Known jobs tried as a cursor beyond the record before it is given up.
NEIGHBOURS = 20


def narrow(run: Run, lane: str, request: PageRequest, error: GatewayError) -> str | None:
    """Store what can be read from `request` up to the record; returns the last readable job's id.

    Raises `error` again when it is not the kind that a record causes.
    """
    demand_proof(run.state.trouble, request, error)
    left = request.limit
    size = max(1, left // 2)
    while left > 0:
        try:
            rows = ask(run, replace(request, limit=size), error)
        except POISON:
            if size == 1:
                break
            left, size = size, size // 2
            continue
        if not rows.page.items:
            break
        run.take(lane, rows)
        left -= min(size, len(rows.page.items))  # odd items may stand beside those asked for
        size = max(1, min(size, left // 2))
        if rows.page.leads_to is None:
            break  # nothing on it can be named: there is no going on behind it
        request = replace(request, after=rows.page.leads_to)
    return request.after


def isolate(run: Run, lane: str, request: PageRequest, error: GatewayError) -> PageRequest | None:
    """An oldest-first walk met such a record: read up to it and go on behind it; returns where, or None at
    the end.

    When nothing is known behind it, the rest is read down to it from the newest job. Raises the original
    error when there is no proof: then it is the gateway that is sick.
    """
    gap = known_gaps.ahead(run, request)
    if gap is not None and known_gaps.read_up_to(run, lane, request, gap, error) is not None:
        if gap.above is not None and not run.gateway.cursors.apart:
            run.lane(lane, "asc")
            return run.request("asc", gap.above)
        if run.lists_oldest_first or not reads(run, PageRequest(None, "desc", 1), error, times=1):
            return None  # the newest job is one of them: nothing else is new
        read_from_above(run, gap.below, error)
        return None
    low = narrow(run, lane, request, error)
    above = behind(run, low, error)
    if above is None:
        read_from_above(run, low, error)
        return None
    close_in(run, low, above[0], error)
    run.lane(lane, "asc")  # anew: its first cursor says where it stands
    return run.request("asc", above[0])


def read_from_above(run: Run, low: str | None, error: GatewayError) -> None:
    """Read newest-first to the record that follows `low`, or to `low` when it can be read by now."""
    if run.lists_oldest_first:  # nothing can be asked from there
        record(run, low, None, error)
        run.commit_if_due(None)
        return
    run.lane("above", "desc", watch=False)
    descent = _DownToRecord(run, "above", "desc")
    descent.low = low
    walk_list(descent, run.request("desc"))
    if low is not None and (descent.upwards or (descent.high == low and not descent.met)):
        _record_rest(run, low, error)
    elif not descent.met:
        record(run, low, descent.high, error)
    run.join("above")
    run.commit_if_due(None)


def _record_rest(run: Run, low: str, error: GatewayError) -> None:
    """From above, too, what stands before the record came first: `order` is ignored, and all that is behind
    the record is unread. Raises `error` where the list does not tell that it runs upwards."""
    if order.way_of_beginning(run, error) <= 0:
        raise error
    run.distrust_lane("above")
    run.state.list_order = "asc"
    record(run, low, None, error)


def close_in(run: Run, low: str | None, high: str, error: GatewayError) -> None:
    """Between the last job read and the next known one there may stand more than the record, where a walk was
    cut short: read down to it."""
    one_way = run.lists_newest_first or run.lists_oldest_first
    if one_way or not reads(run, PageRequest(high, "desc", 1), error, times=1):
        record(run, low, high, error)
        return
    run.lane("above", "desc", bounded=True, watch=False)
    descent = _DownToRecord(run, "above", "desc")
    descent.low, descent.high = low, high
    walk_list(descent, run.request("desc", high))
    run.join("above")
    if not descent.met:
        record(run, low, descent.high, error)


def show_from_above(run: Run, job_id: str, error: GatewayError) -> None:
    """A walk goes on behind this known job, by its name only: the list shows it once, asked from its other
    side. Nothing happens where it cannot be asked so."""
    place = known_gaps.position(run, job_id)
    if place is None or run.lists_newest_first or run.lists_oldest_first:
        return
    beyond = run.store.listed_beside(place, above=True)
    try:
        rows = ask(run, PageRequest(None if beyond is None else beyond[0], "desc", 1), error)
    except (*POISON, DeadCursor, NotFound):
        return
    if [row.job_id for row in rows.jobs] == [job_id]:
        run.lane("beside", "desc", bounded=True, watch=False)
        run.join("beside")
        run.add("beside", rows)
        run.flush()


def behind(run: Run, low: str | None, error: GatewayError) -> tuple[str, int] | None:
    """Id and position of the next known job above the record, which follows `low`."""
    run.flush()
    return _next_known(run, low, error, above=True)


def _next_known(run: Run, edge: str | None, error: GatewayError, *, above: bool) -> tuple[str, int] | None:
    """Id and position of the first known job behind the record that follows `edge`; None where no id is a
    cursor: behind a known job such a list begins again, or it refuses."""
    if run.gateway.cursors.apart:
        return None
    place = known_gaps.position(run, edge)
    place = (-known_gaps.END if above else known_gaps.END) if place is None else place
    for _ in range(NEIGHBOURS):
        found = run.store.listed_beside(place, above=above)
        if found is None or _stands_behind(run, found[0], edge, error, above=above):
            return found
        place = found[1]
    return None


def _stands_behind(run: Run, job_id: str, edge: str | None, error: GatewayError, *, above: bool) -> bool:
    """Not for a job deleted meanwhile, nor for one that leads straight to `edge`: that one is the record."""
    towards: Order = "desc" if above or run.lists_newest_first else "asc"
    request = PageRequest(job_id, towards, 1)
    try:
        rows = ask(run, request, error)
    except (DeadCursor, NotFound):
        return False
    except POISON:
        return not run.wait_for(lambda: run.gateway.is_poison_itself(request))
    return {row.job_id for row in rows.jobs} != ({edge} if edge is not None else set())


class _DownToRecord(Steering):
    """Newest-first to the record, or to `low` when the record is gone. `high` is the last id read; `upwards`
    says that the walk began below `low`."""

    low: str | None = None
    high: str | None = None
    met = upwards = False

    def take_page(self, rows: PageRows) -> None:
        if self.high is None and self._begins_below(rows):
            self.upwards = self.over = True
            self.run.distrust(rows)
            return
        self.run.take(self.lane, rows)
        ids = [row.job_id for row in rows.jobs]
        self.high = ids[-1] if ids else self.high
        self.met = self.over = self.low in ids
        if not self.met:
            self.run.commit_if_due()

    def _begins_below(self, rows: PageRows) -> bool:
        """To meet `low` then is no sign that the record is gone. Places that a run gave after a lie may be
        wrong, but the list itself begins with the same job from either end then."""
        first = rows.jobs[0].job_id if rows.jobs else None
        place, low = known_gaps.position(self.run, first), known_gaps.position(self.run, self.low)
        if place is None or low is None or place >= low:
            return False
        oldest = self.run.fetch(PageRequest(None, "asc", 1), attempts=1)
        self.run.distrust(oldest)
        return first in [row.job_id for row in oldest.jobs]

    def pass_poison(self, request: PageRequest, error: GatewayError) -> None:
        self.high = narrow(self.run, self.lane, request, error) or self.high


def isolate_from_above(
    run: Run, lane: str, request: PageRequest, error: GatewayError
) -> tuple[PageRequest | None, str | None]:
    """A newest-first walk met such a record: read down to it, then up to it from the next known job below.

    Returns where the walk goes on, or None when nothing is known below the record; and the last id read.
    """
    apart = run.gateway.cursors.apart
    gap = known_gaps.ahead(run, request)
    if gap is not None and known_gaps.read_up_to(run, lane, request, gap, error) is not None:
        run.join(lane)
        return (None if gap.below is None or apart else run.request("desc", gap.below)), gap.above
    high = narrow(run, lane, request, error)
    run.flush()
    if apart and not run.lists_newest_first:
        record(run, _up_to(run, None), high, error)
        run.join(lane)
        return None, high
    below = _next_known(run, high, error, above=False)
    if below is None:
        if high is None:
            raise error
        way = order.way_of_beginning(run, error) if run.source.order == "auto" else 0
        if way > 0:
            run.distrust_lane(lane)  # it was taken for a list of the newest first: what is unread is newer
            run.state.list_order = None
            raise error
        if way < 0:  # jobs of one second had hidden it
            order.note_downwards(run)
        record(run, None, high, error)
        run.join(lane)
        return None, high
    # From below it can only be reached where the gateway lists oldest first.
    downwards = run.lists_newest_first and order.lists_newest_first(run)
    low = below[0] if downwards else _up_to(run, below[0])
    record(run, low, high, error)
    run.join(lane)
    return run.request("desc", below[0]), high


def _up_to(run: Run, start: str | None) -> str | None:
    """Read oldest-first from a known job, or from the list's beginning, to the record; returns the last
    readable id."""
    run.lane("below", "asc", bounded=True, watch=False)
    ascent = _UpToRecord(run, "below", "asc")
    ascent.low = start
    walk_list(ascent, run.request("asc", start))
    return ascent.low


class _UpToRecord(Steering):
    """Oldest-first to the record. `low` is the last id read."""

    low: str | None = None

    def take_page(self, rows: PageRows) -> None:
        self.run.take(self.lane, rows)
        self.low = rows.jobs[-1].job_id if rows.jobs else self.low

    def pass_poison(self, request: PageRequest, error: GatewayError) -> None:
        self.low = narrow(self.run, self.lane, request, error) or self.low
