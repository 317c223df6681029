"""What is to be reached, and whether a set of samples reaches it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.works import Sample

MILLION = 1_000_000


@dataclass(frozen=True)
class Goal:
    """`unit` is R (multiples of the yardstick), ms or MB; `reach` and `aim` are upper bounds in it."""

    work: str
    title: str
    unit: str
    reach: float
    aim: float
    databases: tuple[str, ...]


_TWO = ("sqlite", "postgresql")
_ALL = (*_TWO, "mariadb")
GOALS = (
    Goal("first", "first load", "R", 2.5, 1.8, _TWO),
    Goal("first", "first load", "R", 3.5, 2.2, ("mariadb",)),
    Goal("first20", "first load, 20 ms per request", "R", 0.65, 0.55, _TWO),
    Goal("reread", "full re-read, unchanged", "R", 1.8, 1.3, _ALL),
    Goal("reconcile20", "reconcile, 20 ms, 8 at once", "R", 0.35, 0.2, _TWO),
    Goal("tick", "tick with nothing new, own time", "ms", 30, 10, _ALL),
    Goal("first", "peak memory, first load", "MB", 100, 70, _ALL),
    Goal("reread", "peak memory, re-read", "MB", 100, 70, _ALL),
    Goal("start --help", "start, `--help`", "ms", 300, 150, ("sqlite",)),
    Goal("start status", "start, `status`", "ms", 300, 150, ("sqlite",)),
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
