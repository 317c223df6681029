"""A run that is asked to stop ends, whatever it waits for just then: a gateway may keep a question long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from etl.simulator import World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.support.rig import Rig

NOW = 1_767_200_000.0
#: Which question is kept, and the settings with which a run comes to it.
KEPT: dict[str, tuple[Callable[[Ask], bool], dict[str, Any]]] = {
    "who answers": (lambda ask: ask.query.get("limit") == "20", {"probe_accounts": True}),
    "the first page": (lambda ask: ask.path == "/v1/videos", {}),
    "a job by id": (lambda ask: ask.path.startswith("/v1/videos/"), {"open_job_patience": 60.0}),
    "one of two lanes": (lambda ask: ask.query.get("order") == "asc", {"page_size": 10}),
}


@pytest.mark.parametrize("kept", KEPT)
def test_a_question_that_is_kept_is_left_behind(migrated_url: str, kept: str) -> None:
    stalls, settings = KEPT[kept]
    reached, over = threading.Event(), threading.Event()
    jobs = [job(number, **({"status": "queued"} if number == 3 else {})) for number in range(30)]

    def reply(ask: Ask) -> bytes:
        if stalls(ask) and armed:
            reached.set()
            over.wait(120)
        if ask.path != "/v1/videos":
            return answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        return answer(page(ask.listed(jobs)))

    armed: list[bool] = []
    with RawGateway(reply) as raw:
        sim: Any = SimpleNamespace(
            world=World(jobs=1, start=NOW), gateway=raw, base_url=raw.base_url, requests=[]
        )
        made = Rig(sim, migrated_url, **settings)
        with made.app:
            if kept == "a job by id":
                made.ok()
            armed.append(True)
            stop, results = threading.Event(), list[Any]()
            run = threading.Thread(target=lambda: results.extend(made.app.sync(stop=stop)), daemon=True)
            run.start()
            assert reached.wait(60)
            stop.set()
            run.join(60)
            over.set()
            assert [result.status for result in results] == ["interrupted"]
