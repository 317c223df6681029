"""The database restarts, forgets, or goes away for good while a run is at work."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import etl.pipeline.run
from etl.errors import StorageError
from etl.load import worker_name
from etl.load.source_health import release_all
from etl.observer import Silent
from etl.records import Counts, RunResult
from etl.simulator import World
from tests.reliability.proxy import Proxy
from tests.support.databases import Server
from tests.support.rig import Rig, rig


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etl.pipeline.run, "PAGES_PER_BATCH", 2)
    monkeypatch.setattr(etl.pipeline.run, "SECONDS_PER_BATCH", 3600.0)


class After(Silent):
    """Does something after each of these commits, counted from 1."""

    def __init__(self, **acts: Callable[[], object]) -> None:
        self.acts = {int(number.removeprefix("commit_")): act for number, act in acts.items()}
        self.commits = 0

    def advanced(self, source: str, counts: Counts, seconds: float) -> None:
        self.commits += 1
        self.acts.get(self.commits, lambda: None)()


def right_in_the_end(told: Rig, result: RunResult) -> None:
    """The run succeeded, or said why not and the next one did; either way everything is there, once."""
    if result.status != "ok":
        assert isinstance(result.error, StorageError) and result.error.hint, result
        assert "Traceback" not in str(result.error)
        told.ok()
    told.assert_equals_gateway()
    told.assert_accounts()
    assert len(told.jobs()) == told.world.created_count()
    assert [run["status"] for run in told.rows("sync_runs")][-1] == "ok"
    assert "running" not in {run["status"] for run in told.rows("sync_runs")}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_the_server_is_killed_in_mid_run_and_comes_back(
    database: str, request: pytest.FixtureRequest, engine_url: str
) -> None:
    """The test's servers confirm commits before they are safe, as many a replicated one does."""
    server: Server = request.getfixturevalue("postgres" if database == "postgresql" else "mariadb")

    def crash() -> None:
        server.kill()
        server.start()

    with rig(World(seed=91, jobs=2500, rate=60), engine_url) as told:
        hook = After(commit_3=crash)
        [result] = told.app.sync(progress=hook)
        assert hook.commits >= 3
        right_in_the_end(told, result)


def test_a_database_that_forgets_a_commit_is_not_built_upon(tmp_path: Path) -> None:
    """A failover to a standby that lagged: what was confirmed is gone, and the run still has its cursor."""
    path = tmp_path / "etl.db"
    with rig(World(seed=92, jobs=2500, rate=0), f"sqlite:///{path}") as told:
        hook = After(
            commit_3=lambda: _copy(path, tmp_path / "standby.db"),
            commit_4=lambda: _copy(tmp_path / "standby.db", path),
        )
        [result] = told.app.sync(progress=hook)
        assert result.status == "failed" and "confirmed" in str(result.error), result
        [run] = told.rows("sync_runs")
        assert (run["status"], run["error_class"]) == ("failed", "CommitLost")
        right_in_the_end(told, result)


class Impatience(threading.Event):
    """A stop that is asked for when the run waits for the third time. No wait takes any time."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        if self.waits == 3:
            self.set()
        return super().wait(0)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_stop_while_the_database_is_away_is_a_stop(engine_url: str, postgres: Server) -> None:
    world = World(seed=93, jobs=2500, rate=0)
    with Proxy(postgres.port) as proxy, rig(world, proxy.url(engine_url)) as cut:
        cut.app.worker._sleep = None  # waits end with the stop, as in the command
        [result] = cut.app.sync(progress=After(commit_2=proxy.close), stop=Impatience())
        assert (result.status, result.error) == ("interrupted", None), result
    with rig(world, engine_url) as told:
        release_all(told.app.engine, worker_name().rpartition(":")[0])  # as the end of its process does
        told.ok()
        told.assert_equals_gateway()
        told.assert_accounts()
        assert [run["status"] for run in told.rows("sync_runs")] == ["interrupted", "ok"]


def _copy(here: Path, there: Path) -> None:
    with closing(sqlite3.connect(here)) as source, closing(sqlite3.connect(there)) as target:
        source.backup(target)
