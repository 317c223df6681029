"""The whole history: the newest page at once, then the rest in the way that this list can be read."""

from __future__ import annotations

from etl.pipeline import order
from etl.pipeline.both_ends import BothEnds
from etl.pipeline.oldest_first import newest_first_or_up, oldest_first, read_anew, read_one_way
from etl.pipeline.page_checks import backwards
from etl.pipeline.run import Run
from etl.pipeline.shifted import look_over
from etl.pipeline.trouble import POISON
from etl.records import PageRows


def first_load(run: Run) -> None:
    """Read everything the source lists. Raises GatewayError, StorageError, LeaseLost, Stopped."""
    _read_all(run)
    look_over(run)


def _read_all(run: Run) -> None:
    if run.lists_newest_first:
        newest_first_or_up(run, oldest_first)
        return
    if run.lists_oldest_first:
        oldest_first(run)
        return
    if run.begun_anew:
        newest_first_or_up(run, oldest_first) if order.lists_newest_first(run) else read_anew(run)
        return
    load = BothEnds(run)
    try:
        head = _ask_head(run)
    except POISON as error:
        load.head_is_poisoned(error)
    else:
        if order.runs_against(run, head):
            run.distrust(head)
            oldest_first(run)
            return
        if order.begins_alike(run, head):
            run.distrust(head)
            read_one_way(run, head)
            return
        load.take_head(head)
    if not load.met:
        load.read_both_ends()
    if run.lists_newest_first and not load.left_rest:
        newest_first_or_up(run, oldest_first)
    run.join("new")  # the halves have met, or what lies between them is a recorded gap


def _ask_head(run: Run) -> PageRows:
    """The newest page. One that comes upside down is asked for again: it may lie."""
    head = run.first(run.request("desc"))
    if not backwards(head, "desc"):
        return head
    run.distrust(head)
    return run.first(run.request("desc"))
