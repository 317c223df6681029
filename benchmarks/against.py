"""An older commit beside this checkout, measured in alternation on the same gateways and servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import process
from benchmarks.goals import measured
from benchmarks.works import Sample

BEFORE = "before"
HEAD = ("world", "work", "database", "before", "now", "time", "processor", "server", "peak memory")


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The commit's files, compiled, in a folder of their own. Raises CalledProcessError without one."""
    with TemporaryDirectory(prefix="etl-before-") as folder:
        command = ["git", "archive", "--format=tar", commit]
        archive = subprocess.run(command, cwd=process.ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        compile_all = (sys.executable, "-m", "compileall", "-q", "etl", "migrations", "benchmarks")
        process.run(*compile_all, root=Path(folder))
        yield Path(folder)


def lines(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """One row per work, in the columns of HEAD: what this checkout needs of what the other one needed."""
    keys = dict.fromkeys((s.world, s.work, s.database) for s in samples if s.who == BEFORE)
    return [(*key, *_compared(samples, key)) for key in keys]


def _compared(samples: Sequence[Sample], key: tuple[str, str, str]) -> Iterator[str]:
    mine = [s for s in samples if (s.world, s.work, s.database) == key]
    before, now = ([s for s in mine if s.who == who] for who in (BEFORE, "ours"))
    if not before or not now:
        return
    unit = "ms" if "ticks" in now[0].facts else "R" if now[0].yardstick else "ms"
    values = [median(v for s in side for v in measured(unit, s)) for side in (before, now)]
    yield from (f"{value:.2f} {unit}" for value in values)
    yield _share(values[0], values[1])
    for cost in (lambda s: s.user + s.system, lambda s: s.server, lambda s: s.peak_mb):
        yield _share(*(median(map(cost, side)) for side in (before, now)))


def _share(before: float, now: float) -> str:
    return f"{now / before - 1:+.0%}" if before > 0.05 else ""
