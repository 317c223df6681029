"""Whatever the log does while it is read, and whenever the reader dies: no row and no job is skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.load import CommitBatch, Store
from etl.pipeline import read_log
from etl.simulator import World
from tests.logs.test_discover import history, mirror
from tests.support.rig import Rig, rig


class Killed(BaseException):
    """As a signal 9: nothing catches it."""


class Killer:
    """Kills the n-th commit, before or after it is durable."""

    def __init__(self, patch: pytest.MonkeyPatch, deaths: list[tuple[int, bool]]) -> None:
        self.left, self._commits, self._real = dict(deaths), 0, Store.commit
        patch.setattr(Store, "commit", lambda store, batch: self.commit(store, batch))

    def commit(self, store: Store, batch: CommitBatch) -> None:
        self._commits += 1
        after = self.left.pop(self._commits, None)
        if after is False:
            raise Killed
        self._real(store, batch)
        if after:
            raise Killed


def tick(r: Rig) -> None:
    try:
        r.sync()
    except Killed:
        r.sim.advance(70)  # the dead one's lease runs out
        _forget_lease(r)


def _forget_lease(r: Rig) -> None:
    with r.app.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE leases SET holder = NULL, expires_at = NULL")


def every_row_is_stored(r: Rig) -> None:
    """Everything that the log shows of making and settling jobs."""
    shown = r.sim.gateway.log.book.visible(r.world.now())
    wanted = {row.id for row in shown if row.object in ("video_generation", "video_remix") or row.settlement}
    assert {row["request_id"] for row in r.rows("job_requests") if row["role"] != "polled"} >= wanted


@pytest.mark.slow
@pytest.mark.parametrize("discover", ["logs", "both"])
@pytest.mark.parametrize("version", ["2.0", "2.1"])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    delay=st.sampled_from([0.0, 2.0, 200.0]),
    rows=st.integers(2, 9),
    waits=st.lists(st.sampled_from([1, 30, 240, 2000]), min_size=2, max_size=5),
    deaths=st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=2),
)
def test_late_rows_small_pages_and_kills(
    tmp_path: Path,
    discover: str,
    version: str,
    seed: int,
    delay: float,
    rows: int,
    waits: list[int],
    deaths: list[tuple[int, bool]],
) -> None:
    """Against the list of the same world, read once at the end: what stands there now."""
    number = len(list(tmp_path.iterdir()))
    world = World(jobs=6, version=version, rate=40.0, seed=seed)
    chosen: dict[str, Any] = {"discover": discover, "rereads_per_run": 100}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_log, "ROWS_PER_PAGE", rows)
        with rig(world, f"sqlite:///{tmp_path / f'{number}.db'}", settings=chosen, log_delay=delay) as r:
            killer = Killer(patch, deaths)
            for wait in waits:
                tick(r)
                r.sim.advance(wait)
            killer.left.clear()
            r.sim.advance(400)
            r.ok()
            r.ok()
            every_row_is_stored(r)
            r.assert_accounts()
            found, told = mirror(r), history(r)
        listed = {job["id"] for job in world.expected() if job["created_at"] <= world.now() - 210}
        assert listed <= found.keys()
        for versions in told.values():
            assert versions[0]["op"] == "insert"
            statuses = [row["status"] for row in versions]
            assert len(statuses) == len(set(statuses)), "each status once: a poll that says nothing new"
