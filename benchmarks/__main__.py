"""Measures the product against a yardstick on this machine, and writes docs/performance.md.

    python -m benchmarks                  the whole table: 100,000 jobs, three rounds
    python -m benchmarks --scaling        10,000, 100,000 and 1,000,000 jobs
    python -m benchmarks --against COMMIT an older commit beside this one, in alternation; writes nothing
    python -m benchmarks --only first:sqlite,tick --jobs 20000 --repeat 1 --ours      a part; writes nothing

Works: first, reread, tick, changed, first20, reconcile20, start; queries with --scaling.
Databases: sqlite, postgresql, mariadb. Worlds: reference, dirty (benchmarks.worlds), plain (the simulator's).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import against, machine, process, report, scaling
from benchmarks.gateways import gateway
from benchmarks.stores import DATABASES, Stores
from benchmarks.works import Bench, say
from benchmarks.worlds import WORLDS
from tests.support.databases import Missing

WORKS = ("first", "reread", "tick", "changed", "first20", "reconcile20", "start", "queries")
ALL_WORLDS = (*WORLDS, "plain")
JOBS = 100_000
DOCS = process.ROOT / "docs"


def main() -> int:
    options = _parser().parse_args()
    whole = not options.only and not options.against and options.jobs in (None, JOBS)
    _compile()
    with ExitStack() as stack:
        stores = stack.enter_context(Stores())
        bench = Bench(stores, _wanted(options.only), _others(options))
        if options.against:
            old = stack.enter_context(against.checkout(options.against))
            bench.versions = {against.BEFORE: old, **bench.versions}
        databases = dict(_present(stores, [name for name in DATABASES if _touches(bench, name)]))
        failed = not _measured(bench, databases, options)
    name = "scaling" if options.scaling else "against" if options.against else "table"
    print(report.text(name, bench.samples))
    if failed:
        return 1
    out = options.out or (DOCS if whole else None)
    if out is not None:
        part = {"machine": machine.describe(databases, dlt=options.dlt), "samples": bench.raw()}
        report.write(out, name, part)
        say(f"written: {out / 'performance.md'}")
    return 0


def _measured(bench: Bench, databases: dict[str, str], options: Any) -> bool:
    """False when it was stopped; what was measured until then is kept."""
    try:
        if options.scaling:
            scaling.measure(bench, databases, options.sizes, options.repeat or 1)
        else:
            table(bench, databases, options)
    except (KeyboardInterrupt, RuntimeError) as broken:
        say(f"stopped: {str(broken) or 'as asked'}\nwhat was measured until now:")
        return False
    return True


def table(bench: Bench, databases: dict[str, str], options: Any) -> None:
    """Rounds over everything, so that a slow minute of the machine falls on all of it."""
    bench.jobs = jobs = options.jobs or JOBS
    say(f"rendering {jobs:,} jobs")
    delayed = any(bench.wanted(work, name) for work in ("first20", "reconcile20") for name in databases)
    with ExitStack() as stack:
        worlds = {name: stack.enter_context(gateway(jobs, world=name)) for name in options.worlds}
        slow = stack.enter_context(gateway(jobs, 20, "reference")) if delayed else ""
        repeat = options.repeat or 3
        for number in range(repeat):
            say(f"round {number + 1} of {repeat}")
            for name in databases:
                for bench.world, bench.base_url in worlds.items():
                    bench.plain(name)
                if delayed and name != "mariadb":
                    bench.world, bench.base_url = "reference", slow
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
    add("--against", metavar="COMMIT", help="that commit's command as well, each beside this one's")
    add("--worlds", type=_worlds, default=ALL_WORLDS, metavar="NAME,…", help="what the gateway sends (all)")
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


def _worlds(words: str) -> tuple[str, ...]:
    names = tuple(words.split(","))
    if unknown := set(names) - set(ALL_WORLDS):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}; worlds: {', '.join(ALL_WORLDS)}")
    return names


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
