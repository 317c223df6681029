"""The command in processes that are forked from one that has imported it: a start costs next to nothing.

A fresh interpreter takes most of the time of a short run; who kills by the thousand cannot wait for it.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from pathlib import Path

from harness.processes import PATIENCE, Stuck, environment

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["harness.preloaded"])
_PR_SET_PDEATHSIG = 1


class Forked:
    """As `harness.processes.Process`."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], log: Path) -> None:
        self.arguments, self.log = arguments, log
        self._process = _SERVER.Process(target=_run, args=(folder, arguments, log), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def send(self, number: signal.Signals) -> None:
        if self.alive:
            os.kill(self.pid, number)

    def kill(self) -> bool:
        """SIGKILL; True when it hit a living process."""
        self._process.kill()
        self._process.join(PATIENCE)
        return self._process.exitcode == -signal.SIGKILL

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code. One that does not end is killed; raises Stuck."""
        self._process.join(patience)
        if self._process.exitcode is None:
            self.kill()
            raise Stuck(f"{' '.join(self.arguments)} did not end; see {self.log}")
        return self._process.exitcode


def _run(folder: Path, arguments: tuple[str, ...], log: Path) -> None:
    """In the forked process, which dies with the server, and the server with us."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment())
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    from etl.cli import main

    sys.exit(main(arguments))
