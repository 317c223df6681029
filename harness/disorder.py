"""What happens to processes and databases in a soak: killed, frozen, restarted, cut off, locked."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from harness.processes import Process, Stuck, end, until
from harness.stores import Store

#: Longer than the lease: whoever sleeps so long wakes up without it.
FREEZE = (1.0, 4.0, 8.0)


class Service:
    """`bifrost-etl run`, started again whenever it was killed."""

    def __init__(self, folder: Path, config: str, name: str) -> None:
        self.folder, self.config, self.name = folder, config, name
        self.log = folder / f"{name}.log"
        self.process: Process | None = None
        self.frozen_until: float | None = None
        self._born = 0

    def start(self) -> None:
        self._born = self.log.stat().st_size if self.log.exists() else 0
        self.process = Process(self.folder, ("--config", self.config, "run"), self.log)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    def kill(self) -> bool:
        process, self.process, self.frozen_until = self.process, None, None
        return process is not None and process.kill()

    def freeze(self, seconds: float) -> None:
        assert self.process is not None
        self.process.send(signal.SIGSTOP)
        self.frozen_until = time.monotonic() + seconds

    def thaw(self) -> None:
        if self.process is not None and self.frozen_until is not None:
            self.process.send(signal.SIGCONT)
        self.frozen_until = None

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.thaw()
        process, self.process = self.process, None
        assert process is not None
        process.send(signal.SIGTERM)
        return process.wait()

    def close(self) -> None:
        if self.process is not None:
            end(self.process)

    @property
    def listens(self) -> bool:
        """It has come so far that signals mean what they mean."""
        return self.alive and any(e.get("event") == "service_started" for e in self.events(self._born))

    def events(self, since: int = 0) -> Iterator[dict[str, Any]]:
        """Its log, as far as it is JSON; a killed process may leave half a line."""
        if not self.log.exists():
            return
        for line in self.log.read_bytes()[since:].decode(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)


class Disorder:
    """One misfortune at a time, to one of the services or to the database. `done` counts them."""

    def __init__(self, rng: random.Random, services: list[Service], store: Store) -> None:
        self.rng, self.services, self.store = rng, services, store
        self.done: Counter[str] = Counter()
        self.findings: list[str] = []
        self._lock: sqlite3.Connection | None = None
        self._unlock_at = 0.0

    def act(self) -> None:
        misfortunes = [self._kill] * 4 + [self._freeze] * 3 + [self._restart, self._reload]
        misfortunes += [self._lock_file] * 3 if self.store.server is None else [self._hurt_server] * 5
        self.rng.choice(misfortunes)()

    def look_after(self) -> None:
        """Thaw who has slept enough, start who was killed; one who ended by itself is a finding."""
        if self._lock is not None and time.monotonic() >= self._unlock_at:
            self._unlock()
        for service in self.services:
            if service.frozen_until is not None and time.monotonic() >= service.frozen_until:
                service.thaw()
            if service.process is None:
                service.start()
            elif not service.alive:
                self.findings.append(f"service {service.name} ended by itself; see {service.log}")
                service.start()

    def calm(self) -> None:
        """Everybody is awake and at work."""
        self._unlock()
        for service in self.services:
            service.thaw()
        self.look_after()

    def stop(self) -> None:
        """The services end in order."""
        self.calm()
        for service in self.services:
            try:
                until(partial(getattr, service, "listens"), f"the start of service {service.name}")
                code = service.stop()
            except Stuck as stuck:
                self.findings.append(str(stuck))
                continue
            if code:
                self.findings.append(f"service {service.name} stopped with exit code {code}")

    def close(self) -> None:
        self._unlock()
        for service in self.services:
            service.close()

    def _one(self) -> Service | None:
        awake = [s for s in self.services if s.alive and s.frozen_until is None]
        return self.rng.choice(awake) if awake else None

    def _kill(self) -> None:
        if (service := self._one()) is not None and service.kill():
            self.done["service killed (SIGKILL)"] += 1

    def _freeze(self) -> None:
        if service := self._one():
            service.freeze(self.rng.choice(FREEZE))
            self.done["service frozen (SIGSTOP) and woken"] += 1

    def _restart(self) -> None:
        service = self._one()
        if service is None or not service.listens:
            return
        if self.store.server is None:
            self.calm()  # who is frozen may hold the file's only lock, and nobody can end in order
        if code := service.stop():
            self.findings.append(f"SIGTERM: exit code {code} from service {service.name}")
        self.done["service restarted (SIGTERM)"] += 1

    def _reload(self) -> None:
        service = self._one()
        if service is not None and service.process is not None and service.listens:
            service.process.send(signal.SIGHUP)
            self.done["configuration reloaded (SIGHUP)"] += 1

    def _hurt_server(self) -> None:
        server = self.store.server
        assert server is not None
        self.store.close()
        what = self.rng.choice(("cut", "cut", "restart", "abort", "kill"))
        if what == "cut":
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE datname = '{self.store.name}' AND pid <> pg_backend_pid()"
            )
            self.done["all connections terminated"] += 1
            return
        {"restart": server.stop, "abort": server.abort, "kill": server.kill}[what]()
        time.sleep(self.rng.choice((0.0, 1.0, 3.0)))
        server.start()
        self.done[_HURT[what]] += 1

    def _lock_file(self) -> None:
        """Another program writes into the file and does not hurry."""
        assert self.store.path is not None
        if self._lock is not None:
            return
        self._lock = sqlite3.connect(self.store.path, timeout=5, isolation_level=None)
        try:
            self._lock.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            self._lock.close()
            self._lock = None
            return
        self._unlock_at = time.monotonic() + self.rng.uniform(0.5, 6.0)
        self.done["database locked by another writer"] += 1

    def _unlock(self) -> None:
        if self._lock is not None:
            with closing(self._lock):
                self._lock.execute("ROLLBACK")
            self._lock = None


_HURT = {
    "restart": "PostgreSQL restarted",
    "abort": "PostgreSQL stopped at once (immediate)",
    "kill": "PostgreSQL killed (SIGKILL, all its processes)",
}
