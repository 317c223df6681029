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
#: Times its share, and seconds, that a part may take before it is ended: it has a start, and a last world or
#: round, and its verdict.
GRACE, LAST = 1.5, 120.0


@dataclass(frozen=True)
class Part:
    """`share` of the whole time; `command` is told its own share, and how many jobs can be read in it."""

    name: str
    share: float
    command: tuple[str, ...]

    def line(self, seconds: float) -> list[str]:
        numbers = {"seconds": int(seconds), "minutes": seconds / 60}
        numbers["jobs"] = int(min(200_000, max(2_000, 280 * seconds)))
        return [sys.executable, "-m", *(part.format(**numbers) for part in self.command)]


def parts() -> list[Part]:
    """Shares add up to one."""
    found = [_part("worlds", 0.35, "harness.worlds", "--seeds", "0..10000000")]
    for family in FAMILIES:
        found.append(_part(f"nth-{family}", 0.08, "harness.nth", "--database", family))
        crash = ("harness.crash", "--database", family, "--kills", "1000")
        found.append(_part(f"crash-{family}", 0.07, *crash, "--sabotage"))
    for family in FAMILIES[:2]:  # the soak knows no MariaDB
        soak = ("harness.soak", "--database", family, "--minutes", "{minutes}", "--jobs", "{jobs}")
        found.append(Part(f"soak-{family}", 0.05, soak))
    for what, share in (("answers", 0.06), ("configuration", 0.02), ("sql", 0.02)):
        found.append(_part(f"fuzz-{what}", share, "harness.fuzz", "--what", what, "--inputs", "10000000"))
    return found


def _part(name: str, share: float, *command: str) -> Part:
    return Part(name, share, (*command, "--seconds", "{seconds}"))


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
                part.line(seconds), stdout=file, stderr=subprocess.STDOUT, timeout=LAST + GRACE * seconds
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
