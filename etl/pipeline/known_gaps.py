"""Stretches that are known to be unreadable: passed without narrowing them anew, and asked for now and then.

A tick that meets one fails on its page once, reads the known jobs before it, and goes on behind it. One that
lies out of a tick's way is probed with a page of one job; when that reads, the stretch is read and forgotten.
"""

from __future__ import annotations

from dataclasses import replace

from etl.errors import DeadCursor, GatewayError, NotFound
from etl.load import Gap, OpenGap, count_between
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON
from etl.records import Order, PageRequest, PageRows

#: Gaps that a tick probes besides those in its way, those longest not asked for first.
PROBES = 3
#: Beyond every position.
END = (1 << 63) - 1


def unreadable(run: Run) -> list[OpenGap]:
    """The recorded ones that this run has not met yet, oldest places first."""
    met = run.store.committed.met
    asked = run.batch.probed
    return [
        g
        for g in run.store.committed.gaps
        if g.kind == "unreadable" and g.id not in met and g.id not in asked
    ]


def position(run: Run, job_id: str | None) -> int | None:
    """Where a stored job stands."""
    known = run.store.known([job_id]) if job_id is not None else {}
    return known[job_id].list_position if job_id in known else None


def ahead(run: Run, request: PageRequest) -> OpenGap | None:
    """The next one that a walk meets behind the request's cursor."""
    gaps = unreadable(run)
    if not gaps:
        return None
    run.flush()
    place = position(run, request.after)
    if request.order == "asc":
        gaps = [gap for gap in gaps if place is None or (gap.low is not None and gap.low >= place)]
        return gaps[0] if gaps else None
    gaps = [gap for gap in gaps if place is None or (gap.high is not None and gap.high <= place)]
    return gaps[-1] if gaps else None


def read_up_to(
    run: Run, lane: str, request: PageRequest, gap: OpenGap, error: GatewayError
) -> list[str] | None:
    """Read the known jobs between the cursor and the gap, as many as they are, and return their ids; None
    when they cannot be read so, and the record has to be looked for."""
    shown: list[str] = []
    target = gap.below if request.order == "asc" else gap.above
    if target is None:
        run.batch.probed.append(gap.id)
        return shown if request.after is None else None
    while (left := _known_before(run, request, target)) > 0:
        run.narrowing.spend(error)
        try:
            rows = run.fetch(replace(request, limit=min(left, request.limit)), attempts=1)
        except (*POISON, DeadCursor, NotFound):
            _begin_anew(run, lane, shown)
            return None
        if not rows.jobs or rows.page.leads_to is None:
            _begin_anew(run, lane, shown)
            return None
        run.take(lane, rows)
        shown += [row.job_id for row in rows.jobs]
        run.flush()
        request = replace(request, after=rows.page.leads_to)
    run.batch.probed.append(gap.id)
    return shown


def _begin_anew(run: Run, lane: str, shown: list[str]) -> None:
    """What was read so far is read again: the lane begins anew, or it would seem to go round in circles."""
    if shown:
        run.reopen(lane)


def _known_before(run: Run, request: PageRequest, target: str) -> int:
    """How many known jobs a page must hold to end with `target`."""
    if request.after == target:
        return 0
    end, start = position(run, target), position(run, request.after)
    if end is None:
        return 0
    source_id = run.store.source_id
    if request.order == "asc":
        low = -END if start is None else start
        return run.store.read(lambda conn: count_between(conn, source_id, low, end + 1))
    high = END if start is None else start
    return run.store.read(lambda conn: count_between(conn, source_id, end - 1, high))


def probe(run: Run) -> None:
    """Ask for the gaps that the walk has not met: a page of one job each, and the rest of those that read."""
    gaps = sorted(unreadable(run), key=lambda gap: (gap.probed_at is not None, gap.probed_at or 0))
    for gap in gaps[:PROBES]:
        start = _start(run, gap)
        run.lane("gap", start.order, bounded=True, watch=False)
        run.join("gap")  # it lies between known jobs: nothing is hidden below it that is not in the gap
        if not _read_into(run, gap, start):
            run.batch.probed.append(gap.id)
        run.flush()


def _start(run: Run, gap: OpenGap) -> PageRequest:
    """At the nearest job that is still listed: the gap's own neighbour may be gone."""
    downwards = run.lists_newest_first
    place = gap.high if downwards else gap.low
    beside = None
    if place is not None:
        edge = place - 1 if downwards else place + 1
        beside = run.store.listed_beside(edge, above=downwards)
    return PageRequest(None if beside is None else beside[0], "desc" if downwards else "asc", 1)


def _read_into(run: Run, gap: OpenGap, request: PageRequest) -> bool:
    """Read the gap from its near end as far as it can be read; False when that is not at all."""
    read = False
    following: PageRequest | None = request
    while following is not None:
        try:
            rows = run.fetch(following, attempts=1)
        except (*POISON, DeadCursor, NotFound) as error:
            if read:
                _shrink(run, gap, following, error)
            return read
        run.take("gap", rows)
        read = True
        run.commit_if_due()
        over = rows.page.ends or rows.page.leads_to is None or _passes_end(run, gap, rows, request.order)
        following = None if over else PageRequest(rows.page.leads_to, request.order, run.source.page_size)
    return read


def _passes_end(run: Run, gap: OpenGap, rows: PageRows, order: Order) -> bool:
    """The page shows a known job at the gap's far end, or behind it."""
    places = [job.list_position for job in run.store.known([row.job_id for row in rows.jobs]).values()]
    if order == "asc":
        return gap.high is not None and any(place >= gap.high for place in places)
    return gap.low is not None and any(place <= gap.low for place in places)


def _shrink(run: Run, gap: OpenGap, request: PageRequest, error: GatewayError) -> None:
    """Part of it could be read: what is left lies behind the last job read."""
    run.flush()
    below, above = (request.after, gap.above) if request.order == "asc" else (gap.below, request.after)
    run.open_gap(Gap(None, None, below, above, f"unreadable at the gateway: {error}", "unreadable"))
