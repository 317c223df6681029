"""The simulated gateway in a process of its own: rendered before it listens, and standing still.

Its jobs are always the same. A simulated second is long, so that all of them are settled when it listens.
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
def gateway(jobs: int, latency_ms: int = 0) -> Iterator[str]:
    """Its address."""
    world = ("--jobs", str(jobs), "--rate", "0", "--start", str(_START), "--time-scale", "100000")
    served = ("--warm", "--cache", str(jobs + 1), "--latency", f"{latency_ms}ms", "--token", TOKEN)
    command = [sys.executable, "-m", "etl.simulator", *world, *served, "--until-stdin-closes"]
    with subprocess.Popen(
        command,
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
                raise RuntimeError(f"the simulated gateway did not start: {line!r}")
            yield line.removeprefix("listening on ").strip()
        finally:
            process.stdin.close()
