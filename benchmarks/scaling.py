"""Time, memory and the tick by the size of the history."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.gateways import gateway
from benchmarks.goals import MILLION
from benchmarks.works import Bench, Sample, say

SIZES = (10_000, 100_000, 1_000_000)
HEAD = (
    "jobs",
    "database",
    "first load",
    "re-read",
    "peak memory, first",
    "re-read",
    "tick, own time",
    "requests",
    "statements",
    "commits",
)
#: Of the tick's own time and of peak memory at a million jobs, and of what the last may grow from 100,000.
TICK_MS, PEAK_MB, GROWTH_MB = 30, 100, 5
QUERY_SECONDS = 1


def measure(bench: Bench, databases: dict[str, str], sizes: Sequence[int], repeat: int) -> None:
    """Ours alone, and R at each size."""
    bench.others, bench.with_queries = (), True
    for jobs in sizes:
        say(f"rendering {jobs:,} jobs")
        with gateway(jobs) as address:
            bench.base_url, bench.jobs = address, jobs
            for _ in range(repeat):
                for database in databases:
                    bench.plain(database)


def cells(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """One row per database and size, in the columns of HEAD."""
    places = dict.fromkeys((s.database, s.jobs) for s in samples if s.who == "ours")
    return [_line(samples, *place) for place in sorted(places, key=lambda p: (list(places).index(p), p[1]))]


def verdicts(samples: Sequence[Sample]) -> list[str]:
    """What the design promises at a million jobs, held against what was measured."""
    databases = dict.fromkeys(s.database for s in samples if s.who == "ours" and s.jobs == MILLION)
    return [line for database in databases for line in _verdicts(samples, database)]


def plans(samples: Sequence[Sample]) -> list[str]:
    """Every view and report on the largest history, with the database's plan for it."""
    lines = []
    for sample in _largest(samples):
        for query in sample.facts["queries"]:
            lines += [f"{sample.database}: {_asked(query)}", *(f"    {step}" for step in query["plan"])]
    return lines


def slow(samples: Sequence[Sample]) -> list[str]:
    """What views and reports took on the largest history: the slowest, and all beyond the limit."""
    lines = []
    for sample in _largest(samples):
        by_time = sorted(sample.facts["queries"], key=lambda query: -query["seconds"])
        beyond = [query for query in by_time if query["seconds"] > QUERY_SECONDS]
        verdict = "met" if not beyond else "not met"
        lines.append(
            f"{sample.database}: {len(by_time)} views and reports at {sample.jobs:,} jobs, at most"
            f" {QUERY_SECONDS} s each: {verdict}; {'; '.join(map(_asked, beyond or by_time[:1]))}"
        )
    return lines


def _largest(samples: Sequence[Sample]) -> list[Sample]:
    found = [sample for sample in samples if "queries" in sample.facts]
    most = max((sample.jobs for sample in found), default=0)
    return [sample for sample in found if sample.jobs == most]


def _asked(query: dict[str, Any]) -> str:
    return f"{query['name']}: {query['rows']:,} rows in {query['seconds']:.2f} s"


def _verdicts(samples: Sequence[Sample], database: str) -> list[str]:
    said = []
    ticks = _ticks(_of(samples, database, MILLION, "tick"), "own_ms")
    if ticks:
        said.append(_said(f"{database}: tick, own time", median(ticks), TICK_MS, "ms"))
    for work in ("first", "reread"):
        large, small = (_peak(_of(samples, database, jobs, work)) for jobs in (MILLION, MILLION // 10))
        if large is not None:
            said.append(_said(f"{database}: peak memory, {work}", large, PEAK_MB, "MB"))
        if large is not None and small is not None:
            said.append(_said(f"{database}: more than at 100,000 jobs", large - small, GROWTH_MB, "MB"))
    return said


def _said(what: str, value: float, most: float, unit: str) -> str:
    verdict = "met" if value <= most else "not met"
    return f"{what}: {value:.1f} {unit}, at most {most} {unit}: {verdict}"


def _line(samples: Sequence[Sample], database: str, jobs: int) -> tuple[str, ...]:
    first, again, tick = (_of(samples, database, jobs, work) for work in ("first", "reread", "tick"))
    counts = [_most(_ticks(tick, name)) for name in ("requests", "statements", "commits")]
    own = _ticks(tick, "own_ms")
    shown = (
        _time(first),
        _time(again),
        _memory(first),
        _memory(again),
        f"{median(own):.1f} ms" if own else "",
    )
    return (f"{jobs:,}", database, *shown, *counts)


def _of(samples: Sequence[Sample], database: str, jobs: int, work: str) -> list[Sample]:
    return [s for s in samples if (s.database, s.jobs, s.work, s.who) == (database, jobs, work, "ours")]


def _ticks(samples: Sequence[Sample], name: str) -> list[float]:
    return [tick.get(name, 0) for sample in samples for tick in sample.facts["ticks"]]


def _most(values: Sequence[float]) -> str:
    return f"{max(values):.0f}" if values else ""


def _peak(samples: Sequence[Sample]) -> float | None:
    return max((s.peak_mb for s in samples), default=None)


def _memory(samples: Sequence[Sample]) -> str:
    peak = _peak(samples)
    return "" if peak is None else f"{peak:.0f} MB"


def _time(samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    multiple = median(s.seconds / s.yardstick for s in samples if s.yardstick)
    return f"{median(s.seconds for s in samples):.1f} s ({multiple:.2f} R)"
