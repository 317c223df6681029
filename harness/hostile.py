"""Every fault that the simulator can name, dealt at random to the gateways of a soak."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from etl.simulator.faults import NAMES
from etl.simulator.items import INTRUDERS, KINDS
from etl.simulator.settings import DEAD_CURSORS
from harness.processes import Gateway

#: Faults after which a source rests until a person acts. They strike once.
FATAL = frozenset(
    {
        *("provider_missing", "invalid_limit", "provider_not_configured", "unsupported_operation", "no_keys"),
        *("unknown_key", "missing_headers", "unauthorized", "virtual_key_required", "budget_exceeded"),
        *("virtual_key_not_found", "virtual_key_blocked", "provider_blocked", "model_blocked"),
        *("upstream_400", "upstream_401", "redirect", "no_content"),
    }
)
#: In force for as long as the simulator runs: they are not dealt again and again.
STANDING = ("poison", "poison_type", "upstream_gone", "key_failed")
#: Only the command `check` asks for the gateway's health.
OURS = ("health_down",)
_ARGUMENTS = {
    "stall": "seconds=4",
    "slow": "seconds=1.5",
    "drip": "seconds=0.05",
    "huge": "mb=3",
    "upstream_429": "retry_after=1",
    "clock_skew": "seconds=900",
}


class Deck:
    """All names in random order, again and again; what can be survived without help comes twice as often."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._cards: list[str] = []

    def deal(self, *, spoils: bool) -> str:
        """The next fault's text. `spoils`: it may change what a job seems to be."""
        if not self._cards:
            names = [name for name in NAMES if name not in (*STANDING, *OURS)]
            self._cards = names + [name for name in names if name not in FATAL]
            self._rng.shuffle(self._cards)
        return self._specify(self._cards.pop(), spoils)

    def _specify(self, name: str, spoils: bool) -> str:
        times = 1 if name in FATAL or name in ("stall", "huge") else self._rng.randint(1, 4)
        parts = [f"times={times}", *self._arguments(name, spoils)]
        return f"{name}:{','.join(part for part in parts if part)}"

    def _arguments(self, name: str, spoils: bool) -> Iterable[str]:
        choose = self._rng.choice
        if name == "bad_item":
            yield f"kind={choose([*INTRUDERS, 'duplicate', *(KINDS if spoils else ())])}"
        elif name == "dead_cursor":
            yield f"how={choose(DEAD_CURSORS)}"
        elif name == "cached":
            yield f"hit={choose(('direct', 'semantic', 'miss'))}"
        elif name == "has_more":
            yield f"value={choose(('true', 'false'))}"
        elif name in ("no_ids", "no_has_more", "no_extra_fields"):
            yield choose(("", "as=null"))
        else:
            yield _ARGUMENTS.get(name, "")


class Counted:
    """How often each fault struck; `clear` takes them away and keeps the count."""

    def __init__(self) -> None:
        self.thrown: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()

    def throw(self, gateway: Gateway, spec: str) -> None:
        gateway.ask("fault", spec=spec)
        self.thrown[spec.partition(":")[0]] += 1

    def clear(self, gateway: Gateway, standing: Iterable[str]) -> None:
        """Only the standing ones are left; those do not count."""
        kept = {spec.partition(":")[0] for spec in standing}
        for fault in gateway.ask("stats")["faults"]:
            if fault["name"] not in kept or fault["left"] is not None:
                self.struck[fault["name"]] += fault["hits"]
        gateway.ask("clear")
        for spec in standing:
            gateway.ask("fault", spec=spec)
