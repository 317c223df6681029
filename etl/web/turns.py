"""Pages that ask the database: a bounded number at a time, each ended when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive

from etl.analytics.cancellation import Abandoned, Asking

T = TypeVar("T")
#: Pages that are made at a time, and that may wait for their turn.
AT_WORK, IN_LINE = 4, 16


class Crowded(Exception):
    """More pages are waited for than can be made soon."""


class PageLimiter:
    """At most `at_work` pages are made at a time, `in_line` wait; one more raises Crowded at once."""

    def __init__(self, at_work: int = AT_WORK, in_line: int = IN_LINE) -> None:
        self._free, self._room, self._inside = asyncio.Semaphore(at_work), at_work + in_line, 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        if self._inside >= self._room:
            raise Crowded
        self._inside += 1
        try:
            async with self._free:
                yield
        finally:
            self._inside -= 1


async def make_page(make: Callable[[], T], receive: Receive) -> T:
    """`make()`, in a thread. Raises Abandoned when the client goes, and has the database stop."""
    asking = Asking()
    making = asyncio.ensure_future(run_in_threadpool(asking.run, make))
    leaving = asyncio.ensure_future(_wait_until_gone(receive))
    try:
        await asyncio.wait({making, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if making.done():
            return making.result()
        _abandon_statement(asking)
        await asyncio.wait({making})  # its turn is over when its thread is free
        making.exception()  # looked at, and of no interest
        raise Abandoned
    except asyncio.CancelledError:  # the server ends
        _abandon_statement(asking)
        raise
    finally:
        leaving.cancel()


def _abandon_statement(asking: Asking) -> None:
    """A database that hangs may let a cancellation wait, too: not on the event loop."""
    threading.Thread(target=asking.abandon, name="abandon", daemon=True).start()


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
