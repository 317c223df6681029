"""Simulated gateways by the dozen, and one cluster for all tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from etl.config import Config, Dask, DatabaseConfig, Secret, SecretUrl, Source
from etl.simulator import Simulator, World
from tests.conftest import unavailable
from tests.support.cluster import Cluster

TOKEN = "canary-5be0cd19137e"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    try:
        import distributed  # noqa: F401
    except ImportError:
        unavailable("distributed is not installed")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.add_worker()
        made.add_worker()
        yield made
    finally:
        made.stop()


class Gateways:
    """Simulated gateways, a source each."""

    def __init__(self, sims: list[Simulator]) -> None:
        self.sims = sims

    def advance(self, seconds: float) -> None:
        for sim in self.sims:
            sim.world.advance(seconds)

    def sources(self, **settings: Any) -> tuple[Source, ...]:
        quick = {"provider": "openai", "api_key": Secret(TOKEN), "max_attempts": 2, "max_backoff": 0.0}
        values = {**quick, **settings}
        return tuple(Source(name=f"s{n}", base_url=sim.base_url, **values) for n, sim in enumerate(self.sims))

    def config(self, url: str, dask: Dask | None = None, parallel: int = 32, **settings: Any) -> Config:
        return Config(
            sources=self.sources(**settings),
            database=DatabaseConfig(url=SecretUrl(url)),
            executor="dask" if dask else "threads",
            dask=dask or Dask(),
            parallel=parallel,
        )

    def truth(self) -> dict[tuple[str, str], Any]:
        """(source, job) → status, of everything that is listed now."""
        return {
            (f"s{n}", j["id"]): j["status"] for n, sim in enumerate(self.sims) for j in sim.world.expected()
        }


@pytest.fixture
def gateways() -> Iterator[Any]:
    """`gateways(5, jobs=300, latency=0.05)` starts five."""
    with ExitStack() as stack:

        def start(count: int, *, jobs: int, **options: Any) -> Gateways:
            worlds = [World(seed=n + 1, jobs=jobs, start=time.time(), rate=600) for n in range(count)]
            sims = [Simulator(world, token=TOKEN, **options) for world in worlds]
            return Gateways([stack.enter_context(sim) for sim in sims])

        yield start


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    return tmp_path / "bifrost-etl.yaml"
