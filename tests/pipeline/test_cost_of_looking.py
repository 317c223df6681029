"""Who answers is asked where something depends on it; ticks with nothing new stay one request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from etl.errors import RateLimited, ServerFault, Unreachable
from etl.pipeline.turns import VAIN
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
        made = Rig(sim, url_by_turns, probe_accounts=True, first_load_lanes=1)
        with made.app:
            first = made.ok()
            assert first.counts.requests <= 2 * 20
            for _ in range(3):
                asked = made.ok().counts
                assert asked.requests - asked.retries == (1 if count else 2)  # perhaps it is another's
            assert len(made.listed()) == count


BROKEN = answer(b"<html>502</html>", "Content-Type: text/html", status="502 Bad Gateway")


@pytest.mark.parametrize(
    ("says", "error", "more"),
    [([LIMITED], RateLimited, 1), ([None], Unreachable, 1), ([BROKEN], ServerFault, VAIN)],
    ids=["limited", "cut off", "broken"],
)
def test_who_answers_is_not_asked_for_ever_where_nobody_does(
    url_by_turns: str, says: list[bytes | None], error: type[Exception], more: int
) -> None:
    with RawGateway(lambda ask: says[0] if says[0] is not None else says) as raw:
        world = World(jobs=1, start=1_767_200_000.0)
        sim: Any = SimpleNamespace(world=world, gateway=raw, base_url=raw.base_url, requests=raw.asked)
        made = Rig(sim, url_by_turns, probe_accounts=True, first_load_lanes=1)
        with made.app:
            result = made.sync()
            assert isinstance(result.error, error), result.error
            assert result.counts.requests <= more + made.source.max_attempts
