"""What is new and what has changed, at a cost that follows what is new or open.

The tick lists oldest-first from a job some seconds before the frontier, so that its first page must show a
job that we know, the witness, and may show a new one of the same second. Without a witness, the list is
walked newest-first until it is known ground again.
"""

from __future__ import annotations

from dataclasses import replace

from etl.errors import DeadCursor, GatewayError, NotFound, OrderIgnored
from etl.pipeline import known_gaps, order
from etl.pipeline.newest_first import newest_first
from etl.pipeline.oldest_first import newest_first_or_up, read_again
from etl.pipeline.poison import isolate
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON
from etl.pipeline.turns import look_for_turns
from etl.pipeline.walk import Steering, walk_list
from etl.records import PageRequest, PageRows


def tick(run: Run) -> None:
    """Bring the source up to date. Raises GatewayError, StorageError, LeaseLost, Stopped."""
    resuming = run.state.checkpoint is not None  # a newest-first walk left a hole: close it first
    apart = run.state.learned.cursors_apart  # the frontier's id is no cursor
    if run.lists_oldest_first:
        if resuming or apart or not _from_frontier(run):
            newest_first(run) if order.keeps_order_again(run) else read_again(run)
    elif resuming or apart or run.lists_newest_first:
        newest_first_or_up(run, read_again)
    elif not _in_order(run):
        look_for_turns(run)
        newest_first_or_up(run, read_again)
    known_gaps.probe(run)


def _in_order(run: Run) -> bool:
    """Walk oldest-first from the frontier; False where the newest-first walk has to do it instead."""
    try:
        return _from_frontier(run)
    except OrderIgnored as error:
        order.demand_downwards(run, "tick", error)
        return False


def _from_frontier(run: Run) -> bool:
    """Walk oldest-first from the frontier; False when the first page cannot be trusted."""
    request = run.request("asc", run.state.cursor)
    try:
        first = run.first(request)
    except (DeadCursor, NotFound):
        if request.after is None:
            raise
        return False
    except POISON as error:
        if run.wait_for(lambda: run.gateway.is_poison_itself(request)):
            return False
        run.lane("tick", "asc")
        _read_on(run, isolate(run, "tick", request, error))
        return True
    if not _believable(run, first):
        run.distrust(first)
        return False
    _walk(run, first)
    return True


def _believable(run: Run, first: PageRows) -> bool:
    if order.runs_against(run, first):
        order.note_downwards(run)
        order.lists_newest_first(run)
        return False
    if order.may_run_down(run, first) and order.lists_newest_first(run):
        return False
    return run.state.frontier_id is None or _has_witness(run, first)


def _has_witness(run: Run, first: PageRows) -> bool:
    """A known job from behind the cursor stands on the page."""
    cursor = run.state.cursor
    ids = [row.job_id for row in first.jobs]
    known = run.store.known([*ids, cursor] if cursor else ids)
    behind = known[cursor].list_position if cursor in known else None
    late = any(job.first_run_id > (run.state.complete_run_id or 0) for job in known.values())
    strange = run.strange_runs() if late else []
    witnesses = [known[i] for i in ids if i in known and i != cursor and known[i].first_run_id not in strange]
    return any(behind is None or job.list_position > behind for job in witnesses)


def _walk(run: Run, first: PageRows) -> None:
    run.lane("tick", "asc")
    _take(run, first)
    _doubt_end(run, _read_on(run, first.page.following) or first)


def _read_on(run: Run, request: PageRequest | None) -> PageRows | None:
    """Walk to the end of the list, past records that nobody can read; returns the last page."""
    steering = _FromFrontier(run, "tick", "asc")
    walk_list(steering, request)
    return steering.last


class _FromFrontier(Steering):
    """Oldest first, to the end of the list."""

    last: PageRows | None = None

    def take_page(self, rows: PageRows) -> None:
        self.last = rows
        _take(self.run, rows)

    def pass_poison(self, request: PageRequest, error: GatewayError) -> PageRequest | None:
        return isolate(self.run, self.lane, request, error)


def _doubt_end(run: Run, last: PageRows) -> None:
    """Ask behind a page that ended the list though it could hold no more, as a false end looks, and as each
    page does of a gateway that always says `has_more: false`; and where only its length says that it ends, as
    a gateway may cap this page and not that one."""
    while (behind := _doubtful_end(last)) is not None:
        if (rows := _read_on(run, behind)) is None or not rows.jobs:
            return
        last = rows


def _doubtful_end(last: PageRows) -> PageRequest | None:
    if last.page.leads_to is None or not last.page.ends or not last.page.items:
        return None
    if last.page.has_room and last.page.has_more is not None and last.page.full is None:
        return None
    return replace(last.page.request, after=last.page.leads_to)


def _take(run: Run, rows: PageRows) -> None:
    run.take("tick", rows)
    run.commit_if_due(None)
