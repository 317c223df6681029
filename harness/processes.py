"""Processes that a harness starts and kills: the command, and a simulated gateway whose truth is known."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from etl.simulator import World

ROOT = Path(__file__).parents[1]
PROGRAM = [sys.executable, "-m", "etl.cli"]
#: Even a SIGKILL of the harness leaves nothing behind, where Linux's tools are.
DYING_WITH_US = ["setpriv", "--pdeathsig=KILL", "--"] if shutil.which("setpriv") else []
TOKEN = "canary-51c7e0d9b4"
PATIENCE = 120.0


class Stuck(Exception):
    """Something that must come did not come."""


def until(question: Callable[[], Any], what: str, patience: float = PATIENCE, pause: float = 0.02) -> Any:
    """Ask until the answer is true. Raises Stuck after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise Stuck(f"never came: {what}")
        time.sleep(pause)
    return answer


def environment() -> dict[str, str]:
    """All that the command sees of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


@dataclass
class Process:
    """The command, running in `folder`; its output goes to one log file."""

    folder: Path
    arguments: tuple[str, ...]
    log: Path
    _popen: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [*DYING_WITH_US, *PROGRAM, *self.arguments],
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> bool:
        """SIGKILL; True when it hit a living process."""
        if self.alive:
            self._popen.kill()
        return self._popen.wait(PATIENCE) == -signal.SIGKILL

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code. One that does not end is killed; raises Stuck."""
        try:
            return self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Stuck(f"{' '.join(self.arguments)} did not end; see {self.log}") from None


class Gateway:
    """`bifrost-etl simulate` as a process. Its clock stands still unless advanced.

    `world` is the same world here, and knows what the other one shows.
    `plan`: the world's numbers, by the names that `simulate` gives them.
    """

    def __init__(self, folder: Path, name: str, plan: Mapping[str, Any], *options: str) -> None:
        self.folder, self.name, self.plan, self._options = folder, name, dict(plan), options
        self.world = World(**{key: value for key, value in plan.items() if key != "latency"})
        self._process: Process | None = None
        self._line: http.client.HTTPConnection | None = None
        self.base_url = ""

    def __enter__(self) -> Self:
        ready = self.folder / f"{self.name}.ready"
        flags = [part for key, value in self.plan.items() for part in (f"--{key}", str(value))]
        more = ("--time-scale", "0", "--token", TOKEN, "--ready-file", str(ready), *self._options)
        log = self.folder / f"{self.name}.log"
        self._process = Process(self.folder, ("simulate", *flags, *more), log)
        until(lambda: ready.exists() or not self._process.alive, "a simulated gateway")  # type: ignore[union-attr]
        self.base_url = ready.read_text().strip()
        address = self.base_url.removeprefix("http://")
        self._line = http.client.HTTPConnection(address, timeout=PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()

    def ask(self, command: str, **query: object) -> dict[str, Any]:
        """One of the simulator's control commands; its statistics come back."""
        assert self._line is not None
        target = f"/_sim/{command}?{urllib.parse.urlencode(query)}"
        self._line.request("GET" if command == "stats" else "POST", target)
        with self._line.getresponse() as answer:
            found: dict[str, Any] = json.load(answer)
        if "error" in found:
            raise ValueError(found["error"])
        return found

    def advance(self, seconds: float) -> None:
        """Move the gateway's clock and, in step with it, that of the world we compare with."""
        self.world.advance(seconds)
        now = self.ask("advance", seconds=seconds)["now"]
        if abs(now - self.world.now()) > 1e-6:
            raise Stuck(f"the clocks went apart: {now} and {self.world.now()}")

    def served(self) -> int:
        """How many requests it has answered, ours to the control aside."""
        served: int = self.ask("stats")["requests"]
        return served


def configure(folder: Path, name: str, database: str, sources: list[dict[str, Any]], **more: Any) -> None:
    """Write a configuration (JSON is YAML) for short patience and small pages."""
    # The verdict reads what the list showed: its unreadable records stay unreadable.
    quick = {"provider": "openai", "api_key": TOKEN, "max_backoff": "100ms", "page_size": 25}
    quick["passthrough"] = "never"
    document = {
        "database": {"url": database},
        "sources": [{**quick, **source} for source in sources],
        "service": {"port": 0, "log_format": "json", "log_level": "info"},
        "lease": {"seconds": "5s"},
        **more,
    }
    part = folder / f"{name}.part"
    part.write_text(json.dumps(document, indent=1))
    part.replace(folder / name)


class Living(Protocol):
    """What `end` asks of a process, however it was started."""

    def send(self, number: signal.Signals) -> None: ...

    def kill(self) -> bool: ...


def end(*processes: Living) -> None:
    """Nothing that was started is left behind."""
    for process in processes:
        with contextlib.suppress(OSError):
            process.send(signal.SIGCONT)
        process.kill()
