"""Every n-th call fails: a thinned set, and a harness that would notice a lost or a doubled job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from harness.nth.chores import CHORES, ChoreBench
from harness.nth.scenarios import SCENARIOS
from harness.nth.trial import Bench
from harness.stores import store

#: Each so many pairs of call and way.
EVERY = 67
#: What still fails, and why.
KNOWN: dict[str, str] = {}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(f"sqlite:///{tmp_path_factory.mktemp('nth') / 'etl.db'}")
    yield made
    made.close()


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.slow
def test_one_call_fails_and_the_next_run_sets_it_right(bench: Bench, name: str) -> None:
    bench.take(name)
    assert bench.reference.findings == []
    first = sum(map(ord, name)) % EVERY
    found = {way: bench.trial(*way).findings for way in list(bench.ways())[first::EVERY]}
    wrong = {way: said for way, said in found.items() if said}
    if wrong and name in KNOWN:
        pytest.xfail(f"{KNOWN[name]}: {wrong}")
    assert wrong == {}


@pytest.fixture(scope="module")
def chores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChoreBench]:
    folder = tmp_path_factory.mktemp("chores")
    with store("sqlite", None, folder, "nth") as made:
        yield ChoreBench(made, folder)


@pytest.mark.parametrize("name", CHORES)
@pytest.mark.slow
def test_a_chore_that_one_statement_fails_is_done_by_the_next_attempt(chores: ChoreBench, name: str) -> None:
    chores.take(name)
    assert chores.reference.findings == [] and len(chores.reference.calls) > 20
    ways = list(chores.ways())
    found = {way: chores.trial(*way) for way in ways[len(name) :: len(ways) // 4 - 1]}
    assert {way: told.findings for way, told in found.items() if told.findings} == {}
    assert "ok" not in {told.status for told in found.values()}


@pytest.mark.slow
def test_a_chore_that_ends_otherwise_is_noticed(chores: ChoreBench) -> None:
    chores.take("prune")
    chores.reference.facts["video_jobs"].pop()
    assert "too many" in chores.trial(3, "kill").findings[0]
    assert chores.trial(len(chores.reference.calls) + 9, "busy").status == "ok"


@pytest.mark.parametrize("name", list(SCENARIOS)[:1])
def test_a_way_strikes_exactly_once(bench: Bench, name: str) -> None:
    bench.take(name)
    calls = bench.reference.calls
    assert {"http", "database"} == set(calls) and len(calls) > 20
    assert bench.trial(len(calls) + 50, "busy").status == "ok"  # nothing is there to be struck
    assert bench.trial(0, "kill").status == "killed"
    assert bench.trial(calls.index("http"), "503").status == "ok"  # retried
    assert bench.trial(len(calls) - 1, "full").status == "failed"


@pytest.mark.parametrize("name", ["reconcile, refused", "reconcile, accepted"])
def test_what_a_killed_scan_stored_is_no_ground_to_judge_the_next_one_by(bench: Bench, name: str) -> None:
    bench.take(name)
    calls = len(bench.reference.calls)
    for at in (calls // 2, calls * 3 // 4):
        assert bench.trial(at, "kill").findings == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM video_jobs WHERE job_id LIKE 'video_0003%'", "not stored"),
        ("DELETE FROM video_job_versions WHERE job_id LIKE 'video_0003%'", "first versions"),
        ("UPDATE sync_runs SET status = 'running'", "left open"),
        ("UPDATE video_jobs SET list_position = -list_position", "another order"),
    ],
)
def test_damage_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch, damage: str, said: str) -> None:
    bench.take("tick, nothing new")
    status = Bench._status
    runs: list[str] = []

    def spoilt(self: Bench, process: object) -> str:
        runs.append(status(self, process))  # type: ignore[arg-type]
        if len(runs) == 2:
            with self.engine.begin() as conn:
                conn.execute(sa.text(damage))
        return runs[-1]

    monkeypatch.setattr(Bench, "_status", spoilt)
    assert any(said in finding for finding in bench.trial(0, "busy").findings)
