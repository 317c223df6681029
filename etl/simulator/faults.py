"""Faults: what goes wrong, where and how often.

`name[:key=value,…]`, e.g. `upstream_429:times=2,retry_after=1` or `truncated:rate=0.1,order=asc`.
Keys of every fault: times (how many answers it spoils), skip (how many matching requests it lets pass first),
rate (chance per request), after / order / id (only requests with this cursor, order or job),
on (list | job | log), through (openai_passthrough: only requests for the provider's own bytes).
Standing faults hold until cleared. The other keys belong to the fault.
"""

import random
from collections.abc import Iterable, Sequence

from etl.simulator import error_table, type_drift
from etl.simulator.fault import Fault
from etl.simulator.items import INTRUDERS, ITEMS, KINDS
from etl.simulator.mangle import ASKS, ENVELOPES, RESPONSES
from etl.simulator.settings import DEAD_CURSORS
from etl.simulator.wire import Request
from etl.simulator.world import World

STANDING = ("poison", "dead_cursor", "health_down", "key_failed", "poison_type", "upstream_gone")
PROXIES = ("proxy_502", "proxy_503")
NAMES = sorted({*error_table.TABLE, *PROXIES, *STANDING, *ASKS, *ITEMS, *ENVELOPES, *RESPONSES})
ENDS = ("404", "410", "400", "empty")
MATCHES = ("after", "order", "id", "on", "through")


def parse_fault(spec: str) -> Fault:
    """A fault from its text. Raises ValueError for unknown names and unreadable numbers."""
    name, _, rest = spec.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    return make_fault(name, {key.strip(): value for key, _, value in pairs})


def make_fault(name: str, args: dict[str, object]) -> Fault:
    texts = {key: str(value) for key, value in args.items()}
    _check_name(name, "fault", NAMES)
    if name == "bad_item":
        _check_name(texts.get("kind", "null"), "kind of bad item", [*INTRUDERS, "duplicate", *KINDS])
    elif name == "dead_cursor":
        _check_name(texts.get("how", "404"), "end of a dead cursor", DEAD_CURSORS)
    elif name == "poison_type":
        _check_name(texts.get("kind", "seconds_number"), "kind of another type", [*type_drift.KINDS])
    elif name == "upstream_gone":
        _check_name(texts.get("how", "404"), "end of an upstream", ENDS)
    # A poisoned job's id names the job, not the requests to spoil.
    matches = () if name in STANDING else MATCHES
    return Fault(
        name,
        times=int(texts.pop("times")) if "times" in texts else None,
        skip=int(texts.pop("skip", 0)),
        rate=float(texts.pop("rate", 1)),
        match={key: texts.pop(key) for key in matches if key in texts},
        args=texts,
    )


def _check_name(given: str, what: str, known: Sequence[str]) -> None:
    if given not in known:
        raise ValueError(f"unknown {what} {given!r}; known are: {', '.join(known)}")


class Faults:
    """The faults in force. `current`: those that spoil the request being answered."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self.all: list[Fault] = []
        self.current: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        fault.rng = random.Random(f"{self._seed}:{len(self.all)}:{fault.name}")
        self.all = [*self.all, fault]
        return fault

    def clear(self, name: str | None = None) -> None:
        """Take away every fault, or those of one name."""
        self.all = [fault for fault in self.all if name and fault.name != name]
        self.current = []

    def pick(self, request: Request, name: str | None = None) -> list[Fault]:
        if not self.all:
            self.current = []
            return self.current
        mine = [f for f in self.all if (f.name == name if name else f.name not in STANDING)]
        self.current = [fault for fault in mine if fault.strikes(request)]
        return self.current

    def poisoned(self, ids: Iterable[str], world: World) -> bool:
        """Whether one of these jobs is one that the gateway cannot parse."""
        poison = self.standing("poison")
        if not poison:
            return False
        bad = {fault.text("id") or world.id_at(int(fault.number("index"))) for fault in poison}
        return not bad.isdisjoint(ids)

    def standing(self, name: str) -> list[Fault]:
        return [fault for fault in self.all if fault.name == name]

    @property
    def dead_cursor(self) -> str | None:
        """How unknown cursors are answered, when a fault says so."""
        return next((f.text("how", "404") for f in self.all if f.name == "dead_cursor"), None)

    def upstream_gone(self, provider: str, now: float) -> str | None:
        """How the provider's end shows, once it has come; without a name every provider's."""
        mine = (f for f in self.standing("upstream_gone") if f.text("provider", provider) == provider)
        over = (f for f in mine if f.number("since", float("-inf")) <= now)
        return next((f.text("how", "404") for f in over), None)
