"""What a page that fails may mean: a record that the gateway cannot read, or an outage."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from etl.errors import GarbledAnswer, GatewayError, ServerFault, Unparseable
from etl.load import Trouble
from etl.records import PageRequest

#: What a page with a record that the gateway cannot read looks like, after the retries.
POISON = (Unparseable, ServerFault, GarbledAnswer)
#: A plain 500 or a broken body is an outage, until it has ended so many runs at the same place before.
RUNS = 2
#: What a run may spend on narrowing, all records together.
NARROWING_REQUESTS = 150
NARROWING_SECONDS = 60.0


@dataclass(slots=True)
class Budget:
    """What a run may spend on finding out which records the gateway cannot read: an outage is not one."""

    requests: int = NARROWING_REQUESTS
    until: float | None = None  # by the monotonic clock

    def spend(self, error: GatewayError) -> None:
        """One request more. Raises `error` when the budget is used up."""
        now = time.monotonic()
        self.until = now + NARROWING_SECONDS if self.until is None else self.until
        self.requests -= 1
        if self.requests < 0 or now > self.until:
            raise error


def note_trouble(before: Trouble | None, error: Exception | None, now: datetime) -> Trouble | None:
    """Where a run failed with `error`, and how many runs in a row have failed there alike; None: nowhere."""
    request = error.request if isinstance(error, GatewayError) else None
    if request is None or not isinstance(error, POISON):
        return None
    if before is not None and _is_same(before, request, error):
        return replace(before, runs=before.runs + 1)
    return Trouble(request.after, request.order, type(error).__name__, 1, now)


def demand_proof(before: Trouble | None, request: PageRequest, error: GatewayError) -> None:
    """Raise `error` unless a record may be its cause: the gateway says so, or it stays in its place."""
    error.request = request
    if isinstance(error, Unparseable) or (isinstance(error, GarbledAnswer) and error.whole):
        return
    if (isinstance(error, ServerFault) and error.status != 500) or getattr(error, "hopeless", False):
        raise error
    if before is None or before.runs < RUNS or not _is_same(before, request, error):
        raise error


def _is_same(trouble: Trouble, request: PageRequest, error: GatewayError) -> bool:
    place = (trouble.after, trouble.order, trouble.error)
    return place == (request.after, request.order, type(error).__name__)
