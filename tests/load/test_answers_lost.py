"""A commit whose answer never comes, not even when it is tried again: the run learns later what was done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

import etl.load.store
import etl.pipeline.run
from etl.db.engine import write_transaction
from etl.errors import DatabaseRefused, DatabaseUnavailable
from etl.simulator import World
from tests.support.rig import rig


class Answers:
    """Loses the answer to the n-th commit (from 1), and refuses the `refused` next transactions."""

    def __init__(self, lost: int, refused: int) -> None:
        self.done, self.lost, self.refused = 0, lost, refused

    @contextmanager
    def write_transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        self.done += 1
        if self.lost < self.done <= self.lost + self.refused:
            raise DatabaseRefused("the disk is full")
        with write_transaction(engine) as conn:
            yield conn
        if self.done == self.lost:
            raise DatabaseUnavailable("the answer was lost")


@pytest.mark.parametrize("refused", [0, 1, 2])
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_run_whose_commit_was_done_unheard_stays_one_run(
    lost: int, refused: int, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`refused`: the commit that ends the run, and the one without its batch; then the run is abandoned."""
    monkeypatch.setattr(etl.load.store, "RETRY_WAITS", ())
    monkeypatch.setattr(etl.load.store.Store, "_gather_statistics", lambda store: None)  # of no run's commits
    monkeypatch.setattr(etl.pipeline.run, "PAGES_PER_BATCH", 2)
    answers = Answers(lost, refused)
    with rig(World(seed=71, jobs=300), engine_url, settings={"page_size": 25, "first_load_lanes": 1}) as told:
        monkeypatch.setattr(etl.load.store, "write_transaction", answers.write_transaction)
        assert told.sync().status == "failed"
        (run,) = told.rows("sync_runs")
        assert run["status"] == "failed" and run["error_class"].startswith("Database")
        assert run["jobs_seen"] == sum(page["items"] for page in told.rows("list_pages"))
        monkeypatch.undo()
        told.ok()
        assert [row["status"] for row in told.rows("sync_runs")] == ["failed", "ok"]
        told.assert_equals_gateway()
        told.assert_accounts()
