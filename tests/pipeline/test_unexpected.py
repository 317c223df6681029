"""An exception that nobody foresaw, wherever it comes from, is a failed run like any other: recorded and
counted, with the lease free and its traceback in the log; and the next run goes on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import structlog

from etl import log
from etl.load import Store, batch_writer, placing, store
from etl.load.source_health import read_health
from etl.pipeline import both_ends, incremental, newest_first
from etl.simulator import World
from tests.support.rig import Rig, rig


class Oops(Exception):
    """Not one of ours."""


def broken(*_: Any, **__: Any) -> Any:
    raise Oops("a library changed its mind")


#: What breaks: the look at the state, the walk, a batch with pages, every transaction.
PLACES: dict[str, tuple[Any, str]] = {
    "open": (store, "read_state"),
    "walk": (incremental, "_believable"),
    "batch": (placing, "_find_places"),
    "every commit": (batch_writer, "advance_frontier"),
}


def assert_recorded(r: Rig, caplog: pytest.LogCaptureFixture, failures: int) -> None:
    run = r.rows("sync_runs")[-1]
    assert (run["status"], run["error_class"]) == ("failed", "Oops"), run
    assert run["error_message"] == "a library changed its mind"
    assert run["finished_at"] is not None
    health = read_health(r.app.engine, "main", r.now())
    assert health is not None
    assert (health.failures, health.holder, health.last_status) == (failures, None, "failed")
    assert sum("run_broke" in each.getMessage() for each in caplog.records) == failures


@pytest.mark.parametrize("place", PLACES)
def test_a_tick_that_breaks_is_a_failed_run(
    migrated_url: str, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    world = World(seed=61, jobs=30, rate=60)
    with rig(world, migrated_url) as r:
        r.ok()
        for failures in (1, 2):
            world.advance(600)
            with monkeypatch.context() as patch:
                patch.setattr(*PLACES[place], broken)
                result = r.sync()
            assert (result.status, type(result.error)) == ("failed", Oops)
            assert result.run_id == r.rows("sync_runs")[-1]["id"]
            assert_recorded(r, caplog, failures)
        r.ok()
        r.assert_equals_gateway()
        r.assert_accounts()
        assert [run["status"] for run in r.rows("sync_runs")] == ["ok", "failed", "failed", "ok"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("where", "name", "order"),
    [(both_ends.BothEnds, "_old_has_met", "auto"), (newest_first.Descent, "nears_end", "desc")],
)
def test_a_readers_thread_that_breaks_ends_the_run(
    migrated_url: str, where: Any, name: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(World(seed=62, jobs=300, rate=0), migrated_url, settings={"order": order}) as r:
        with monkeypatch.context() as patch:
            patch.setattr(where, name, broken)
            assert type(r.sync().error) is Oops
        assert r.rows("sync_runs")[-1]["error_class"] == "Oops"
        r.ok()
        r.assert_equals_gateway()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_its_traceback_is_logged(migrated_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with rig(World(seed=64, jobs=3, rate=0), migrated_url) as r, (tmp_path / "log").open("w+") as told:
        monkeypatch.setattr(incremental, "_believable", broken)
        handlers, level = logging.root.handlers[:], logging.root.level
        log.set_up_logging("error", "json", log.Redactor(["changed its mind"]), told)
        try:
            r.ok()
            r.sync()
        finally:
            logging.root.handlers[:], logging.root.level = handlers, level
            logging.captureWarnings(False)
            structlog.reset_defaults()
            monkeypatch.setattr(log, "_threshold", None)
        told.seek(0)
        (line,) = told.read().splitlines()
        assert "Traceback (most recent call last)" in line and "test_unexpected.py" in line
        assert "changed its mind" not in line


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_one_that_breaks_before_its_store_is_counted_too(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(World(seed=63, jobs=3, rate=0), migrated_url) as r:
        r.ok()
        monkeypatch.setattr(Store, "__init__", broken)
        assert type(r.sync().error) is Oops
        health = read_health(r.app.engine, "main", r.now())
        assert health is not None and health.failures == 1
