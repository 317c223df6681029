"""Commands as processes of their own, and what each one used: time, processor, peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
OURS = (sys.executable, "-m", "etl.cli")  # this checkout's, whatever is installed
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
_PATIENCE = 3600.0


class Used(NamedTuple):
    """Seconds of the whole process, of processor time in and for it; its peak memory in MB (10^6 bytes)."""

    seconds: float
    user: float
    system: float
    peak_mb: float
    output: str


def environment() -> dict[str, str]:
    """A clean one, in which Python keeps its compiled files as it does for users."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def run(*command: str, root: Path = ROOT, codes: tuple[int, ...] = (0,)) -> Used:
    """Runs to its end in a checkout. Raises RuntimeError with what it said if it exits otherwise."""
    reading, writing = os.pipe()
    launcher = [sys.executable, "-I", "-S", str(ROOT / "benchmarks" / "launch.py"), str(writing), *command]
    with os.fdopen(reading, "rb") as report:
        done = subprocess.run(
            launcher,
            check=False,
            capture_output=True,
            text=True,
            cwd=root,
            env=environment(),
            pass_fds=[writing],
            timeout=_PATIENCE,
        )
        os.close(writing)
        used: dict[str, Any] = json.loads(report.read() or b'{"code": -1}')
    if used.pop("code") not in codes:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return Used(**used, output=done.stdout)


def module(name: str, *arguments: str, root: Path = ROOT) -> Used:
    """A program of this folder."""
    return run(sys.executable, "-m", f"benchmarks.{name}", *arguments, root=root)


def processor_seconds(pid: int) -> float:
    """User and system time of a server so far: of its process, its children, and those that have ended."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if pid in (int(path.parent.name), int(fields[1])):
            own = int(path.parent.name) == pid
            total += sum(map(int, fields[11 : 15 if own else 13]))
    return total / os.sysconf("SC_CLK_TCK")
