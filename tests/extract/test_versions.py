"""What the first page tells of the gateway: how long it may take, and whether it gives raw answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etl.records import PageRequest
from etl.simulator import World
from tests.extract.conftest import Client


@pytest.mark.parametrize(
    ("version", "configured", "seconds"),
    [
        ("1.4", None, 60.0),
        ("1.5", None, 60.0),
        ("2.0", None, 310.0),
        ("2.1", None, 310.0),
        ("2.0", 45.0, 45.0),
    ],
)
def test_answers_are_waited_for_as_long_as_the_gateway_waits(
    client: Callable[..., Client], version: str, configured: float | None, seconds: float
) -> None:
    c = client(world=World(seed=2, jobs=3, version=version), settings={"read_timeout": configured})
    for _ in range(2):
        c.gateway.page(PageRequest())
    assert c.gateway._transport._options["timeout"].read_timeout == seconds


@pytest.mark.parametrize(
    ("version", "allowed", "told"), [("1.4", False, 0), ("1.5", False, 1), ("2.0", True, 0)]
)
def test_raw_answers_that_are_not_sent_are_told_of_once(
    client: Callable[..., Client], version: str, allowed: bool, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(seed=2, jobs=3, version=version)
    c = client(world=world, settings={"raw_payloads": "store"}, allow_raw=allowed)
    for _ in range(2):
        c.gateway.page(PageRequest())
    found = [record for record in caplog.records if "no_raw_payloads" in record.getMessage()]
    assert len(found) == told
    assert all(record.levelname == "ERROR" for record in found)  # `sync` shows no less
