"""Gateways in processes of their own: every item is rendered before they listen.

*plain* is the simulator's world: its jobs are always the same and, as a simulated second is long, all settled
when it listens. The others are those of benchmarks.worlds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.process import ROOT, environment

TOKEN = "benchmark-token"
_START = 1_767_225_600  # 2026-01-01: jobs do not depend on the day of the measurement


@contextmanager
def gateway(jobs: int, latency_ms: int = 0, world: str = "plain") -> Iterator[str]:
    """Its address."""
    command = _simulator(jobs, latency_ms) if world == "plain" else _world(world, jobs, latency_ms)
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            line = process.stdout.readline()  # once it listens
            if not line.startswith("listening on "):
                raise RuntimeError(f"the gateway did not start: {line!r}")
            yield line.removeprefix("listening on ").strip()
        finally:
            process.stdin.close()


def _simulator(jobs: int, latency_ms: int) -> list[str]:
    world = ["--jobs", str(jobs), "--rate", "0", "--start", str(_START), "--time-scale", "100000"]
    served = ["--warm", "--cache", str(jobs + 1), "--latency", f"{latency_ms}ms", "--token", TOKEN]
    return ["etl.simulator", *world, *served, "--until-stdin-closes"]


def _world(name: str, jobs: int, latency_ms: int) -> list[str]:
    return ["benchmarks.world_gateway", name, str(jobs), str(latency_ms), TOKEN]
