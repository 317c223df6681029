"""The same world read by list, by log and by both: equal jobs and equal history, whatever befalls the log and
the reader. The gateway is the tests' own; what is expected of it is its list."""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from etl.pipeline import read_log
from tests.logs.lives import Life, Living, assert_told_alike, bear, mirrored, own_rows, states
from tests.logs.site import Site, site
from tests.logs.test_foreign_log import Killed, kill_at
from tests.support.command import Command
from tests.support.foreign_gateway import stamp

START, OVERLAP = 1_795_992_000.0, 900.0
WAYS = ("list", "logs", "both")
NUMBERS = itertools.count()

LIVES = st.lists(
    st.builds(
        Life,
        after=st.sampled_from([0.0, 0.0, 0.5, 20.0, 90.0]),
        late=st.sampled_from([0.0, 0.0, 2.0, 200.0, 850.0]),
        waits=st.sampled_from([0.0, 30.0, 300.0]),
        takes=st.sampled_from([10.0, 120.0, 900.0]),
        ends=st.sampled_from(["completed", "completed", "failed"]),
    ),
    min_size=1,
    max_size=12,
)


def shift(gateway: Living, moves: list[str]) -> None:
    """Between two requests for the log, rows come to light before their time or the oldest go."""
    left = list(moves)

    def before(path: str, query: dict[str, str]) -> None:
        move = left.pop(0) if path == "/api/logs" and left else "nothing"
        if move == "a late row comes":
            waiting = [row for row in gateway.rows if row["timestamp"] <= stamp(gateway.now)]
            waiting = [row for row in waiting if row["written"] > gateway.now]
            for row in waiting[:1]:
                row["written"] = gateway.now
        elif move == "the oldest row goes" and len(gateway.rows) > 1:
            oldest = min(gateway.rows, key=lambda row: row["timestamp"])
            if oldest["id"] in gateway.kept:
                gateway.rows.remove(oldest)

    gateway.before = before


def tick(s: Site) -> None:
    """One sync, begun anew at the same moment for as long as it is killed."""
    while True:
        try:
            s.ok()
            s.gateway.kept = {row["request_id"] for row in own_rows(s, "job_requests")}
            return
        except Killed:
            s.forget_lease()


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.0", "2.1"])
@settings(
    max_examples=6,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lives=LIVES,
    waits=st.lists(st.sampled_from([0.0, 30.0, 240.0, 1000.0]), min_size=2, max_size=5),
    rows=st.integers(2, 6),
    page=st.sampled_from([2, 5, 100]),
    moves=st.lists(st.sampled_from(["nothing", "a late row comes", "the oldest row goes"]), max_size=10),
    deaths=st.dictionaries(st.integers(1, 12), st.booleans(), max_size=3),
)
def test_three_ways_to_one_mirror(
    migrated_url: str,
    version: str,
    lives: list[Life],
    waits: list[float],
    rows: int,
    page: int,
    moves: list[str],
    deaths: dict[int, bool],
) -> None:
    told: dict[str, Any] = {}
    number = next(NUMBERS)
    for way in WAYS:
        gateway = Living(version=version, provider="custom", listed=True, now=START)
        bear(gateway, lives, START)
        shift(gateway, moves)
        chosen = {"discover": way, "page_size": page, "logs_overlap": OVERLAP, "rereads_per_run": 50}
        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(read_log, "ROWS_PER_PAGE", rows)
            kill_at(patch, dict(deaths))
            s = stack.enter_context(site(gateway, migrated_url, name=f"{way}-{number}", **chosen))
            for wait in waits:
                gateway.now += wait
                tick(s)
            gateway.now += 4000 + OVERLAP
            tick(s)
            tick(s)
            told[way] = mirrored(s)
    late = {f"v{n:03}:custom" for n, life in enumerate(lives) if life.late}
    assert len(told["list"][0]) == len(lives)
    assert_told_alike(told["list"], told["both"], set())
    assert_told_alike(told["list"], told["logs"], late)


def kill_in_work(s: Living, process: Any, at: int) -> None:
    """`kill -9` of the command at its `at`-th request, which gets no answer before."""
    asked = [0]

    def before(path: str, query: dict[str, str]) -> None:
        asked[0] += 1
        if asked[0] == at:
            os.kill(process.pid, signal.SIGKILL)

    s.before = before


@pytest.mark.slow
def test_three_ways_under_kill_9(migrated_url: str, tmp_path: Path) -> None:
    """Whole commands, killed in mid-work; the world goes on between them."""
    lives = [
        Life(7.0, (0.0, 0.0, 100.0)[n % 3], 60.0, 300.0, ("completed", "failed")[n % 5 == 0])
        for n in range(40)
    ]
    told: dict[str, Any] = {}
    for way in WAYS:
        gateway = Living(version="2.0", provider="custom", listed=True, now=START)
        bear(gateway, lives, START)
        settings_ = {"discover": way, "page_size": 5, "rereads_per_run": 50}
        with site(gateway, migrated_url, name=way, **settings_) as s:
            command = Command(tmp_path, BIFROST_API_KEY="canary-5512-aa71-key", DATABASE_URL=migrated_url)
            said = ", ".join(f"{name}: {value}" for name, value in settings_.items())
            (tmp_path / "bifrost-etl.yaml").write_text(
                f"sources:\n  - {{name: {way}, base_url: '{gateway.base_url}', provider: custom, "
                f"api_key: '${{BIFROST_API_KEY}}', passthrough: never, {said}}}\n"
            )
            killed = 0
            for at, wait in ((3, 150.0), (8, 100.0), (14, 120.0), (2, 400.0)):
                gateway.now += wait
                process = command.start("sync")
                kill_in_work(gateway, process, at)
                process.communicate(timeout=120)
                killed += process.returncode == -signal.SIGKILL
                gateway.before = lambda path, query: None
                s.forget_lease()
            assert killed >= 3
            gateway.now += 2000
            for _ in range(2):
                done = command("sync")
                assert done.code == 0, done.all
            told[way] = mirrored(s)
    (jobs, _) = told["list"]
    assert len(jobs) == 40
    for way in ("logs", "both"):
        assert {i: states([row]) for i, row in told[way][0].items()} == {
            i: states([row]) for i, row in jobs.items()
        }
    for found, history in told.values():
        for job_id, versions in history.items():
            assert [row["version"] for row in versions] == list(range(1, len(versions) + 1))
            assert states(versions)[-1] == {
                k: v for k, v in states([found[job_id]])[0].items() if k in states(versions)[-1]
            }
