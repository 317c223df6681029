"""A record that the gateway itself cannot read makes every page that contains it fail, for ever.

Smaller limits from both sides narrow it to exactly that record: what is left between two readable neighbours
is written down as a reject without bytes, and the run goes on behind it.
"""

from __future__ import annotations

from dataclasses import replace

from etl.errors import GarbledAnswer, GatewayError, ServerFault, Unparseable
from etl.load import neighbour
from etl.pipeline.run import Run
from etl.records import Reject, Request

#: What a page with a poison record looks like, after the retries.
POISON = (Unparseable, ServerFault, GarbledAnswer)
#: Tries per narrowed request: the full page was tried often enough already.
ATTEMPTS = 2


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
        left -= len(rows.page.items)
        size = max(1, min(size, left // 2))
        request = replace(request, after=rows.page.last_id or rows.jobs[-1].job_id)
    return request.after


def isolate(run: Run, lane: str, request: Request, error: GatewayError) -> None:
    """An oldest-first walk met poison: read up to it, then down to it from the newest job.

    Raises the original error when nothing at all can be read: then it is the gateway that is sick.
    """
    before = len(run.batch.pages)
    low = narrow(run, lane, request, error)
    run.lane("above", "desc", watch=False)
    high, met = _down_to(run, low, error, readable=len(run.batch.pages) > before)
    if not met:
        record(run, low, high, error)
    run.settle(None)


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
        if high is None and not readable:
            raise error from found
    return high, False


def isolate_from_above(run: Run, lane: str, request: Request, error: GatewayError) -> Request | None:
    """A newest-first walk met poison: read down to it, then up to it from the next known job below.

    Returns where the walk goes on, or None when nothing is known below the poison.
    """
    high = narrow(run, lane, request, error)
    if high is None:
        raise error
    run.flush()
    source_id = run.store.source_id
    known = run.store.known([high])
    below = (
        run.store.read(
            lambda conn: neighbour(conn, source_id, known[high].list_position, above=False, listed=True)
        )
        if high in known
        else None
    )
    if below is None:
        record(run, None, high, error)
        return None
    low = _up_to(run, below[0])
    record(run, low, high, error)
    return run.request("desc", below[0])


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
    reason = f"unreadable at the gateway: {error}"
    run.batch.rejects.append((Reject(reason, None, after_id=low, before_id=high), low, run.now()))


def _confirmed(run: Run, low: str | None, high: str | None) -> bool:
    """Both neighbours' next job still fails alone, while the far ends of the list can be read."""
    if _reads(run, Request(low, "asc", 1)) or _reads(run, Request(high, "desc", 1)):
        return False
    return (low is not None and _reads(run, Request(None, "asc", 1))) or (
        high is not None and _reads(run, Request(None, "desc", 1))
    )


def _reads(run: Run, request: Request) -> bool:
    try:
        run.fetch(request, attempts=ATTEMPTS)
    except POISON:
        return False
    return True
