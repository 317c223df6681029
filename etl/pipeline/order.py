"""Which way a gateway lists is found out from its pages. One page may lie, so it is asked again before it
counts, and again at times afterwards."""

from __future__ import annotations

from datetime import datetime

from etl.errors import GatewayError
from etl.extract import next_request
from etl.pipeline.page_checks import created, direction, direction_of
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
    if run.source.order == "auto":
        try:
            found = _found(run)
        except GatewayError:
            return run.lists_newest_first
        if found:
            run.state.list_order = "desc" if found < 0 else None
    return run.lists_newest_first


def _found(run: Run) -> int:
    """As `direction`. Where a page ends and the next one begins counts too."""
    request, times = run.request("asc"), list[datetime]()
    first: PageRows | None = None
    for _ in range(PAGES):
        rows = run.fetch(request)
        run.distrust(rows)
        first = first or rows
        if found := direction(rows):
            return found
        times += created(rows)
        if found := direction_of(times):  # of pages that hold a job or two
            return found
        following = next_request(rows.page)
        if following is None or _way(times):
            break
        request = following
    return _way(times) or (_way_of_few(run, first) if first is not None else 0)


def _way_of_few(run: Run, rows: PageRows) -> int:
    """Of a list too short for times to tell. It ignores `order` when both orders begin with the same job of
    several; then the first and the last one tell, or which of them was known before."""
    ids = [row.job_id for row in rows.jobs]
    if len(ids) < 2:
        return 0
    other = run.fetch(run.request("desc"))
    run.distrust(other)
    if not other.jobs or other.jobs[0].job_id != ids[0]:
        return 0
    times = created(rows)
    if times and times[0] != times[-1]:
        return 1 if times[0] < times[-1] else -1
    known = run.store.known(ids)
    return -1 if ids[0] not in known and ids[-1] in known else 0


def _way(times: list[datetime]) -> int:
    """One pair tells nothing, as it may be one absurd time: so many must lie on either side of it."""
    first, last = times[:SIDE], times[-SIDE:]
    if len(times) < 2 * SIDE or len({*first}) > 1 or len({*last}) > 1 or first == last:
        return 0
    return 1 if first[0] < last[0] else -1
