"""Fail exactly the n-th call of a run, once, for every n and in every way; run again; compare with the truth.

python -m harness.nth --database all                     # every scenario, every n: about an hour
python -m harness.nth --database sqlite --every 7         # thinned: each 7th pair of n and way
python -m harness.nth --scenario 'tick, poison' --at 12 --how after   # one of them again
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from etl.log import Redactor, set_up_logging
from harness import report
from harness.nth.chores import CHORES, ChoreBench
from harness.nth.scenarios import SCENARIOS
from harness.nth.trial import Bench
from harness.stores import FAMILIES, server, store

SAY_EVERY = 30.0


@dataclass
class Tally:
    """Of one database."""

    database: str
    scenarios: int = 0
    calls: int = 0
    trials: int = 0
    killed: int = 0
    survived: int = 0
    repeated: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)


def play(family: str, options: argparse.Namespace) -> Tally:
    """Every chosen scenario on one database."""
    tally, began = Tally(family), time.monotonic()
    with benches(family) as (runs, chores):
        for name in options.scenario or (*SCENARIOS, *CHORES):
            made: Bench | ChoreBench = chores if name in CHORES else runs
            tally.scenarios += 1
            _play_one(made, name, options, tally, began)
            tally.seconds = round(time.monotonic() - began, 1)
            said = f"{tally.trials:,} trials, {len(tally.findings)} findings"
            report.say(f"{family}: {name}: {len(made.reference.calls)} calls; {said}")
    return tally


@contextmanager
def benches(family: str) -> Iterator[tuple[Bench, ChoreBench]]:
    with (
        report.folder(None, "nth", fast=True) as folder,
        server(family) as running,
        store(family, running, folder, "nth") as made,
    ):
        bench = Bench(made.url)
        try:
            yield bench, ChoreBench(made, folder)
        finally:
            bench.close()


def _play_one(
    made: Bench | ChoreBench, name: str, options: argparse.Namespace, tally: Tally, began: float
) -> None:
    made.take(name)
    tally.findings += [f"{name}: undisturbed: {text}" for text in made.reference.findings]
    tally.calls += len(made.reference.calls)
    for number, (at, how) in enumerate(made.ways()):
        if (number + options.offset) % options.every or options.at not in (None, at):
            continue
        if options.how not in (None, how):
            continue
        outcome = made.trial(at, how)
        tally.trials += 1
        tally.killed += outcome.status == "killed"
        tally.survived += outcome.status == "ok"
        tally.repeated += outcome.status not in ("ok", "killed")
        told = f"--database {tally.database} --scenario '{name}' --at {at} --how {how}"
        tally.findings += [f"{told}: {outcome.status}: {text}" for text in outcome.findings]
        if time.monotonic() - began > options.seconds:
            return


def main() -> int:
    options = _parser().parse_args()
    set_up_logging("critical", "json", Redactor())
    families = FAMILIES if options.database == "all" else (options.database,)
    tallies = [play(family, options) for family in families]
    names = ("scenarios", "calls", "trials", "killed", "survived", "repeated", "seconds")
    rows = {name: [getattr(tally, name) for tally in tallies] for name in names}
    rows["**findings**"] = [len(tally.findings) for tally in tallies]
    print(report.table(["", *families], rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(tally) for tally in tallies], indent=1) + "\n")
    return report.judged(finding for tally in tallies for finding in tally.findings)


def _parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m harness.nth", description=__doc__)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    cli.add_argument("--database", choices=(*FAMILIES, "all"), default="sqlite")
    cli.add_argument(
        "--scenario", action="append", choices=[*SCENARIOS, *CHORES], help="all, when none is named"
    )
    cli.add_argument("--every", type=int, default=1, metavar="N", help="each N-th way only (%(default)s)")
    cli.add_argument("--offset", type=int, default=0, metavar="K", help="begin with another one of those")
    cli.add_argument("--at", type=int, help="this call only, from 0")
    cli.add_argument("--how", help="this way only")
    cli.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long, per database")
    cli.add_argument("--json", type=Path, metavar="FILE", help="write all figures and findings there")
    return cli


if __name__ == "__main__":
    sys.exit(main())
