"""What is to be reached, and whether a set of samples reaches it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.works import Sample

MILLION = 1_000_000


@dataclass(frozen=True)
class Goal:
    """`unit` is R (multiples of the yardstick), ms or MB; `reach` and `aim` are upper bounds in it, if any.
    `world` is what the gateway sends: see benchmarks.worlds."""

    work: str
    title: str
    unit: str
    reach: float | None
    aim: float | None
    databases: tuple[str, ...]
    world: str = "reference"


_TWO = ("sqlite", "postgresql")
_ALL = (*_TWO, "mariadb")
GOALS = (
    Goal("first", "first load", "R", 1.9, 1.5, ("sqlite",)),
    Goal("first", "first load", "R", 2.0, 1.5, ("postgresql",)),
    Goal("first", "first load", "R", 2.6, 2.0, ("mariadb",)),
    Goal("first20", "first load, 20 ms per request", "R", 0.56, 0.5, _TWO),
    Goal("reread", "full re-read, unchanged", "R", 1.4, 1.1, _TWO),
    Goal("reread", "full re-read, unchanged", "R", 1.6, 1.1, ("mariadb",)),
    Goal("changed", "full re-read, every tenth job changed", "R", None, None, _ALL),
    Goal("reconcile20", "reconcile, 20 ms, 8 at once", "R", 0.22, 0.2, _TWO),
    Goal("reconcile20 default", "reconcile, 20 ms, as it finds best", "R", 0.25, 0.2, _TWO),
    Goal("tick", "tick with nothing new, own time", "ms", 10, 8, _ALL),
    Goal("first", "peak memory, first load", "MB", 100, 70, _ALL),
    Goal("reread", "peak memory, re-read", "MB", 100, 70, _ALL),
    Goal("first", "first load, dirty world", "R", None, None, _ALL, "dirty"),
    Goal("reread", "full re-read, dirty world", "R", None, None, _ALL, "dirty"),
    Goal("first", "first load, plain world", "R", None, None, _ALL, "plain"),
    Goal("reread", "full re-read, plain world", "R", None, None, _ALL, "plain"),
    Goal("start --help", "start, `--help`", "ms", 300, 150, ("sqlite",), ""),
    Goal("start status", "start, `status`", "ms", 250, 150, ("sqlite",), ""),
)


@dataclass(frozen=True)
class Row:
    """One line of the table. `low` and `high` are the extremes of `value`; all are in `unit`."""

    title: str
    database: str
    who: str
    unit: str
    value: float
    low: float
    high: float
    seconds: float
    processor: float
    server: float
    peak_mb: float
    processor_multiple: float | None = None
    reach: float | None = None
    aim: float | None = None

    @property
    def verdict(self) -> str:
        if self.reach is None or self.aim is None:
            return ""
        if self.value <= self.aim:
            return "met, aim too"
        return "met" if self.value <= self.reach else "not met"


def rows(samples: Sequence[Sample]) -> list[Row]:
    """Every goal that was measured, and below each what the others need for the same."""
    found = []
    for goal in GOALS:
        for database in goal.databases:
            here = [s for s in samples if s.work == goal.work and s.database == database]
            here = [s for s in here if goal.world in ("", s.world)]
            whos = dict.fromkeys(s.who for s in here)
            found += [_row(goal, [s for s in here if s.who == who]) for who in whos]
    return found


def _row(goal: Goal, samples: Sequence[Sample]) -> Row:
    first, values = samples[0], [value for s in samples for value in measured(goal.unit, s)]
    return Row(
        goal.title,
        first.database,
        first.who,
        goal.unit,
        median(values),
        min(values),
        max(values),
        median(s.seconds for s in samples),
        median(s.user + s.system for s in samples),
        median(s.server for s in samples),
        max(s.peak_mb for s in samples),
        _processor(samples),
        *((goal.reach, goal.aim) if first.who == "ours" else ()),
    )


def _processor(samples: Sequence[Sample]) -> float | None:
    """Processor time in multiples of the yardstick's."""
    found = [(s.user + s.system) / s.yardstick_processor for s in samples if s.yardstick_processor]
    return median(found) if found else None


def measured(unit: str, sample: Sample) -> Iterable[float]:
    """The values that count, in the goal's unit: a sample of ticks has many."""
    if unit == "MB":
        return [sample.peak_mb]
    if "ticks" in sample.facts:
        return [tick["own_ms"] for tick in sample.facts["ticks"]]
    if unit == "ms":
        return [sample.seconds * 1000]
    assert sample.yardstick is not None
    return [sample.seconds / sample.yardstick]
