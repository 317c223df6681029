"""Seeded worlds in one process: each seed is a gateway and its life, mirrored and judged.

python -m harness.worlds --seeds 0..1000
python -m harness.worlds --seed 17 --verbose      # replays one, run by run
python -m harness.worlds --seed 17 --shrink FILE  # the smallest world that fails alike
python -m harness.worlds --replay FILE --verbose
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from etl.log import Redactor, set_up_logging
from harness import report
from harness.worlds.draw import draw
from harness.worlds.play import play
from harness.worlds.product import Endless, Product
from harness.worlds.shrink import kinds, shrink
from harness.worlds.told import Played
from harness.worlds.world import DAY, World

SAY_EVERY = 30.0
#: So many failures of a kind are shrunk and kept.
RARE = 4
#: Worlds that are played to shrink one, amid a sweep.
PLAYS = 150


@dataclass
class Tally:
    worlds: int = 0
    runs: int = 0
    requests: int = 0
    simulated: float = 0.0
    seconds: float = 0.0
    failures: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, played: Played) -> None:
        self.worlds += 1
        self.runs += len(played.runs)
        self.requests += len(played.gateway.log)
        self.simulated += played.seconds
        for kind in kinds(played.findings):
            self.failures[kind].append(played.world.seed)

    def is_rare(self, played: Played) -> bool:
        return any(len(self.failures[kind]) <= RARE for kind in kinds(played.findings))

    def __str__(self) -> str:
        years, pace = self.simulated / DAY / 365, self.worlds / max(self.seconds, 0.001)
        failed = ", ".join(f"{kind} {len(seeds)}" for kind, seeds in sorted(self.failures.items())) or "none"
        return (
            f"{self.worlds:,} worlds, {years:.1f} simulated years, {self.runs:,} runs,"
            f" {self.requests:,} answers"
            f" in {self.seconds:.0f} s ({pace:.1f} worlds/s); failures: {failed}"
        )


def judged(world: World, product: Product) -> Played:
    """Play one world; whatever exception the product lets escape is a finding."""
    try:
        return play(world, product)
    except (Endless, Exception) as error:  # noqa: BLE001 (a finding, with its world)
        from harness.worlds.gateway import Gateway

        text = f"escaped: {type(error).__name__}: {str(error)[:300]}"
        return Played(world, Gateway(world), [], [text])


def sweep(seeds: range, seconds: float, keep: Path | None = None) -> Tally:
    """Worlds until the seeds or the time are used up. `keep`: the first failures of a kind go there."""
    tally, began, said = Tally(), time.monotonic(), time.monotonic()
    with report.folder(None, "worlds", fast=True) as folder:
        product = Product(folder)
        for seed in seeds:
            played = judged(draw(seed), product)
            tally.add(played)
            if keep is not None and played.findings and tally.is_rare(played):
                _keep(played, product, keep)
            tally.seconds = time.monotonic() - began
            if time.monotonic() - said > SAY_EVERY:
                said = time.monotonic()
                report.say(str(tally))
            if tally.seconds > seconds:
                break
        product.close()
    return tally


def _keep(played: Played, product: Product, folder: Path) -> None:
    smallest = shrink(played.world, lambda candidate: judged(candidate, product).findings, PLAYS)
    again = judged(smallest, product)
    kind = "-".join(sorted(kinds(again.findings))).replace(" ", "_")
    path = folder / f"{kind}-{played.world.seed}.json"
    path.write_text(json.dumps(smallest.as_json()) + "\n")
    with path.with_suffix(".txt").open("w") as file, contextlib.redirect_stdout(file):
        _tell(again)


def one(world: World, *, verbose: bool) -> Played:
    with report.folder(None, "worlds", fast=True) as folder:
        product = Product(folder)
        played = judged(world, product)
        product.close()
    if verbose:
        _tell(played)
    return played


def _tell(played: Played) -> None:
    print(f"seed {played.world.seed}: {len(played.world.jobs)} jobs; {', '.join(played.world.oddities())}")
    print(played.world.settings)
    for told in played.runs:
        print(told)
        for sent in told.sent:
            what = (
                ""
                if sent.items is None
                else f" {[i.get('id') if isinstance(i, dict) else i for i in sent.items]}"
            )
            asked = {k: v for k, v in sent.query.items() if k != "provider"}
            said = f"{sent.status} {sent.trouble or ''} {' '.join(sent.lies)}"
            print(f"      {sent.at:11.1f} {sent.path} {asked} → {said}{what}")
    for finding in played.findings:
        print(f"✗ {finding}")


def main() -> int:
    options = _parser().parse_args()
    set_up_logging("critical", "json", Redactor())
    if options.seed is not None or options.replay is not None:
        return _single(options)
    low, _, high = options.seeds.partition("..")
    tallies = _sweep_all(
        range(int(low), int(high or low) + 1), options.seconds, options.processes, options.keep
    )
    for tally in tallies:
        print(tally)
        for kind, seeds in sorted(tally.failures.items()):
            print(f"✗ {kind}: {len(seeds)} seeds, e.g. {seeds[:12]}")
    return 1 if any(tally.failures for tally in tallies) else 0


def _sweep_all(seeds: range, seconds: float, processes: int, keep: Path | None) -> list[Tally]:
    if processes == 1:
        return [sweep(seeds, seconds, keep)]
    parts = [seeds[index::processes] for index in range(processes)]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(sweep, parts, [seconds] * processes, [keep] * processes))


def _single(options: argparse.Namespace) -> int:
    world = World.from_json(json.loads(options.replay.read_text())) if options.replay else draw(options.seed)
    played = one(world, verbose=options.verbose and not options.shrink)
    if options.shrink and played.findings:
        with report.folder(None, "worlds", fast=True) as folder:
            product = Product(folder)
            smallest = shrink(world, lambda candidate: judged(candidate, product).findings)
            product.close()
        options.shrink.write_text(json.dumps(smallest.as_json(), indent=1) + "\n")
        played = one(smallest, verbose=True)
    return report.judged(played.findings)


def _parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m harness.worlds", description=__doc__)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    cli.add_argument("--seeds", default="0..999", metavar="A..B")
    cli.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    cli.add_argument("--processes", type=int, default=1)
    cli.add_argument("--keep", type=Path, metavar="FOLDER", help="failures, shrunk, go there")
    cli.add_argument("--seed", type=int, help="one world only")
    cli.add_argument("--replay", type=Path, metavar="FILE", help="a world that --shrink wrote")
    cli.add_argument("--shrink", type=Path, metavar="FILE", help="make it smaller while it fails alike")
    cli.add_argument("--verbose", action="store_true", help="every run and every answer")
    return cli


if __name__ == "__main__":
    sys.exit(main())
