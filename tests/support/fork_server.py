"""Runs the command in a fork of a process that has imported it already: cheaper than a fresh interpreter.

    server = ForkServer()
    server.run(["status"], cwd=folder, environ={...}, output=[file, file])     # its exit code

Each command is a process of its own all the same, with its own environment, folder and files. What is decided
as an interpreter starts (encodings, PYTHON…, colours) needs a fresh one: `can_fork` says so.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

#: Read once, as an interpreter or a library starts.
_AT_START = ("PYTHON", "LC_", "LANG", "FORCE_COLOR", "NO_COLOR", "TERM", "_", "COVERAGE", "PSYCOPG")
_GIVEN = ("PYTHONPATH", "PYTHONUTF8")


def can_fork(environ: Mapping[str, str], given: Mapping[str, str]) -> bool:
    """Whether a command with this environment needs no interpreter of its own; `given` is what each has."""
    same = all(environ.get(name) == given[name] for name in _GIVEN)
    return same and not any(name.startswith(_AT_START) for name in environ if name not in _GIVEN)


class ForkServer:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                env=dict(environ),
                cwd=Path(__file__).parents[2],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self.close)

    def close(self) -> None:
        self._socket.close()
        self._process.wait(60)

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        output: Sequence[IO[Any]],
        timeout: float,
    ) -> int:
        """The exit code, negative after a signal. Raises TimeoutExpired, after killing it."""
        order = json.dumps({"arguments": list(arguments), "cwd": str(cwd), "environ": dict(environ)}).encode()
        socket.send_fds(self._socket, [f"{len(order):8}".encode()], [file.fileno() for file in output])
        self._socket.sendall(order)
        pid = int(self._receive(8))
        self._socket.settimeout(timeout)
        try:
            return int(self._receive(8))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._socket.settimeout(None)
            self._receive(8)
            raise subprocess.TimeoutExpired(list(arguments), timeout) from None
        finally:
            self._socket.settimeout(None)

    def _receive(self, size: int) -> bytes:
        return _receive(self._socket, size)


def _receive(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise EOFError("the fork server ended")
        found += piece
    return found


def _serve(connection: socket.socket) -> None:
    """Until whoever asks is gone. Returns in a child, to become the command."""
    while True:
        head, files, _, _ = socket.recv_fds(connection, 8, 2)
        if not head:
            return
        order = json.loads(_receive(connection, int(head + _receive(connection, 8 - len(head)))))
        if (pid := os.fork()) == 0:
            connection.close()
            _become(order, files)
            return
        for number in files:
            os.close(number)
        connection.sendall(f"{pid:8}".encode())
        connection.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):8}".encode())


def _become(order: dict[str, Any], files: list[int]) -> None:
    for number, ours in zip(files, (1, 2), strict=True):
        os.dup2(number, ours)
        os.close(number)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environ"])
    time.tzset()
    sys.argv[1:] = order["arguments"]
    runpy.run_module("etl.cli", run_name="__main__", alter_sys=True)


def _import_all() -> None:
    """What commands import as they go: everything of ours that base packages suffice for."""
    for room in ("etl.cli", "etl.config", "etl.analytics", "etl.load", "etl.schema", "etl.pipeline"):
        for found in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    for library in ("sqlalchemy.dialects.sqlite", "rich.table", "rich.progress", "yaml", "requests"):
        importlib.import_module(library)


if __name__ == "__main__":
    _import_all()
    with contextlib.suppress(EOFError):
        _serve(socket.socket(fileno=int(sys.argv[1])))
