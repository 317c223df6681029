"""A record that the gateway itself cannot read makes every page that contains it fail, for ever.

Smaller limits from both sides narrow it to exactly that record: what is left between two readable neighbours
is written down as a reject without bytes, and the run goes on behind it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from etl.errors import DeadCursor, GarbledAnswer, GatewayError, NotFound, ServerFault, Unparseable
from etl.extract import next_cursor
from etl.load import Gap, neighbour
from etl.pipeline import order
from etl.pipeline.run import Run
from etl.records import Order, Reject, Request

#: What a page with a poison record looks like, after the retries.
POISON = (Unparseable, ServerFault, GarbledAnswer)
#: Tries per narrowed request: the full page was tried often enough already.
ATTEMPTS = 2
#: Known jobs tried as a cursor beyond the poison before it is given up.
NEIGHBOURS = 20
_END = 1 << 62  # beyond every position


def narrow(run: Run, lane: str, request: Request, error: GatewayError) -> str | None:
    """Store what can be read from `request` up to the poison; returns the last readable job's id.

    Raises `error` again when it is not the kind that a record causes.
    """
    if (isinstance(error, ServerFault) and error.status != 500) or getattr(error, "hopeless", False):
        raise error
    left = request.limit
    size = max(1, left // 2)
    while left > 0:
        try:
            rows = run.fetch(replace(request, limit=size), attempts=ATTEMPTS)
        except POISON:
            if size == 1:
                break
            left, size = size, size // 2
            continue
        if not rows.page.items:
            break
        run.check(lane, rows)
        run.add(lane, rows)
        left -= min(size, len(rows.page.items))  # odd items may stand beside those asked for
        size = max(1, min(size, left // 2))
        cursor = next_cursor(rows.page)
        if cursor is None:
            break  # nothing on it can be named: there is no going on behind it
        request = replace(request, after=cursor)
    return request.after


def isolate(run: Run, lane: str, request: Request, error: GatewayError) -> Request | None:
    """An oldest-first walk met poison: read up to it and go on behind it; returns where, or None at the end.

    When nothing is known behind it, the rest is read down to it from the newest job. Raises the original
    error when nothing at all can be read: then it is the gateway that is sick.
    """
    before = len(run.batch.pages)
    low = narrow(run, lane, request, error)
    readable = len(run.batch.pages) > before
    above = behind(run, low)
    if above is not None and _confirmed(run, low, above[0]):
        _write_down(run, low, above[0], error)
        run.lane(lane, "asc")  # anew: its first cursor says where it stands
        return run.request("asc", above[0])
    run.lane("above", "desc", watch=False)
    high, met = _down_to(run, low, error, readable=readable)
    if not met:
        record(run, low, high, error)
    run.settle(None)
    return None


def behind(run: Run, low: str | None) -> tuple[str, int] | None:
    """Id and position of the next known job above the poison, which follows `low`."""
    run.flush()
    return _next_known(run, low, above=True)


def _position(run: Run, job_id: str | None, otherwise: int) -> int:
    known = run.store.known([job_id]) if job_id is not None else {}
    return known[job_id].list_position if job_id in known else otherwise


def _next_known(run: Run, edge: str | None, *, above: bool) -> tuple[str, int] | None:
    """Id and position of the first known job behind the poison that follows `edge`."""
    place = _position(run, edge, -_END if above else _END)
    for _ in range(NEIGHBOURS):
        found = _neighbour(run, place, above)
        if found is None or _stands_behind(run, found[0], edge, above):
            return found
        place = found[1]
    return None


def _neighbour(run: Run, place: int, above: bool) -> tuple[str, int] | None:
    source_id = run.store.source_id
    return run.store.read(lambda conn: neighbour(conn, source_id, place, above=above, listed=True))


def _stands_behind(run: Run, job_id: str, edge: str | None, above: bool) -> bool:
    """Not for a job deleted meanwhile, nor for one that leads straight to `edge`: that one is the poison."""
    towards: Order = "desc" if above or run.lists_newest_first else "asc"
    try:
        rows = run.fetch(Request(job_id, towards, 1), attempts=ATTEMPTS)
    except (DeadCursor, NotFound):
        return False
    except POISON:
        return True
    return {row.job_id for row in rows.jobs} != ({edge} if edge is not None else set())


def _down_to(run: Run, low: str | None, error: GatewayError, *, readable: bool) -> tuple[str | None, bool]:
    """Read newest-first to the poison, or to `low` when the poison is gone: (last id read, low was met)."""
    high: str | None = None
    try:
        for rows in run.follow(run.request("desc")):
            run.check("above", rows)
            run.add("above", rows)
            ids = [row.job_id for row in rows.jobs]
            high = ids[-1] if ids else high
            if low in ids:
                return high, True
            run.settle({"below": [high] if high else []})
    except POISON as found:
        high = narrow(run, "above", found.request or run.request("desc"), found) or high
        if high is None and low is None and not readable:
            raise error from found  # else `record` asks whether the rest of the list can be read
    return high, False


def isolate_from_above(
    run: Run, lane: str, request: Request, error: GatewayError
) -> tuple[Request | None, str | None]:
    """A newest-first walk met poison: read down to it, then up to it from the next known job below.

    Returns where the walk goes on, or None when nothing is known below the poison; and the last id read.
    """
    high = narrow(run, lane, request, error)
    oldest = _created(run, high)
    run.flush()
    below = _next_known(run, high, above=False)
    if below is None:
        if high is None:
            raise error
        record(run, None, high, error)
        if run.state.complete_run_id is None:
            run.batch.gap = Gap(None, oldest, None, high, "an unreadable record hides what is older")
        return None, high
    # From below it can only be reached where the gateway lists oldest first.
    downwards = run.lists_newest_first and order.lists_newest_first(run)
    low = below[0] if downwards else _up_to(run, below[0])
    record(run, low, high, error)
    return run.request("desc", below[0]), high


def _created(run: Run, job_id: str | None) -> datetime | None:
    """Creation of a job that was just read."""
    rows = (row for _, page in reversed(run.batch.pages) for row in page.jobs)
    return next((row.created_at for row in rows if row.job_id == job_id), None)


def _up_to(run: Run, start: str) -> str:
    """Read oldest-first from a known job to the poison; returns the last readable id."""
    run.lane("below", "asc", bounded=True, watch=False)
    try:
        for rows in run.follow(run.request("asc", start)):
            run.check("below", rows)
            run.add("below", rows)
            start = rows.jobs[-1].job_id if rows.jobs else start
    except POISON as found:
        start = narrow(run, "below", found.request or run.request("asc", start), found) or start
    return start


def record(run: Run, low: str | None, high: str | None, error: GatewayError) -> None:
    """Write the gap down: nobody can read what stands between these two jobs.

    Raises the original error when the fault has gone or spread since: then it was never the record's.
    """
    if not _confirmed(run, low, high):
        raise error
    _write_down(run, low, high, error)


def _write_down(run: Run, low: str | None, high: str | None, error: GatewayError) -> None:
    reason = f"unreadable at the gateway: {error}"
    run.batch.rejects.append((Reject(reason, None, after_id=low, before_id=high), low, run.now()))


def _confirmed(run: Run, low: str | None, high: str | None) -> bool:
    """Both neighbours' next job still fails alone, while the far ends of the list can be read.

    A gateway that only lists newest first is asked from above alone.
    """
    one_way = run.lists_newest_first
    if (not one_way and _reads(run, Request(low, "asc", 1))) or _reads(run, Request(high, "desc", 1)):
        return False
    below = Request(low, "desc", 1) if one_way else Request(None, "asc", 1)
    return (low is not None and _reads(run, below)) or (
        high is not None and _reads(run, Request(None, "desc", 1))
    )


def _reads(run: Run, request: Request) -> bool:
    try:
        run.fetch(request, attempts=ATTEMPTS)
    except POISON:
        return False
    return True
