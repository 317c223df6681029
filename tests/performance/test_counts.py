"""What a run costs in requests, statements, transactions and rows read, and that none of it grows.

Two histories, one ten times the other, on each database: loaded, synced again, reconciled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from etl.pipeline import run
from etl.records import RunResult
from etl.simulator import World
from tests.conftest import DATABASES
from tests.performance.counting import Counter, counting, transactions
from tests.support.databases import Server
from tests.support.rig import Rig, rig

pytestmark = pytest.mark.slow

SMALL, LARGE = 100, 1000
PAGE, PAGES_PER_BATCH = 10, 10


class Cost(NamedTuple):
    """Of one run. `commits` are the transactions that wrote, each as the statements in it."""

    requests: int
    pages: int
    statements: int
    commits: list[list[str]]
    effort: int

    @property
    def batches(self) -> list[list[str]]:
        """The transactions that store pages."""
        return [commit for commit in self.commits if any(_writes(s, "list_pages") for s in commit)]


class Costs(NamedTuple):
    """Of the first sync, of a sync with nothing new, and of a reconcile."""

    first: Cost
    tick: Cost
    reconcile: Cost


Measured = dict[int, Costs]


@pytest.fixture(scope="module", params=DATABASES)
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    kind: str = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "PAGES_PER_BATCH", PAGES_PER_BATCH)
        patch.setattr(run, "SECONDS_PER_BATCH", 3600.0)  # only pages fill a batch
        found = {}
        for jobs in (SMALL, LARGE):
            if kind == "sqlite":
                url = f"sqlite:///{tmp_path_factory.mktemp(kind) / 'etl.db'}"
                found[jobs] = _measure(kind, request, url, jobs)
                continue
            server: Server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
            found[jobs] = _measure(kind, request, server.create(f"counts{jobs}"), jobs)
            server.drop(f"counts{jobs}")
        yield found


def _measure(kind: str, request: pytest.FixtureRequest, url: str, jobs: int) -> Costs:
    world = World(seed=61, jobs=jobs, rate=0)
    world.advance(30 * 86400)  # everything is settled
    settings = {"page_size": PAGE, "concurrency": 1, "first_load_lanes": 1}
    with rig(world, url, settings=settings) as r, counting(r.app.engine, kind, request) as counter:
        return Costs(*[_cost(r, counter, do) for do in (r.sync, r.sync, r.reconcile)])


def _cost(r: Rig, counter: Counter, do: Callable[[], RunResult]) -> Cost:
    asked, effort, requests = len(counter.statements()), counter.effort(), len(r.sim.requests)
    result = do()
    assert result.status == "ok", result
    effort = counter.effort() - effort
    statements = counter.statements()[asked:]
    commits = transactions(statements)
    requests = len(r.sim.requests) - requests
    return Cost(requests, result.counts.pages, len(statements), commits, effort)


def test_a_quiet_tick_is_one_request_and_one_small_write(measured: Measured) -> None:
    for costs in measured.values():
        tick = costs.tick
        assert (tick.requests, len(tick.commits), len(tick.batches)) == (1, 1, 1)
        assert len(tick.commits[0]) <= 10, tick.commits[0]
        assert tick.statements <= 29
        assert not any(_writes(s, "video_job") for s in tick.commits[0])


def test_a_quiet_tick_costs_the_same_with_ten_times_the_history(measured: Measured) -> None:
    small, large = measured[SMALL].tick, measured[LARGE].tick
    assert (large.requests, large.statements) == (small.requests, small.statements)
    assert large.effort <= 1.2 * small.effort


def test_a_first_load_commits_once_per_batch_of_pages(measured: Measured) -> None:
    for jobs, costs in measured.items():
        pages = jobs // PAGE
        full = -(-pages // PAGES_PER_BATCH)
        assert costs.first.requests <= pages + 2
        # One more for the newest page, which is to be seen at once; one for what is left at the end.
        assert full <= len(costs.first.batches) <= full + 2


def test_a_batch_takes_a_fixed_number_of_statements(measured: Measured) -> None:
    small, large = (max(map(len, measured[jobs].first.batches)) for jobs in (SMALL, LARGE))
    assert large <= small <= 18
    small, large = (max(map(len, measured[jobs].reconcile.batches)) for jobs in (SMALL, LARGE))
    assert large <= small <= 18


def test_a_first_load_looks_up_the_first_and_last_jobs_only(measured: Measured) -> None:
    small, large = (
        sum(
            s.startswith("SELECT job_id, content_hash")
            for batch in measured[jobs].first.batches
            for s in batch
        )
        for jobs in (SMALL, LARGE)
    )
    assert large <= small <= 4


def test_a_batch_s_reading_does_not_grow_with_what_is_stored(measured: Measured) -> None:
    small, large = (measured[jobs].first for jobs in (SMALL, LARGE))
    assert large.effort / large.pages <= 1.2 * max(small.effort / small.pages, 5 * PAGE)


def test_a_reconcile_reads_each_page_s_rows_a_few_times(
    measured: Measured, request: pytest.FixtureRequest
) -> None:
    small, large = (measured[jobs].reconcile for jobs in (SMALL, LARGE))
    assert large.requests <= LARGE // PAGE + 2
    assert large.effort / large.pages <= 1.2 * small.effort / small.pages
    if "sqlite" not in request.node.name:  # which counts steps, not rows
        assert large.effort / large.pages <= 5 * PAGE


def test_a_reconcile_of_an_unchanged_history_writes_no_job(measured: Measured) -> None:
    for costs in measured.values():
        assert len(costs.reconcile.batches) <= -(-costs.reconcile.pages // PAGES_PER_BATCH) + 1
        assert not any(_writes(s, "video_job") for commit in costs.reconcile.commits for s in commit)


def _writes(statement: str, table: str) -> bool:
    return statement.replace(" OR FAIL", "").startswith(
        (f"INSERT INTO {table}", f"UPDATE {table}", f"DELETE FROM {table}", f"COPY {table}")
    )
