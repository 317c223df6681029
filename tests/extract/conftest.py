"""A client and a gateway, with time passed in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from etl.config import Secret, Source
from etl.extract import GatewayClient
from etl.log import Redactor
from etl.simulator import Simulator, World

CANARY = "canary-51c09e7d"


class Client:
    """`gateway` is under test; `waits` are the sleeps it asked for, `told` the errors it reported."""

    def __init__(self, sim: Simulator, **settings: Any) -> None:
        self.sim, self.waits, self.told = sim, [], []
        self.time = 0.0
        values = {"name": "main", "base_url": sim.base_url, "provider": "openai", "api_key": Secret(CANARY)}
        self.source = Source(**{**values, "max_attempts": 4, **settings})
        self.gateway = self._wired(self._sleep)

    def _wired(self, sleep: Callable[[float], None]) -> GatewayClient:
        return GatewayClient(
            self.source,
            clock=lambda: datetime.now(UTC),
            monotonic=lambda: self.time,
            sleep=sleep,
            rng=random.Random(1),
            on_retry=lambda error, wait: self.told.append((error, wait)),
            redact=Redactor(self.source.secrets()),
        )

    def interrupted_by(self, error: Exception) -> None:
        """From now on, every wait is broken off."""

        def sleep(seconds: float) -> None:
            raise error

        self.gateway.close()
        self.gateway = self._wired(sleep)

    waits: list[float]
    told: list[tuple[Exception, float]]

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    """client(*faults, world=…, settings={…}, **simulator options) → Client."""
    opened: list[tuple[Simulator, Client]] = []

    def make(
        *faults: str, world: World | None = None, settings: dict[str, Any] | None = None, **options: Any
    ) -> Client:
        options.setdefault("token", CANARY)
        sim = Simulator(world or World(seed=1, jobs=250, rate=0), faults=list(faults), **options).start()
        made = Client(sim, **(settings or {}))
        opened.append((sim, made))
        return made

    yield make
    for sim, made in opened:
        made.gateway.close()
        sim.stop()
