"""All that docs/reliability.md shows, within a time: each part gets its share of it.

    python -m harness.prove --minutes 240 --folder build/prove

Each part is a command of its own, whose output goes to a file; the exit code is 1 when one found something.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from harness import report

FAMILIES = ("sqlite", "postgresql", "mariadb")
#: Times its share a part may take before it is ended: it has a last world or round to finish.
GRACE = 1.5


@dataclass(frozen=True)
class Part:
    """`share` of the whole time; `command` is told its own share in seconds."""

    name: str
    share: float
    command: tuple[str, ...]

    def line(self, seconds: float) -> list[str]:
        told = [part.format(seconds=int(seconds), minutes=seconds / 60) for part in self.command]
        return [sys.executable, "-m", *told]


def parts() -> list[Part]:
    """Shares add up to one."""
    worlds = Part("worlds", 0.45, ("harness.worlds", "--seeds", "0..10000000", "--seconds", "{seconds}"))
    found = [worlds]
    for family in FAMILIES:
        nth = ("harness.nth", "--database", family, "--seconds", "{seconds}")
        found.append(Part(f"nth-{family}", 0.1, nth))
        crash = ("harness.crash", "--database", family, "--kills", "100", "--sabotage")
        found.append(Part(f"crash-{family}", 0.05, crash))
    for family in FAMILIES[:2]:  # the soak knows no MariaDB
        found.append(Part(f"soak-{family}", 0.05, ("harness.soak", "--database", family, "--minutes", "4")))
    return found


def prove(minutes: float, folder: Path, only: list[str]) -> list[str]:
    """Runs the parts one after the other; returns the names of those that found something."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for part in parts():
        if only and part.name not in only:
            continue
        began = time.monotonic()
        code = _run(part, 60 * minutes * part.share, folder / f"{part.name}.log")
        said = "ended late" if code is None else "nothing found" if code == 0 else f"exit code {code}"
        report.say(f"{part.name}: {said} after {time.monotonic() - began:.0f} s")
        failed += [part.name] if code != 0 else []
    return failed


def _run(part: Part, seconds: float, log: Path) -> int | None:
    """The exit code; None when it did not end in time."""
    with log.open("wb") as file:
        try:
            done = subprocess.run(
                part.line(seconds), stdout=file, stderr=subprocess.STDOUT, timeout=max(600.0, GRACE * seconds)
            )
        except subprocess.TimeoutExpired:
            return None
    return done.returncode


def main() -> int:
    cli = argparse.ArgumentParser(prog="python -m harness.prove", description=__doc__)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    cli.add_argument("--minutes", type=float, default=240.0, help="for all parts (%(default)s)")
    cli.add_argument("--folder", type=Path, default=Path("build/prove"), help="for the output of each")
    cli.add_argument("--only", action="append", default=[], choices=[part.name for part in parts()])
    options = cli.parse_args()
    failed = prove(options.minutes, options.folder, options.only)
    return report.judged(f"{name}: see {options.folder / name}.log" for name in failed)


if __name__ == "__main__":
    sys.exit(main())
