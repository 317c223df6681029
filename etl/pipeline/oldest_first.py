"""Lists that run from the oldest job to the newest, whatever they are asked: one walk from the beginning."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from etl.errors import GatewayError, OrderIgnored
from etl.load import Gap
from etl.pipeline import order
from etl.pipeline.ending import Ending
from etl.pipeline.newest_first import CUT_SHORT, newest_first
from etl.pipeline.page_checks import created
from etl.pipeline.poison import isolate
from etl.pipeline.run import Run
from etl.pipeline.walk import Steering, walk_list
from etl.records import PageRequest, PageRows


def read_one_way(run: Run, head: PageRows) -> None:
    """A gateway that lists one way whatever it is asked: from its beginning to its end, in a single walk.
    `head` is its first page."""
    way = order.find_way(run, is_ignored=True) or order.way_of_ends(head)
    if way > 0:
        oldest_first(run)
        return
    if way < 0:
        order.note_downwards(run)
    newest_first_or_up(run, oldest_first)


def oldest_first(run: Run) -> None:
    """A gateway that lists oldest first whatever it is asked."""
    run.state.list_order = "asc" if run.source.order == "auto" else run.state.list_order
    read_anew(run, None if run.begun_anew else (run.state.checkpoint or {}).get("old"))


def read_anew(run: Run, after: str | None = None) -> None:
    """From the list's beginning to its end in one walk."""
    steering = FromBeginning(run)
    walk_list(steering, run.request("asc", after))
    if steering.ending is not None and (last := steering.ending.unproved) is not None:
        run.open_gap(Gap(steering.newest_at, None, last, None, CUT_SHORT))


def newest_first_or_up(run: Run, upwards: Callable[[Run], None]) -> None:
    """From the newest job down; but where the list turns out to run upwards only, `upwards`. Raises
    OrderIgnored where neither can be told."""
    try:
        newest_first(run)
    except OrderIgnored:
        if not order.runs_up_only(run):
            raise
        run.distrust_lane("head")
        run.join("head")
        upwards(run)


def read_again(run: Run) -> None:
    """The whole list: nothing can be asked from its newest end, and the frontier is no place to begin at."""
    steering = WholeAgain(run, "tick", "asc")
    walk_list(steering, run.request("asc"))
    run.met_known = steering.known


class FromBeginning(Steering):
    """A first load. A false end looks like the true one, so it is doubted."""

    def __init__(self, run: Run) -> None:
        super().__init__(run, "old", "asc")
        self.ending = Ending()
        self.newest_at: datetime | None = None
        self._from: str | None = None

    def begin_stretch(self, start: PageRequest) -> None:
        if self.run.batch.pages:
            self.run.flush()  # what the lane passed is stored before the lane moves
        self.run.lane(self.lane, "asc")
        self._from = start.after

    def take_page(self, rows: PageRows) -> None:
        self.run.take(self.lane, rows)
        if self.ending is not None:
            self.ending.saw(rows)
        self.newest_at = max(created(rows), default=self.newest_at)
        self._from = rows.page.leads_to or self._from
        self.run.commit_if_due({"old": self._from, "below": []})

    def pass_poison(self, request: PageRequest, error: GatewayError) -> PageRequest | None:
        following = isolate(self.run, self.lane, request, error)
        self.ending = Ending(following.after) if following else None  # it ends in what nobody can read
        return following

    def replace_cursor(self, request: PageRequest, error: GatewayError) -> PageRequest | None:
        """Where a killed run had come to is gone: anew."""
        if request.after is None or self.passed:
            return super().replace_cursor(request, error)
        return self.run.request("asc")


class WholeAgain(Steering):
    """A tick that reads everything."""

    known = False

    def begin_stretch(self, start: PageRequest) -> None:
        if start.after is None:
            self.run.lane(self.lane, "asc")

    def take_page(self, rows: PageRows) -> None:
        self.known = self.known or bool(self.run.store.known([row.job_id for row in rows.jobs]))
        self.run.take(self.lane, rows)
        self.run.commit_if_due(None)

    def pass_poison(self, request: PageRequest, error: GatewayError) -> PageRequest | None:
        return isolate(self.run, self.lane, request, error)
