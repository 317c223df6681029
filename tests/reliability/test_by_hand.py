"""A run that fails while another process writes the same source: counts, row and breaker agree."""

from __future__ import annotations

from typing import Any

from etl.app import App
from etl.simulator import World
from tests.support.rig import rig


def test_a_run_that_fails_beside_another_has_its_row_and_its_requests(database_url: str):
    with rig(World(seed=2, jobs=30), database_url) as gateway:
        gateway.ok()
        gateway.sim.fault("upstream_500")
        service, between = App(gateway.config, clock=gateway.now, sleep=lambda _: None), []

        def wait(seconds: float) -> None:
            if not between:  # the service's run begins and ends during our first wait
                between.append(service.sync()[0])

        by_hand = App(gateway.config, clock=gateway.now, sleep=wait)
        [failed] = by_hand.sync()
        [state] = gateway.rows("sync_state")
        rows: list[dict[str, Any]] = gateway.rows("sync_runs", status="failed")
        by_hand.close()
        service.close()
    assert failed.counts.requests == between[0].counts.requests == 3
    assert [row["requests"] for row in rows] == [3, 3]
    assert failed.run_id == rows[-1]["id"] and rows[-1]["error_class"] == "ServerFault"
    assert state["failures"] == len(rows) == 2
