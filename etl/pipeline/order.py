"""Which way a gateway lists is found out from its pages. One page may lie, so it is asked again before it
counts, and again at times afterwards."""

from __future__ import annotations

from datetime import datetime

from etl.errors import GatewayError
from etl.extract import next_request
from etl.pipeline.page_checks import created, direction
from etl.pipeline.run import Run

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
    for _ in range(PAGES):
        rows = run.fetch(request)
        run.distrust(rows)
        if found := direction(rows):
            return found
        times += created(rows)
        following = next_request(rows.page)
        if following is None or _way(times):
            break
        request = following
    return _way(times)


def _way(times: list[datetime]) -> int:
    """One pair tells nothing, as it may be one absurd time: so many must lie on either side of it."""
    first, last = times[:SIDE], times[-SIDE:]
    if len(times) < 2 * SIDE or len({*first}) > 1 or len({*last}) > 1 or first == last:
        return 0
    return 1 if first[0] < last[0] else -1
