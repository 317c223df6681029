"""What a run reads beside the list's pages is told while it is read."""

from __future__ import annotations

from etl.observer import Silent
from etl.simulator import World
from tests.support.rig import rig


class Heard(Silent):
    def __init__(self) -> None:
        self.most: dict[str, int] = {}

    def reading(self, source: str, what: str, count: int) -> None:
        self.most[what] = max(count, self.most.get(what, 0))


def test_rows_of_the_log_are_told_as_they_are_asked_for(migrated_url: str) -> None:
    heard = Heard()
    world = World(jobs=30, version="1.5", rate=0.0, seed=9)
    with rig(world, migrated_url, settings={"discover": "list", "read_logs": True}) as r:
        r.app.sync(progress=heard)
        asked = [request.path for request in r.sim.requests]
        singles = sum(path.startswith("/api/logs/") for path in asked)
    assert heard.most["row of the gateway's log"] >= 30
    assert heard.most.get("row of the gateway's log by id", 0) == singles


def test_jobs_that_the_log_names_are_told(migrated_url: str) -> None:
    heard = Heard()
    world = World(jobs=30, version="2.1", rate=0.0, seed=9)
    with rig(world, migrated_url, settings={"discover": "logs"}) as r:
        r.app.sync(progress=heard)
    assert heard.most["job by id"] == 30
