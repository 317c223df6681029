"""Gateways that page as their authors read the contract: seeds from `FIRST` on have one such reading each.

All were seen in servers that speak OpenAI's dialect: `has_more` that is a constant, or guessed from a page's
length; cursors of a namespace of their own; a cursor that stands on the page behind it; a least length of
pages. Some worlds are left to themselves, and in some nobody asks who answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from harness.worlds.world import World

FIRST = 600_000


def make_misread(world: World) -> None:
    rng = random.Random(f"{world.seed}/misread")
    KINDS[rng.choice(sorted(KINDS))](world, rng)


def _never_more(world: World, _rng: random.Random) -> None:
    world.character.has_more = "never"


def _guessed_more(world: World, _rng: random.Random) -> None:
    world.character.has_more = "guess"


def _cursors_apart(world: World, _rng: random.Random) -> None:
    world.character.apart, world.character.last_id = True, "right"
    world.lies.pop("wrong_last_id", None)


def _inclusive(world: World, _rng: random.Random) -> None:
    world.character.inclusive = True


def _least_length(world: World, rng: random.Random) -> None:
    world.character.floor = rng.choice((5, 20))


def _unasked_turns(world: World, rng: random.Random) -> None:
    """Two accounts, and nobody asks who answers before the run."""
    world.character.alternates, world.settings.probe = True, False
    world.character.dialect = rng.choice(("bifrost", "openai"))


def _as_it_is(_world: World, _rng: random.Random) -> None: ...


KINDS: dict[str, Callable[[World, random.Random], None]] = {
    "never more": _never_more,
    "guessed more": _guessed_more,
    "cursors apart": _cursors_apart,
    "inclusive": _inclusive,
    "least length": _least_length,
    "unasked turns": _unasked_turns,
    "as it is": _as_it_is,
}
