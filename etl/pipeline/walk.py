"""The one loop of every walk through the list, and the one switch for what several lanes at once come by.

A page is read ahead, checked, taken, and counts for the next commit. A record that nobody can read is passed,
a refused cursor is replaced, and an end is doubted. How each of these is done is the steering's affair: it
says which way the walk runs, where it begins, and what ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from etl.errors import DeadCursor, GatewayError, NotFound
from etl.pipeline.ending import Ending
from etl.pipeline.read_ahead import Event
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON
from etl.records import Order, PageRequest, PageRows

#: So many jobs before a refused cursor are tried instead of it.
NEIGHBOURS = 4


class Steering:
    """How one lane is walked: as it stands here, to the end of the list, which is believed, and every error
    is raised. Strategies override that. `over` ends the walk, or moves it to `jump` where one is set."""

    def __init__(self, run: Run, lane: str, order: Order) -> None:
        self.run, self.lane, self.order = run, lane, order
        self.over = False
        self.jump: PageRequest | None = None
        self.ending: Ending | None = None  # where there is one, the list's end is doubted
        self.passed: list[str] = []  # the jobs of the page that was taken last

    def begin_stretch(self, start: PageRequest) -> None:
        """Before the first request, and again after every jump."""

    def nears_end(self, rows: PageRows) -> bool:
        """Whether this page may be the last one needed: then the next is asked for only once it was handled.
        Called in the thread that reads."""
        return False

    def take_page(self, rows: PageRows) -> None:
        """Believe the page and store it; afterwards `over` says whether the stretch is read."""
        self.run.take(self.lane, rows)
        self.run.commit_if_due()

    def pass_poison(self, request: PageRequest, error: GatewayError) -> PageRequest | None:
        """Where to go on behind a record that nobody can read; None: nowhere. Raises `error`."""
        raise error

    def replace_cursor(self, request: PageRequest, error: GatewayError) -> PageRequest | None:
        """Where to go on when the cursor is refused. The job that ended the last page was deleted since: from
        one before it. Raises `error` where none is left."""
        before = ids_before(self.passed, request.after)
        if not before:
            raise error
        self.run.flush()
        self.run.reopen(self.lane)
        return self.run.request(self.order, before[-1])

    def doubt_end(self) -> PageRequest | None:
        """Where to ask again when the list ends, says the gateway; None: it is believed."""
        if self.ending is None or not self.ending.doubt():
            return None
        self.run.flush()
        return self.run.request(self.order, self.ending.cursor)


def ids_before(ids: Sequence[str], cursor: str | None) -> list[str]:
    """The few jobs that a page shows just before this one; none where it is not among the last."""
    last = ids[-NEIGHBOURS - 1 :]
    return list(last[: last.index(cursor)]) if cursor in last else []


def walk_list(steering: Steering, start: PageRequest | None) -> None:
    """Read from `start` to where the steering ends it.

    Raises GatewayError, StorageError, LeaseLost, Stopped."""
    following = start
    while (asked := following) is not None:
        steering.begin_stretch(asked)
        try:
            following = _read_stretch(steering, asked)
        except POISON as error:
            following = steering.pass_poison(error.request or asked, error)
        except (DeadCursor, NotFound) as error:
            refused, steering.run.met_refusal = error.request or asked, True
            steering.run.note_refused(refused.after)
            following = steering.replace_cursor(refused, error)


def _read_stretch(steering: Steering, start: PageRequest) -> PageRequest | None:
    """Read on from `start`; returns where to jump, or None at the end of the walk."""
    for rows in steering.run.follow(start, hold=steering.nears_end):
        steering.passed = [row.job_id for row in rows.jobs]
        steering.take_page(rows)
        if steering.over:
            jump, steering.over, steering.jump = steering.jump, False, None
            return jump
    return steering.doubt_end()


class LaneSteering(Protocol):
    """How lanes that are read at once are walked: what to do with a page, an error, an end of each."""

    def take_page(self, lane: str, rows: PageRows) -> None: ...
    def pass_poison(self, lane: str, request: PageRequest, error: GatewayError) -> None: ...
    def replace_cursor(self, lane: str, request: PageRequest, error: GatewayError) -> None: ...
    def end_lane(self, lane: str) -> None: ...


def handle_event(steering: LaneSteering, event: Event) -> None:
    """What one of several lanes came by: a page, an error, or its end."""
    error = event.error
    if event.rows is not None:
        steering.take_page(event.lane, event.rows)
    elif error is None:
        steering.end_lane(event.lane)
    elif isinstance(error, POISON):
        error.request = event.request
        steering.pass_poison(event.lane, event.request, error)
    elif isinstance(error, DeadCursor | NotFound) and event.request.after is not None:
        steering.replace_cursor(event.lane, event.request, error)
    else:
        raise error
