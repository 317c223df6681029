"""Jobs that come as fast as pages do: a scan ends all the same."""

from __future__ import annotations

from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from etl.simulator import World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.support.rig import Rig

NOW = 1_767_200_000
#: More questions than any scan of so few jobs has to ask.
TOO_MANY = 200


@pytest.mark.parametrize(("lanes", "many"), [(1, 1), (4, 1), (1, 3), (4, 3)])
@pytest.mark.parametrize("gone", [None, 40, 199])
def test_every_run_ends_while_each_page_brings_new_jobs(
    url_by_turns: str, lanes: int, many: int, gone: int | None
) -> None:
    jobs, busy = [job(number) for number in range(200)], list[bool]()

    def reply(ask: Ask) -> bytes:
        if ask.path != "/v1/videos":
            return answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        assert ask.number < TOO_MANY
        if busy:
            numbers = range(many * ask.number, many * (ask.number + 1))
            jobs.extend(job(1000 + number, created_at=NOW + ask.number // 10) for number in numbers)
        date = formatdate(NOW + ask.number // 10, usegmt=True)
        return answer(page(ask.listed(jobs)), f"Date: {date}", "Content-Type: application/json")

    with RawGateway(reply) as raw:
        sim: Any = SimpleNamespace(
            world=World(jobs=1, start=NOW), gateway=raw, base_url=raw.base_url, requests=raw.asked
        )
        made = Rig(sim, url_by_turns, page_size=20, concurrency=lanes)
        with made.app:
            if gone is None:
                busy.append(True)
            made.ok()
            busy.append(True)
            made.ok()
            lost = None if gone is None else jobs.pop(gone)["id"]
            result = made.reconcile()
            assert result.status == "ok", result.error
            unlisted = {i for i, row in made.jobs().items() if row["unlisted_at"] is not None}
            assert unlisted == ({lost} if lost else set())
