"""Who answers is asked where something depends on it; ticks with nothing new stay one request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from etl.errors import RateLimited
from etl.simulator import World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.support.rig import Rig

LIMITED = answer(
    b'{"error":{"message":"slow down"}}',
    "Retry-After: 1",
    "Content-Type: application/json",
    status="429 Too Many Requests",
)


@pytest.mark.parametrize("count", [0, 1, 350])
@pytest.mark.parametrize("limited", [False, True], ids=["free", "limited"])
def test_a_tick_with_nothing_new_asks_once(url_by_turns: str, count: int, limited: bool) -> None:
    """`limited`: every other request comes too soon."""
    jobs = [job(number) for number in range(count)]

    def reply(ask: Ask) -> bytes:
        if limited and ask.number % 2 == 0:
            return LIMITED
        if ask.path != "/v1/videos":
            return answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        return answer(page(ask.listed(jobs)))

    with RawGateway(reply) as raw:
        world = World(jobs=1, start=1_767_200_000.0)
        sim: Any = SimpleNamespace(world=world, gateway=raw, base_url=raw.base_url, requests=raw.asked)
        made = Rig(sim, url_by_turns, probe_accounts=True)
        with made.app:
            first = made.ok()
            assert first.counts.requests <= 2 * 20
            for _ in range(3):
                asked = made.ok().counts
                assert asked.requests - asked.retries == 1
            assert len(made.listed()) == count


def test_a_gateway_that_refuses_all_is_not_asked_who_answers_for_ever(url_by_turns: str) -> None:
    with RawGateway(lambda ask: LIMITED) as raw:
        world = World(jobs=1, start=1_767_200_000.0)
        sim: Any = SimpleNamespace(world=world, gateway=raw, base_url=raw.base_url, requests=raw.asked)
        made = Rig(sim, url_by_turns, probe_accounts=True)
        with made.app:
            result = made.sync()
            assert (
                isinstance(result.error, RateLimited)
                and result.counts.requests <= 1 + made.source.max_attempts
            )
