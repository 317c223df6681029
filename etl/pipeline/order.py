"""Which way a gateway lists is found out from its pages. One page may lie, so it is asked again before it
counts, and again at times afterwards."""

from __future__ import annotations

from etl.errors import GatewayError
from etl.pipeline.guard import direction
from etl.pipeline.run import Run


def lists_newest_first(run: Run) -> bool:
    """Ask for the oldest page and note which way it runs; a page that cannot tell changes nothing.

    A configured order is not questioned.
    """
    if run.source.order == "auto":
        try:
            rows = run.fetch(run.request("asc"))
        except GatewayError:
            return run.lists_newest_first
        run.distrust(rows)
        if found := direction(rows):
            run.state.list_order = "desc" if found < 0 else None
    return run.lists_newest_first
