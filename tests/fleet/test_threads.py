"""Many sources in one process: bounded, in turn, and a sick one holds up nobody."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl.app import App
from etl.observer import Silent
from etl.records import RunResult
from etl.worker import Worker
from tests.support.cluster import until


class Crowd(Silent):
    """How many run at once, and in which order they end."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.ended: list[str] = []
        self._lock = threading.Lock()

    def started(self, source: str, kind: str) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def finished(self, result: RunResult) -> None:
        with self._lock:
            self.now -= 1
            self.ended.append(result.source)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_bounded_crowd_with_a_sick_one(database_url: str, gateways: Any) -> None:
    fleet = gateways(40, jobs=30)
    crowd, opened, stop = Crowd(), [], threading.Event()
    fleet.sims[0].fault("stall")
    config = fleet.config(database_url, parallel=8, max_retry_time=0.0)
    with App(config) as app:
        sa.event.listen(app.engine, "connect", lambda *_: opened.append(1))
        ended: list[RunResult] = []
        thread = threading.Thread(target=lambda: ended.extend(app.sync(progress=crowd, stop=stop)))
        thread.start()
        until(lambda: len(crowd.ended) == 39, "the healthy ones")
        stop.set()
        thread.join()
    assert [result.status for result in ended] == ["interrupted"] + ["ok"] * 39
    assert crowd.most <= 8 and len(opened) <= 8 + 3
    assert crowd.ended[-1] == "s0"


def test_a_defect_in_one_source_is_its_result(
    tmp_path: Path, gateways: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    config = gateways(3, jobs=5).config(f"sqlite:///{tmp_path}/etl.db")
    whole = Worker.run

    def broken(self: App, source: Any, *args: Any, **more: Any) -> RunResult:
        if source.name == "s1":
            raise KeyError("a defect")
        return whole(self, source, *args, **more)

    monkeypatch.setattr(Worker, "run", broken)
    with App(config) as app:
        results = app.sync()
    assert [result.status for result in results] == ["ok", "failed", "ok"]
    assert isinstance(results[1].error, KeyError)
