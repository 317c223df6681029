"""One world, from its first moment to the verdict."""

from __future__ import annotations

import random

from etl.errors import AnotherAccount, SuspiciousScan
from harness.worlds import end, verdict
from harness.worlds.gateway import Gateway
from harness.worlds.product import LEASE, Process, Product, replaced
from harness.worlds.told import Played, Told
from harness.worlds.verdict import HARMFUL
from harness.worlds.world import Action, World


def play(world: World, product: Product) -> Played:
    """Every run, the calm at the end, and what the verdict finds; the first finding ends it."""
    product.fresh()
    gateway = Gateway(world)
    rng = random.Random(f"{world.seed}/lanes")
    played = Played(world, gateway, [])
    process = Process(product.engine, product.fate, gateway, world.settings, rng)
    with replaced(gateway, world.settings, process, rng):
        for action in world.actions:
            if not _act(played, process, action, product):
                return played
        if _calm(played, process, product):
            with product.reading() as conn:
                played.findings += end.at_the_end(played, conn)
    return played


def _calm(played: Played, process: Process, product: Product) -> bool:
    """The disorder is over: whatever happened, these runs set it right."""
    played.gateway.calm = True
    kinds = ("sync",) * (played.world.seed % 2) + ("reconcile", "sync", "sync")
    if not all(_act(played, process, Action(LEASE + 1, kind), product) for kind in kinds):
        return False
    again = Action(LEASE + 1, "sync")
    return not _remembers_a_lie(played) or all(_act(played, process, again, product) for _ in range(4))


def _remembers_a_lie(played: Played) -> bool:
    """One account answers, but a lie passed for another one: three runs that hear one only must pass, and
    they fail by name. What follows is judged."""
    last = [run.result and run.result.error for run in played.runs[-2:]]
    lied = any(HARMFUL & set(sent.lies) for sent in played.gateway.log)
    turns = played.gateway.character.alternates
    return lied and not turns and any(isinstance(error, AnotherAccount) for error in last)


def _act(played: Played, process: Process, action: Action, product: Product) -> bool:
    """One run and what it left; a scan that the product refuses is accepted in the calm, as by a person; but
    not where that person is told to pin a key, and two accounts do answer.

    False when something is wrong.
    """
    gateway = played.gateway
    gateway.now += action.wait
    process.ahead = process.ahead if action.clock is None else action.clock
    gateway.cap = gateway.cap if action.cap is None else action.cap
    since, first = gateway.now, len(gateway.log)
    result = process.run(action.kind, kill=action.kill, stop=action.stop)
    suspicious = result is not None and isinstance(result.error, SuspiciousScan)
    if gateway.calm and suspicious and not gateway.character.alternates:
        result = process.run("reconcile", accept=True)
        first = len(gateway.log) - process.requests
    sent = gateway.log[first:]
    played.runs.append(Told(action.kind, since, gateway.now, first, result, gateway.calm, sent))
    with product.reading() as conn:
        played.findings += verdict.after_run(played, conn)
    return not played.findings
