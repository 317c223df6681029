"""Lists that run from the oldest job to the newest, whatever they are asked: one walk from the beginning."""

from __future__ import annotations

from etl.errors import DeadCursor, NotFound
from etl.pipeline import order
from etl.pipeline.newest_first import newest_first
from etl.pipeline.poison import POISON, isolate
from etl.pipeline.run import Run
from etl.records import PageRequest, PageRows


def read_one_way(run: Run, head: PageRows) -> None:
    """A gateway that lists one way whatever it is asked: from its beginning to its end, in a single walk.
    `head` is its first page."""
    if (order.find_way(run, is_ignored=True) or order.way_of_ends(head)) > 0:
        oldest_first(run)
    else:
        newest_first(run)


def oldest_first(run: Run) -> None:
    """A gateway that lists oldest first whatever it is asked."""
    run.state.list_order = "asc" if run.source.order == "auto" else run.state.list_order
    run.lane("old", "asc")
    following: PageRequest | None = run.request("asc", (run.state.checkpoint or {}).get("old"))
    while (asked := following) is not None:
        following = None
        try:
            for rows in run.follow(asked):
                run.check("old", rows)
                run.add("old", rows)
                run.settle({"old": rows.leads_to or asked.after, "below": []})
        except POISON as error:
            following = isolate(run, "old", error.request or asked, error)
        except (DeadCursor, NotFound):
            if asked.after is None:
                raise
            following = run.request("asc")  # where a killed run had come to is gone: anew


def read_again(run: Run) -> None:
    """The whole list: nothing can be asked from its newest end, and the frontier is no place to begin at."""
    known = False
    run.lane("tick", "asc")
    request: PageRequest | None = run.request("asc")
    while (asked := request) is not None:
        request = None
        try:
            for rows in run.follow(asked):
                known = known or bool(run.store.known([row.job_id for row in rows.jobs]))
                run.check("tick", rows)
                run.add("tick", rows)
                run.settle(None)
        except POISON as error:
            request = isolate(run, "tick", error.request or asked, error)
    run.met_known = known
