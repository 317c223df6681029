"""Any sequence of ticks over any evolving world ends with exactly the gateway's content.

Worlds grow, change, lose jobs and forget; runs are killed before any of their commits. Afterwards two quiet
ticks and a reconcile must leave the table equal to the list, and a history that tells only what was shown.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl.schema import migrate
from etl.simulator import World
from tests.support.rig import Rig, rig, shown, truth

HOUR = 3600.0

STEPS = st.one_of(
    st.tuples(st.just("advance"), st.sampled_from([1.0, 30.0, 600.0, HOUR, 5 * HOUR, 30 * HOUR])),
    st.tuples(st.just("sync"), st.none()),
    st.tuples(st.just("killed"), st.integers(0, 4)),
    st.tuples(st.just("add"), st.integers(1, 25)),
    st.tuples(st.just("delete"), st.integers(0, 10**6)),
    st.tuples(st.just("reconcile"), st.none()),
)


class Killed(BaseException):
    """What `kill -9` looks like from inside."""


def play(r: Rig, step: tuple[str, Any], observed: dict[str, list[dict[str, Any]]]) -> None:
    what, value = step
    if what == "advance":
        r.world.advance(value)
    elif what == "add":
        for n in range(value):
            r.world.add({"prompt": f"added {n}", "status": "queued"})
    elif what == "delete":
        listed = r.world.expected()
        if listed:
            r.world.delete(listed[value % len(listed)]["id"])
    elif what == "killed":
        killed(r, value)
    elif what == "reconcile":
        r.reconcile(accept_suspicious=True)
    else:
        r.ok()
    for job in r.world.expected():
        seen = observed.setdefault(job["id"], [])
        if not seen or seen[-1] != truth(job):
            seen.append(truth(job))


def killed(r: Rig, commits: int) -> None:
    """Sync, and die before commit number `commits`."""
    migrate.ensure_schema(r.app.engine)
    left = [commits]

    def die(_connection: sa.Connection) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1

    sa.event.listen(r.app.engine, "commit", die)
    try:
        r.sync()
    except Killed:
        pass
    finally:
        sa.event.remove(r.app.engine, "commit", die)
    expire_leases(r)


def expire_leases(r: Rig) -> None:
    """The dead process' lease runs out."""
    with r.app.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE leases SET holder = NULL, expires_at = NULL")


def assert_converged(r: Rig, observed: dict[str, list[dict[str, Any]]]) -> None:
    assert r.reconcile(accept_suspicious=True).status == "ok"
    r.ok()
    r.assert_equals_gateway()
    r.assert_accounts()
    assert in_order(r) == [job["id"] for job in r.world.expected()]
    for row in r.rows("video_job_versions"):
        assert shown(row) in observed[row["job_id"]], "history tells what nobody showed"


def in_order(r: Rig) -> list[str]:
    """The listed jobs as their positions order them, oldest first."""
    listed = r.listed()
    return sorted(listed, key=lambda job_id: listed[job_id]["list_position"])


# The same 40 histories on every run. A longer, random search: EXAMPLES=1000 pytest FILE
SEARCH = int(os.environ.get("EXAMPLES", "0"))


@settings(
    max_examples=SEARCH or 40,
    derandomize=not SEARCH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@example(0, 9, 0.0, 72000.0, 1, "auto", [("sync", None), ("advance", 108000.0)])
@example(0, 11, 0.0, None, 1, "desc", [("killed", 2)])
@given(
    seed=st.integers(0, 1000),
    jobs=st.integers(0, 130),
    rate=st.sampled_from([0.0, 5.0, 60.0]),
    retention=st.sampled_from([None, None, 20 * HOUR]),
    page_size=st.sampled_from([1, 3, 10, 100]),
    order=st.sampled_from(["auto", "auto", "desc", "asc"]),
    steps=st.lists(STEPS, max_size=12),
)
def test_any_history_converges(
    seed: int,
    jobs: int,
    rate: float,
    retention: float | None,
    page_size: int,
    order: str,
    steps: list[tuple[str, Any]],
) -> None:
    # OpenAI's ids rise with time, a custom provider's come in any order.
    provider = ("openai", "studio")[seed % 2]
    world = World(seed=seed, jobs=jobs, rate=rate, retention=retention, ties=0.5, provider=provider)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'test.db'}"
        with rig(world, url, settings={"page_size": page_size, "order": order}) as r:
            observed: dict[str, list[dict[str, Any]]] = {}
            play(r, ("advance", 0.0), observed)
            for step in steps:
                play(r, step, observed)
            play(r, ("sync", None), observed)
            assert_converged(r, observed)


@pytest.mark.parametrize("order", ["auto", "desc"])
def test_killed_at_every_commit_of_a_first_load(database_url: str, order: str) -> None:
    world = World(seed=11, jobs=400, rate=0)
    with rig(world, database_url, settings={"page_size": 10, "order": order}) as r:
        for commits in (0, 1, 2, 1, 3):
            killed(r, commits)
        r.ok()
        r.assert_equals_gateway()
        r.assert_accounts()
        assert len(r.jobs()) == 400
        assert in_order(r) == [job["id"] for job in r.world.expected()]
        statuses = {row["status"] for row in r.rows("sync_runs")}
        assert statuses == {"interrupted", "ok"}
