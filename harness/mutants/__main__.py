"""Change a module in one place after the other, and see whether its tests notice.

    python -m harness.mutants etl/pipeline/ending.py --tests tests/pipeline/test_ending.py
    python -m harness.mutants etl/load/gaps.py --sample 60 --tests tests/load tests/pipeline -k sqlite

What stands behind --tests goes to pytest. Survivors are printed; the exit code is 0 whatever lives.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path

from harness import report
from harness.mutants.judge import preload, tests_pass
from harness.mutants.operators import Mutant, mutants_of, mutated_tree
from harness.processes import ROOT


def run(path: Path, tests: list[str], chosen: list[Mutant], seconds: float) -> list[Mutant]:
    """Those of the chosen that live."""
    source, module = path.read_text(), ".".join(path.relative_to(ROOT).with_suffix("").parts)
    usual = preload(module, path, tests)
    report.say(f"{path.name}: the tests take {usual:.1f} s; {len(chosen)} mutants")
    lived, deadline = [], time.monotonic() + seconds
    for number, mutant in enumerate(chosen):
        if time.monotonic() > deadline:
            del chosen[number:]
            break
        if tests_pass(module, path, mutated_tree(source, mutant), tests, 30.0 + 5 * usual):
            lived.append(mutant)
            report.say(f"lives: {path.name} {mutant}")
    return lived


def main() -> int:
    options, tests = _options()
    path = options.module.absolute()
    every = mutants_of(path.read_text())
    chosen = [mutant for mutant in every if options.lines is None or mutant.line in options.lines]
    if options.sample is not None and options.sample < len(chosen):
        chosen = sorted(random.Random(options.seed).sample(chosen, options.sample), key=lambda m: m.line)
    os.chdir(ROOT)
    lived = run(path, tests, chosen, options.seconds)
    killed = len(chosen) - len(lived)
    share = 100 * killed / max(1, len(chosen))
    print(f"{options.module}: {killed} of {len(chosen)} killed ({share:.1f} %), of {len(every)} mutants")
    for mutant in lived:
        print(f"  {mutant}")
    return 0


def _options() -> tuple[argparse.Namespace, list[str]]:
    place = sys.argv.index("--tests") if "--tests" in sys.argv else len(sys.argv)
    cli = argparse.ArgumentParser(prog="python -m harness.mutants", description=__doc__)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    cli.add_argument("module", type=Path, help="a file below etl/")
    cli.add_argument("--sample", type=int, metavar="N", help="so many of its mutants, drawn by --seed")
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--seconds", type=float, default=float("inf"), help="no new mutant after so long")
    cli.add_argument("--lines", type=_lines, metavar="A-B", help="only these lines")
    cli.add_argument("--tests", action="store_true", help="from here on: for pytest")
    given, tests = cli.parse_args(sys.argv[1:place]), sys.argv[place + 1 :]
    if not tests:
        cli.error("--tests must name what pytest is to run")
    return given, tests


def _lines(text: str) -> range:
    low, _, high = text.partition("-")
    return range(int(low), int(high or low) + 1)


if __name__ == "__main__":
    sys.exit(main())
