"""`bifrost-etl run` as a process of its own, and what can be asked of it from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from etl.schema.tables import leases
from etl.simulator import Simulator
from tests.support.command import PROGRAM, Command

TOKEN = "canary-3e7d20b1aa"
PATIENCE = 60.0
_T = TypeVar("_T")


def until(question: Callable[[], _T], what: str) -> _T:
    """Ask until the answer is true; the bound is generous because it only ends a test that fails anyway."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)
    return answer


class Service:
    """A running service. `events` are its log lines, as dicts."""

    def __init__(self, folder: Path, config: str = "bifrost-etl.yaml", name: str = "one") -> None:
        self.folder, self.config, self._log = folder, config, folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Service:
        command = Command(self.folder)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "--config", self.config, "run"],
                cwd=self.folder,
                env=command._environment({"PYTHONFAULTHANDLER": "1"}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.event("service_started")
        return self

    def __enter__(self) -> Service:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    @property
    def output(self) -> str:
        return self._log.read_text()

    def events(self, name: str | None = None, **facts: Any) -> list[dict[str, Any]]:
        found = []
        for line in self.output.splitlines():
            entry = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if name in (None, entry.get("event")) and facts.items() <= entry.items():
                found.append(entry)
        return found

    def event(self, name: str, **facts: Any) -> dict[str, Any]:
        """The first such log line, as soon as there is one."""

        def look() -> list[dict[str, Any]]:
            found = self.events(name, **facts)
            assert found or self.process is None or self.process.poll() is None, self.output
            return found

        try:
            return until(look, f"log line {name} {facts}")[0]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from None

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body of a page."""
        url = self.event("service_started")["url"] + path
        request = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/readyz")[1])
        return found

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of one series; None when there is none."""
        for line in self.get("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == f"bifrost_etl_{name}" and all(
                f'{key}="{text}"' in series for key, text in labels.items()
            ):
                return float(value)
        return None

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code; one that does not end fails with what it said and where its threads stand."""
        assert self.process is not None
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(PATIENCE)
            raise AssertionError(f"it does not end:\n{self.output}") from None


def configure(
    folder: Path, database: str, sources: list[dict[str, Any]], name: str = "bifrost-etl.yaml", **more: Any
) -> None:
    """Write a configuration (JSON is YAML). Sources are quick to fail, the page takes any free port."""
    quick = {"provider": "openai", "api_key": TOKEN, "max_attempts": 2, "max_backoff": "0s"}
    service = {"port": 0, "log_format": "json", "log_level": "debug", **more.pop("service", {})}
    document = {
        "database": {"url": database},
        "service": service,
        "sources": [{**quick, **source} for source in sources],
        **more,
    }
    part = folder / f"{name}.part"
    part.write_text(json.dumps(document))
    part.replace(folder / name)


def pass_leases(engine: sa.Engine) -> None:
    """Time passes for whoever holds a lease: it ran out long ago. Nothing has to wait."""
    with engine.begin() as conn:
        conn.execute(sa.update(leases).values(expires_at=datetime(2000, 1, 1, tzinfo=UTC)))


def source(sim: Simulator, name: str = "main", **settings: Any) -> dict[str, Any]:
    return {"name": name, "base_url": sim.base_url, "schedule": {"every": "500ms"}, **settings}
