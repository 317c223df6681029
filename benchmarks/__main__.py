"""Measures the product against a yardstick on this machine, and writes docs/performance.md.

    python -m benchmarks                  the whole table: 100,000 jobs, three rounds
    python -m benchmarks --scaling        10,000, 100,000 and 1,000,000 jobs
    python -m benchmarks --only first:sqlite,tick --jobs 20000 --repeat 1 --ours      a part; writes nothing

Works: first, reread, tick, first20, reconcile20, start; queries with --scaling.
Databases: sqlite, postgresql, mariadb.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine, process, report, scaling
from benchmarks.gateways import gateway
from benchmarks.stores import DATABASES, Stores
from benchmarks.works import Bench, say
from tests.support.databases import Missing

WORKS = ("first", "reread", "tick", "first20", "reconcile20", "start", "queries")
JOBS = 100_000
DOCS = process.ROOT / "docs"


def main() -> int:
    options = _parser().parse_args()
    whole = not options.only and options.jobs in (None, JOBS)
    _compile()
    with Stores() as stores:
        bench = Bench(stores, _wanted(options.only), _others(options))
        databases = dict(_present(stores, [name for name in DATABASES if _touches(bench, name)]))
        failed = False
        try:
            if options.scaling:
                scaling.measure(bench, databases, options.sizes, options.repeat or 1)
            else:
                table(bench, databases, options.jobs or JOBS, options.repeat or 3)
        except (KeyboardInterrupt, RuntimeError) as broken:
            say(f"stopped: {str(broken) or 'as asked'}\nwhat was measured until now:")
            failed = True
    part = {"machine": machine.describe(databases, dlt=options.dlt), "samples": bench.raw()}
    name = "scaling" if options.scaling else "table"
    print(report.text(name, bench.samples))
    if failed:
        return 1
    out = options.out or (DOCS if whole else None)
    if out is not None:
        report.write(out, name, part)
        say(f"written: {out / 'performance.md'}")
    return 0


def table(bench: Bench, databases: dict[str, str], jobs: int, repeat: int) -> None:
    """Rounds over everything, so that a slow minute of the machine falls on all of it."""
    delayed = any(bench.wanted(work, name) for work in ("first20", "reconcile20") for name in databases)
    say(f"rendering {jobs:,} jobs")
    with gateway(jobs) as plain, gateway(jobs if delayed else 1, 20) as slow:
        bench.jobs = jobs
        for number in range(repeat):
            say(f"round {number + 1} of {repeat}")
            for name in databases:
                bench.base_url = plain
                bench.plain(name)
                bench.base_url = slow
                if name != "mariadb":
                    bench.delayed(name)
    if bench.wanted("start", "sqlite"):
        bench.starts()


def _present(stores: Stores, names: list[str]) -> Iterator[tuple[str, str]]:
    """Name and version of the databases that this machine has."""
    for name in names:
        try:
            yield name, stores.version(name)
        except Missing as missing:
            say(f"without {name}: {missing}")


def _parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    add = cli.add_argument
    add("--only", type=_selection, metavar="WORK[:DATABASE],…", help="a part of it")
    add("--jobs", type=int, help=f"how many the gateway lists ({JOBS})")
    add("--repeat", type=int, help="rounds (3; scaling 1)")
    add("--ours", action="store_true", help="without the hand-written script")
    add("--dlt", action="store_true", help="dlt as well")
    add("--scaling", action="store_true", help="time, memory and tick by size")
    add("--sizes", type=_sizes, default=scaling.SIZES, metavar="N,…", help="of --scaling")
    add("--out", type=Path, metavar="FOLDER", help="where to write (docs, when everything was measured)")
    return cli


def _selection(words: str) -> list[tuple[str, str]]:
    pairs = [(work, database) for work, _, database in (word.partition(":") for word in words.split(","))]
    for work, database in pairs:
        if work not in WORKS or database not in ("", *DATABASES):
            raise argparse.ArgumentTypeError(
                f"{work}:{database}; works: {', '.join(WORKS)}; databases: {', '.join(DATABASES)}"
            )
    return pairs


def _sizes(words: str) -> tuple[int, ...]:
    return tuple(int(word) for word in words.split(","))


def _wanted(only: list[tuple[str, str]] | None) -> Callable[[str, str], bool]:
    def wanted(work: str, database: str) -> bool:
        return not only or any(work == w and d in ("", database) for w, d in only)

    return wanted


def _touches(bench: Bench, database: str) -> bool:
    return any(bench.wanted(work, database) for work in WORKS)


def _others(options: Any) -> tuple[str, ...]:
    return (*(() if options.ours else ("handwritten",)), *(("dlt",) if options.dlt else ()))


def _compile() -> None:
    """Every module compiled before the first clock runs, as after an installation."""
    process.run(sys.executable, "-m", "compileall", "-q", "etl", "migrations", "benchmarks")


if __name__ == "__main__":
    sys.exit(main())
