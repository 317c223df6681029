"""Each lie, told once to each walk: a first load, a tick, a walk from the newest job, a reconcile, and those
through lists that run one way whatever they are asked.

Verdict from the world itself: a green run without a gap holds everything that is listed; nothing that is
listed was ever said to be gone; and when the lie is over, the next runs end whole."""

from __future__ import annotations

import pytest

from etl.simulator import World
from tests.support.rig import Rig, rig

HOUR = 3600.0
LIES = {
    "false end": "has_more:value=false,times=1,skip={place}",
    "repeated page": "repeated_page:times=1,skip={place}",
    "first page again": "cursor_ignored:times=1,skip={place}",
    "another account's page": "other_account:times=1,skip={place}",
    "dead cursor": "dead_cursor:how=404",
    "unreadable page": "unmarshal:times=1,skip={place}",
}
#: By walk: the order that the gateway keeps to whatever it is asked, from when the walk begins.
WALKS: dict[str, str | None] = {
    "first": None,
    "tick": None,
    "newest first": "desc",
    "reconcile": None,
    "first, newest first only": "desc",
    "first, oldest first only": "asc",
    "tick, oldest first only": "asc",
    "reconcile, newest first only": "desc",
}


def whole(r: Rig) -> bool:
    listed = {job["id"] for job in r.world.expected()}
    return listed <= set(r.jobs())


def judge(r: Rig, status: str) -> None:
    gaps = [gap for gap in r.rows("coverage_gaps") if gap["accepted_at"] is None]
    assert status != "ok" or gaps or whole(r), "green, and something listed is missing"
    said = {row["job_id"] for row in r.rows("video_job_versions", op="unlist")}
    assert not said & {job["id"] for job in r.world.expected()}


def keep_order(r: Rig, walk: str) -> None:
    if order := WALKS[walk]:
        r.sim.fault("order_ignored", always=order)


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("place", [0, 1])
def test_a_lie_proves_nothing(url_by_turns: str, lie: str, walk: str, place: int) -> None:
    world = World(seed=60, jobs=130, rate=40)
    with rig(world, url_by_turns, settings={"page_size": 20}) as r:
        keep_order(r, walk)
        if not walk.startswith("first"):
            r.ok()
            world.advance(HOUR)
        r.sim.fault(LIES[lie].format(place=place))
        result = r.reconcile() if walk.startswith("reconcile") else r.sync()
        judge(r, result.status)
        r.sim.clear_faults()
        keep_order(r, walk)
        for _ in range(2):
            judge(r, r.sync().status)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert whole(r)
        judge(r, "ok")
        r.assert_accounts()
