"""What was played: the runs as their caller saw them, beside the gateway's log."""

from __future__ import annotations

from dataclasses import dataclass, field

from etl.records import RunResult
from harness.worlds.answers import Item, Sent
from harness.worlds.gateway import Gateway
from harness.worlds.world import World


@dataclass
class Told:
    """One run as its caller saw it, and the stretch of the gateway's log that is its own."""

    kind: str
    since: float
    until: float
    first: int
    result: RunResult | None
    calm: bool
    sent: list[Sent] = field(default_factory=list)

    @property
    def status(self) -> str:
        return "killed" if self.result is None else self.result.status

    @property
    def honest(self) -> bool:
        return all(sent.honest for sent in self.sent)

    def __str__(self) -> str:
        error = self.result and self.result.error
        why = "" if error is None else f" {type(error).__name__}: {str(error)[:150]}"
        lies = sorted(
            {name for sent in self.sent for name in sent.lies} | {s.trouble or "" for s in self.sent}
        )
        told = " ".join(name for name in lies if name)
        return f"{self.since:11.1f} {self.kind} {self.status} {len(self.sent)} requests {told}{why}"


@dataclass
class Played:
    """All that the verdict needs."""

    world: World
    gateway: Gateway
    runs: list[Told]
    findings: list[str] = field(default_factory=list)

    _sights: dict[str, Item] = field(default_factory=dict)
    _read: int = 0

    def last_sent(self, told: Told) -> dict[str, Item]:
        """What each job looked like when it was last sent before this run; asked run by run."""
        for sent in self.gateway.log[self._read : told.first]:
            self._sights.update((i["id"], i) for i in sent.items or () if isinstance(i, dict) and "id" in i)
        self._read = max(self._read, told.first)
        return self._sights

    @property
    def seconds(self) -> float:
        return self.gateway.now
