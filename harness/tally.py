"""What was done to one database, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from harness import report

COMMANDS = {"sync": ("sync",), "reconcile": ("reconcile", "--accept-suspicious"), "run": ("run",)}
FIGURES = (
    "interrupted_runs",
    "upgrades_completed",
    "undisturbed_runs",
    "rounds",
    "moments",
    "jobs",
    "versions",
)


@dataclass
class Tally:
    """Of all rounds on one database."""

    database: str
    seed: int
    kills: int = 0
    missed: int = 0
    rounds: int = 0
    moments: int = 0
    in_first_load: int = 0
    by_command: Counter[str] = field(default_factory=Counter)
    by_stage: Counter[str] = field(default_factory=Counter)
    by_aim: Counter[str] = field(default_factory=Counter)
    in_transaction: int = 0
    upgrades_completed: int = 0
    undisturbed_runs: int = 0
    interrupted_runs: int = 0
    jobs: int = 0
    versions: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)

    @property
    def in_mid_work(self) -> int:
        """Kills of a process that had begun to ask the gateway and had not yet finished its run."""
        return self.by_stage["before its first commit"] + self.by_stage["between commits"]


def table(tallies: list[Tally]) -> str:
    rows: dict[str, list[object]] = {
        "kills that hit a living process": [t.kills for t in tallies],
        "… of them in mid-work": [t.in_mid_work for t in tallies],
        "… in a first load": [t.in_first_load for t in tallies],
        "… seen inside a transaction": [
            "not visible" if t.database == "sqlite" else t.in_transaction for t in tallies
        ],
    }
    for name in ("at its start", "before its first commit", "between commits", "after its last commit"):
        rows[f"killed {name}"] = [t.by_stage[name] for t in tallies]
    for name in COMMANDS:
        rows[f"`{name}` killed"] = [t.by_command[name] for t in tallies]
    for name in FIGURES:
        rows[name.replace("_", " ")] = [getattr(t, name) for t in tallies]
    rows["minutes"] = [round(t.seconds / 60, 1) for t in tallies]
    rows["**findings**"] = [len(t.findings) for t in tallies]
    return report.table(["", *(t.database for t in tallies)], rows)
