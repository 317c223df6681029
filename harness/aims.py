"""When to strike: somewhere in a run's time, at its n-th request, or while it writes."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from harness.forked import Forked
from harness.processes import Gateway
from harness.stores import Store

PAUSE = 0.005
#: Seconds that a transaction is waited for; then the process is killed outside one.
_PATIENCE = 20.0


@dataclass(frozen=True)
class Usual:
    """What a run of this kind took when nobody disturbed it."""

    seconds: float = 2.0
    requests: int = 60


@dataclass(frozen=True)
class Aim:
    """`seconds` after the start; or at request number `requests`; or `seconds` into a transaction."""

    how: str
    seconds: float = 0.0
    requests: int = 0
    transactions: int = 1


def draw(rng: random.Random, usual: Usual) -> Aim:
    how = rng.choices(("time", "request", "transaction"), (3, 5, 4))[0]
    if how == "time":
        return Aim(how, rng.uniform(0.0, usual.seconds * 1.1))
    if how == "request":
        return Aim(how, rng.uniform(0.0, 0.02), requests=rng.randint(1, max(1, usual.requests)))
    return Aim(how, rng.choice((0.0, rng.uniform(0.0, 0.03))), transactions=rng.choice((1, 1, 2, 3)))


def wait(aim: Aim, process: Forked, gateway: Gateway, store: Store) -> bool:
    """Wait for the moment; False when the process ended before it came."""
    if aim.how == "time":
        deadline = time.monotonic() + aim.seconds
        while process.alive and time.monotonic() < deadline:
            time.sleep(PAUSE)
        return process.alive
    if aim.how == "request":
        wanted = gateway.served() + aim.requests
        while process.alive and gateway.served() < wanted:
            time.sleep(PAUSE)
    else:
        _wait_for_transactions(aim.transactions, process, store)
    if process.alive:
        time.sleep(aim.seconds)
    return process.alive


def _wait_for_transactions(number: int, process: Forked, store: Store) -> None:
    """Wait until the `number`-th transaction that we notice is open, or patience ends."""
    # InnoDB shows its transactions as they were, to who asks again within a tenth of a second.
    pause = 0.11 if store.family == "mariadb" else PAUSE / 4
    deadline = time.monotonic() + _PATIENCE

    def waiting() -> bool:
        return process.alive and time.monotonic() < deadline

    for _ in range(number):
        before = store.mark() if store.path else None
        while waiting() and not store.at_work(before):
            time.sleep(pause)
        if store.path is None and number > 1:
            while waiting() and store.at_work():
                time.sleep(pause)
