"""Which of the provider's accounts answers: one per request, by weighted chance, unless it is pinned."""

import random
from collections.abc import Mapping

from etl.simulator.world import World

STICKY_SECONDS = 3600.0


class UnknownKey(Exception):
    """A request is pinned to a key that the gateway does not have."""


class AccountPool:
    """Keys are named as the world's accounts; their ids are `<name>-id`."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._chance = random.Random(seed)
        self._sticky: dict[str, tuple[int, float]] = {}

    def choose(self, headers: Mapping[str, str], broken: frozenset[str] = frozenset()) -> int:
        """The account's number; not a broken one, unless it is pinned or the last. Raises UnknownKey."""
        names = list(self._world.accounts)
        if key_id := headers.get("x-bf-api-key-id"):
            return _pinned_account(key_id, [f"{name}-id" for name in names])
        if name := headers.get("x-bf-api-key"):
            return _pinned_account(name, names)
        now, session = self._world.now(), headers.get("x-bf-session-id")
        place, until = self._sticky.get(session or "", (0, 0.0))
        if until <= now or names[place] in broken:
            weights = {n: w for n, (name, w) in enumerate(self._world.accounts.items()) if name not in broken}
            weights = weights or {place: 1.0}
            place = self._chance.choices(list(weights), list(weights.values()))[0]
            if session:
                self._sticky[session] = (place, now + STICKY_SECONDS)
        return place

    def name(self, account: int) -> str:
        return list(self._world.accounts)[account]


def _pinned_account(wanted: str, known: list[str]) -> int:
    if wanted not in known:
        raise UnknownKey(wanted)
    return known.index(wanted)
