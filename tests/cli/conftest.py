"""A gateway, and the command configured for it by the environment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.simulator import Simulator, World
from tests.support.command import Command

CANARY = "canary-51be0c7d94"


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Without any configuration."""
    return Command(tmp_path)


@pytest.fixture
def gateway() -> Iterator[Simulator]:
    with Simulator(World(seed=3, jobs=250, start=time.time(), rate=60.0), token=CANARY) as sim:
        yield sim


@pytest.fixture
def configured(tmp_path: Path, gateway: Simulator) -> Command:
    """By environment variables only; the database is a file in `tmp_path`."""
    return Command(
        tmp_path,
        BIFROST_BASE_URL=gateway.base_url,
        BIFROST_API_KEY=CANARY,
        BIFROST_PROVIDER="openai",
        DATABASE_URL="sqlite:///etl.db",
    )
