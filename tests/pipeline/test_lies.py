"""Worlds as in test_convergence, behind a gateway that lies, fails, and holds records that nobody can read.

What a lie hides may stay hidden while it lasts. When it is over, two ticks and a reconcile make the table
equal to the list, in the list's order.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl.schema import migrate
from etl.simulator import World
from tests.pipeline.test_convergence import expire_leases, in_order, killed
from tests.support.rig import Rig, rig

HOUR = 3600.0
LIES = (
    "has_more:value=false",
    "has_more:value=true",
    "shrunk",
    "null_data",
    "order_ignored",
    "cursor_ignored",
    "repeated_page",
    "limit_ignored:limit=2",
    "wrong_last_id",
    "no_ids",
    "no_has_more",
    "dead_cursor:how=empty",
    "dead_cursor:how=first_page",
    "dead_cursor:how=404",
    "unmarshal",
    "upstream_500",
    "truncated",
    "reset",
    "bad_item:kind=duplicate",
)
STEPS = st.one_of(
    st.tuples(st.just("advance"), st.sampled_from([1.0, 30.0, 600.0, HOUR, 5 * HOUR])),
    st.tuples(st.just("sync"), st.none()),
    st.tuples(st.just("killed"), st.integers(0, 4)),
    st.tuples(st.just("add"), st.integers(1, 25)),
    st.tuples(st.just("delete"), st.integers(0, 10**6)),
    st.tuples(st.just("reconcile"), st.none()),
    st.tuples(st.just("poison"), st.integers(0, 130)),
    *[st.tuples(st.just("lie"), st.tuples(st.sampled_from(LIES), st.integers(0, 9), st.integers(1, 4)))] * 3,
)


def play(r: Rig, step: tuple[str, Any]) -> None:
    what, value = step
    if what == "advance":
        r.world.advance(value)
    elif what == "add":
        for n in range(value):
            r.world.add({"prompt": f"added {n}", "status": "queued"})
    elif what == "delete":
        if listed := r.world.expected():
            r.world.delete(listed[value % len(listed)]["id"])
    elif what == "lie":
        spec, skip, times = value
        r.sim.fault(f"{spec}{',' if ':' in spec else ':'}skip={skip},times={times}")
    elif what == "poison":
        r.sim.fault("poison", index=value)
    elif what == "killed":
        killed(r, value)
    elif what == "reconcile":
        r.app.reconcile()
    else:
        r.sync()


def assert_converged(r: Rig) -> None:
    r.sim.clear_faults()
    migrate.ensure_schema(r.app.engine)
    expire_leases(r)
    r.ok()
    assert r.reconcile(accept_suspicious=True).status == "ok"
    r.ok()
    r.assert_equals_gateway()
    r.assert_accounts()
    assert in_order(r) == [job["id"] for job in r.world.expected()]


# The same histories on every run. A longer, random search: EXAMPLES=1000 pytest FILE
SEARCH = int(os.environ.get("EXAMPLES", "0"))


@pytest.mark.slow
@settings(
    max_examples=SEARCH or 60,
    derandomize=not SEARCH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@example(0, 52, 0.0, None, 3, "auto", [("advance", 18000.0), ("poison", 29), ("sync", None)])
@given(
    seed=st.integers(0, 1000),
    jobs=st.integers(0, 130),
    rate=st.sampled_from([0.0, 5.0, 60.0]),
    retention=st.sampled_from([None, None, 20 * HOUR]),
    page_size=st.sampled_from([3, 10, 10, 100]),
    order=st.sampled_from(["auto", "auto", "auto", "desc"]),
    steps=st.lists(STEPS, min_size=3, max_size=14),
)
def test_what_lies_hid_comes_to_light(
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
    plan = {"page_size": page_size, "order": order, "max_attempts": 2}
    with (
        tempfile.TemporaryDirectory() as folder,
        rig(world, f"sqlite:///{Path(folder) / 'test.db'}", settings=plan) as r,
    ):
        for step in steps:
            play(r, step)
        assert_converged(r)
