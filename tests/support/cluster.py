"""A Dask cluster of processes on loopback, as an operator would start it: a scheduler and workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
_T = TypeVar("_T")


def until(question: Callable[[], _T], what: str) -> _T:
    """Ask until the answer is true; the bound only ends a test that fails anyway."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)
    return answer


class Cluster:
    """`address` is the scheduler's; everything that its processes print is in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self._file = folder / "scheduler.json"
        local = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
        self._scheduler = self._start("scheduler", *local, "--scheduler-file", str(self._file))
        until(lambda: self._file.exists() and self._file.read_text().strip().endswith("}"), "a scheduler")
        self._facts = json.loads(self._file.read_text())
        self.address: str = self._facts["address"]

    def add_worker(self) -> int:
        """Start one and return its process id. It works on two sources at once."""
        known = [
            "--scheduler-file",
            str(self._file),
            "--host",
            "127.0.0.1",
            "--local-directory",
            str(self.folder),
        ]
        made = self._start("worker", *known, "--nthreads", "2", "--no-nanny", "--no-dashboard")
        self.workers[made.pid] = made
        return made.pid

    def kill(self, pid: int) -> None:
        """A worker ends as in a power cut."""
        process = self.workers.pop(pid)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)

    def page(self, path: str) -> str:
        """What the scheduler shows a browser."""
        url = f"http://127.0.0.1:{self._facts['services']['dashboard']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as refused:
            with refused:
                return f"{refused.code} {refused.read().decode()}"

    def printed(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        for process in [*self.workers.values(), self._scheduler]:
            process.kill()
            process.wait(PATIENCE)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        number = len(list(self.folder.glob("*.log")))
        with (self.folder / f"{number}-{command[0]}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *command],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
