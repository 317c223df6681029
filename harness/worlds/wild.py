"""Worlds beyond the plain draw: what gateways, clocks and proxies were not yet seen to do, and might.

Seeds from `FIRST` on have one or two of these; which is told in the world itself, so files replay.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from harness.worlds.world import DAY, World

FIRST = 200_000


def make_wild(world: World) -> None:
    rng = random.Random(f"{world.seed}/wild")
    for kind in rng.sample(sorted(KINDS), rng.choice((1, 1, 2))):
        KINDS[kind](world, rng)


def _moving_ties(world: World, rng: random.Random) -> None:
    """Jobs of one second come in another order at each request."""
    world.character.ties, world.character.window = "moving", None
    _crowd(world, rng)


def _crowd(world: World, rng: random.Random) -> None:
    """More jobs of one second than a page holds."""
    jobs = [job for job in world.jobs if not job.stranger]
    if not jobs:
        return
    start = rng.randrange(len(jobs))
    for job in jobs[start : start + rng.choice((5, 15, 40))]:
        moved = jobs[start].born - job.born
        job.born, job.shown = jobs[start].born, jobs[start].born + rng.choice((0.0, 4.0)) * rng.random()
        job.steps = [(at + moved, status, progress) for at, status, progress in job.steps]
        if job.gone is not None:
            job.gone = max(job.gone, job.shown)


def _creation_changes(world: World, rng: random.Random) -> None:
    for job in world.jobs:
        if rng.random() < 0.1:
            job.edits.append(
                (job.shown + rng.choice((5.0, DAY)) * rng.random(), "created_at", rng.randint(-3, 3))
            )


def _clock_steps(world: World, rng: random.Random) -> None:
    for action in world.actions:
        action.clock = rng.choice((None, 0.0, -3600.0, 3600.0, -DAY, DAY, 400 * DAY, 5.0))


def _caps_change(world: World, rng: random.Random) -> None:
    for action in world.actions:
        action.cap = rng.choice((None, 0, 3, 7))


def _dead_cursors(world: World, rng: random.Random) -> None:
    """Many jobs are deleted, so that cursors die."""
    world.character.dead_cursor = rng.choice(("410", "422", "first_page", "empty", "404"))
    for job in world.jobs:
        if job.gone is None and rng.random() < 0.2:
            job.gone = max(job.shown, 0.0) + rng.choice((5.0, 600.0, DAY)) * rng.random()


def _hollow_pages(world: World, rng: random.Random) -> None:
    """An empty page that says that more follows, and where."""
    world.lies["hollow"] = rng.choice((0.05, 0.2))


def _gzip_cut(world: World, rng: random.Random) -> None:
    world.troubles["gzip_cut"] = rng.choice((0.05, 0.2))


def _alternating(world: World, rng: random.Random) -> None:
    world.character.alternates = True
    world.character.dialect = rng.choice(("bifrost", "bifrost", "openai", "bifrost2"))


def _quiet_days(world: World, rng: random.Random) -> None:
    """The list forgets in a day, and for days nothing is made."""
    world.character.retention = DAY
    for action in world.actions:
        action.wait = rng.choice((60.0, 0.5 * DAY, 1.2 * DAY, 3 * DAY))


def _moves_by_id(world: World, rng: random.Random) -> None:
    world.character.moves_by_id = True
    world.settings.rereads = rng.choice((5, 20))


def _killed_between_statements(world: World, rng: random.Random) -> None:
    for action in world.actions:
        action.kill = ("statement", rng.randint(1, 80))


def _passthrough(world: World, rng: random.Random) -> None:
    world.character.passthrough = rng.choice(("right", "list_only"))
    world.character.dialect = rng.choice(("bifrost", "bifrost2"))
    for job in world.jobs:
        if job.odd is None and rng.random() < 0.05:
            job.poison, job.cured = max(job.shown, rng.choice((0.0, 600.0))), None


KINDS: dict[str, Callable[[World, random.Random], None]] = {
    "moving ties": _moving_ties,
    "crowd": _crowd,
    "creation changes": _creation_changes,
    "clock steps": _clock_steps,
    "caps change": _caps_change,
    "dead cursors": _dead_cursors,
    "hollow pages": _hollow_pages,
    "gzip cut": _gzip_cut,
    "alternating": _alternating,
    "quiet days": _quiet_days,
    "moves by id": _moves_by_id,
    "killed between statements": _killed_between_statements,
    "passthrough": _passthrough,
}
