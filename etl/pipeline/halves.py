"""The two halves of a first load, read towards each other: how far each has come, and who met whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from etl.errors import GatewayError
from etl.load import TOP, Known
from etl.pipeline import order
from etl.pipeline.ending import Ending
from etl.pipeline.page_checks import created
from etl.pipeline.poison_proof import record
from etl.pipeline.run import Run
from etl.records import PageRows

#: Positions above belong to the newest-first half, below to the oldest-first half.
MIDDLE = TOP // 2


class Half:
    """One half. `nearest` is `max` or `min`: of its creation times, the one nearest to the other half."""

    def __init__(self, nearest: Callable[..., Any]) -> None:
        self._nearest = nearest
        self.ending = Ending()
        self.taken: datetime | None = None  # the nearest creation among the pages that were taken
        self._read: datetime | None = None  # and among those that were read, taken or not
        self.stuck: tuple[str | None, GatewayError] | None = None  # last readable id, at a poison record

    def saw(self, rows: PageRows) -> None:
        """A page of it was taken."""
        self.ending.saw(rows)
        self.taken = self._nearest(created(rows), default=self.taken)

    def may_have_met(self, rows: PageRows, other: Half) -> bool:
        """Whether the other half has probably been reached: then the next page is asked for only once this
        one was handled. Called in the thread that reads."""
        self._read = self._nearest(created(rows), default=self._read)
        edge = other._read or other.taken
        return self._read is None or edge is None or self._nearest(self._read, edge) == self._read

    def is_apart(self, rows: PageRows, other: Half) -> bool:
        """The page's end and the other half are plainly apart in time."""
        last = rows.jobs[-1].created_at if rows.jobs else None
        return last is not None and other.taken is not None and self._nearest(last, other.taken) != last


def shows_job_of(lane: str, run: Run, rows: PageRows, known: dict[str, Known]) -> bool:
    """A job on the page was read by this lane, in this run or an earlier one."""
    if not known and run.pending.keys().isdisjoint([row.job_id for row in rows.jobs]):
        return False  # nearly always
    return any(_lane_of(row.job_id, run, known) == lane for row in rows.jobs)


def _lane_of(job_id: str, run: Run, known: dict[str, Known]) -> str | None:
    if job_id in run.pending:
        return run.pending[job_id]
    if job_id in known:
        return "new" if known[job_id].list_position > MIDDLE else "old"
    return None


def leave_poison(run: Run, old: Half, new: Half, cursor: str | None) -> bool:
    """Both halves stopped at unreadable records; what lies between them cannot be read. `cursor`: how far the
    oldest-first half came, if it did not stop. True where a whole end of the list is left, newer or older."""
    low, error = old.stuck or (cursor, None)
    high, other = new.stuck or (None, None)
    if error is None or other is None:
        raise error or other or AssertionError("a first load ended without meeting")
    if low is not None and low == high:  # `order` is ignored
        _leave_rest_behind(run, low, error)
        return True
    record(run, low, high, error)
    return False


def _leave_rest_behind(run: Run, last: str, error: GatewayError) -> None:
    """What lies behind `last` cannot be read: newer jobs or older ones, as the list's beginning tells.
    While it does not, nobody knows what was not read, and the run fails."""
    way = order.way_of_beginning(run, error)
    if way == 0 and run.source.order == "auto":
        raise error
    run.distrust_lane("new" if way > 0 else "old")  # the same jobs: they would be placed upside down
    if way > 0:
        run.state.list_order = "asc"
        record(run, last, None, error)
    else:
        order.note_downwards(run)
        record(run, None, last, error)
