"""The command as a user runs it: a process of its own, with an environment and a folder of its own."""

from __future__ import annotations

import functools
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.fork_server import ForkServer, can_fork

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "etl.cli"]


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def all(self) -> str:
        return self.out + self.err


class Command:
    """`command("sync", "--json")` runs it in `folder`; `environ` is all that it sees of the settings."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder, self.environ = folder, environ

    def __call__(self, *arguments: str, **environ: str) -> Done:
        whole, given = self._environment(environ), Command(self.folder)._environment({})
        # The server runs one command at a time, and tests of several threads want them side by side.
        if can_fork(whole, given) and threading.current_thread() is threading.main_thread():
            return self._fork(arguments, whole, given)
        done = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=whole,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def _fork(self, arguments: Sequence[str], environ: Mapping[str, str], given: Mapping[str, str]) -> Done:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            server = _fork_server(given["PATH"])
            code = server.run(arguments, cwd=self.folder, environ=environ, output=(out, err), timeout=120)
            return Done(code, _text_of(out), _text_of(err))

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=self._environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_terminal(self, *arguments: str, typed: bytes = b"", **environ: str) -> tuple[int, str]:
        """Exit code and everything that a terminal was sent; `typed` waits there from the beginning."""
        ours, theirs = pty.openpty()
        os.write(ours, typed)
        child = subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=self._environment({"TERM": "xterm-256color", "COLUMNS": "140"} | environ),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        text = b"".join(iter(lambda: _read(ours), b"")).decode()
        os.close(ours)
        return child.wait(timeout=60), text

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **self.environ, **more}


@functools.cache
def _fork_server(path: str) -> ForkServer:
    return ForkServer({"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"})


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way of saying that the other end is closed
        return b""
