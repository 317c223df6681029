"""Is it a record that makes these pages fail? The questions that tell, and what is written down then."""

from __future__ import annotations

from etl.errors import DeadCursor, GatewayError, NotFound, Unparseable
from etl.load import Gap
from etl.pipeline import known_gaps
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON
from etl.records import Order, PageRequest, PageRows, Reject

#: Jobs that a page shows at least, where a gateway knows no smaller one.
FAR = 20


def ask(run: Run, request: PageRequest, error: GatewayError) -> PageRows:
    """A page while narrowing: asked once, at the cost of the run's budget, whose end raises `error`."""
    run.obey()
    run.narrowing.spend(error)
    return run.fetch(request, attempts=1)


def record(run: Run, low: str | None, high: str | None, error: GatewayError) -> None:
    """Write the gap down: nobody can read what stands between these two jobs.

    Raises the original error when the fault has gone or spread since: then it was never the record's.
    """
    run.flush()  # its ends are stored before it
    if not _confirmed(run, low, high, error):
        raise error
    reason = f"unreadable at the gateway: {error}"
    run.batch.rejects.append((Reject(reason, None, after_id=low, before_id=high), low, run.now()))
    run.open_gap(Gap(None, None, low, high, reason, "unreadable"))


def _confirmed(run: Run, low: str | None, high: str | None, error: GatewayError) -> bool:
    """Both neighbours' next job still fails alone, while a known job beside them can be read.

    A gateway that lists one way only is asked from that side alone.
    """
    one_way = run.lists_newest_first
    if not one_way and reads(run, PageRequest(low, "asc", 1), error):
        return False
    if not run.lists_oldest_first and reads(run, PageRequest(high, "desc", 1), error):
        return False
    behind_low = None if low is None else PageRequest(low, "desc", 1)  # only the record leads to `low`
    known = (behind_low if one_way else _beside(run, low, "asc"), _beside(run, high, "desc"))
    asked = [request for request in known if request is not None]
    with_cursor = [request for request in asked if request.after is not None]
    beyond = [_far(run, low, "asc"), _far(run, high, "desc")]
    far = [request for request, _ in beyond if request is not None]
    if isinstance(error, Unparseable) and not any(enough for _, enough in beyond):
        # the list's ends say that the gateway is well; where more is known, cursors must work, too
        far += [PageRequest(None, "asc", 1), PageRequest(None, "desc", 1)]
    return any(reads(run, request, error) for request in [*(with_cursor or asked), *far])


def _far(run: Run, job_id: str | None, order: Order) -> tuple[PageRequest | None, bool]:
    """A page so far before this job that it does not reach it, where the gateway shows no page of one job, or
    as far as jobs are known; and whether enough are."""
    place, found = known_gaps.position(run, job_id), None
    for _ in range(FAR):
        beyond = None if place is None else run.store.listed_beside(place, above=order == "desc")
        if beyond is None:
            return (None if found is None else PageRequest(found, order, 1)), False
        found, place = beyond
    return PageRequest(found, order, 1), True


def _beside(run: Run, job_id: str | None, order: Order) -> PageRequest | None:
    """A page of one job that shows a known job beside the record: `job_id`, asked from its other side."""
    if (
        run.gateway.cursors.apart and job_id is not None
    ):  # no job's id is a cursor: the page that ended with it
        return run.gateway.cursors.page_that_ends(order, job_id)
    place = known_gaps.position(run, job_id)
    if place is None:
        return None
    from_above = order == "desc"
    beyond = run.store.listed_beside(place, above=from_above)
    return PageRequest(None if beyond is None else beyond[0], order, 1)


def reads(run: Run, request: PageRequest, error: GatewayError, times: int = 2) -> bool:
    """Asked twice before it is given up: one refusal is no proof."""
    for _ in range(times):
        try:
            ask(run, request, error)
        except POISON:
            continue
        except (DeadCursor, NotFound):
            return False
        return True
    return False
