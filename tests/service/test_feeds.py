"""The feed inside the service: it delivers by itself, and nothing waits for it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl.simulator import Simulator, World
from tests.support.command import Command
from tests.support.feed_history import open_engine
from tests.support.reading_back import assert_equal
from tests.support.running import TOKEN, Service, configure, source, until

pytestmark = pytest.mark.slow


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(World(seed=5, jobs=300, start=time.time(), rate=60.0), token=TOKEN) as running:
        yield running


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'etl.db'}"


def files(folder: Path, name: str = "lake", **settings: Any) -> dict[str, Any]:
    return {"name": name, "type": "filesystem", "url": f"file://{folder}/filesystem", **settings}


def hanging(silent: socket.socket) -> dict[str, Any]:
    """A store that takes a question and never answers."""
    patience = {"request_timeout": 600, "connect_timeout": 600, "scheme": "http", "region": "x"}
    host, port = silent.getsockname()
    keys = {"access_key": "a", "secret_key": "canary-90a1", "endpoint_override": f"{host}:{port}"}
    return {"name": "stuck", "type": "filesystem", "url": "s3://b", "every": "1s", "options": patience | keys}


def stop(service: Service) -> None:
    service.signal(signal.SIGTERM)
    assert service.wait() == 0, service.output


def test_it_delivers_after_each_sync(tmp_path: Path, url: str, sim: Simulator):
    configure(tmp_path, url, [source(sim)], feed={"destinations": [files(tmp_path, after_sync=True)]})
    with Service(tmp_path) as service:
        until(lambda: len(service.events("feed_finished", status="ok")) > 2, "deliveries")
        assert service.metric("feed_deliveries_total", destination="lake", status="ok") > 2
        assert service.metric("feed_rows_total", destination="lake", table="video_job_versions") >= 300
        assert service.metric("feed_lag_seconds", destination="lake", source="main") is not None
        assert service.metric("feed_pending_changes", destination="lake", source="main") is not None
        assert service.metric("feed_last_success_age_seconds", destination="lake") < 60
        stop(service)
    assert service.events("service_stopped", orderly=True)
    assert Command(tmp_path)("feed").code == 0
    engine = open_engine(url)
    assert_equal(engine, "filesystem", tmp_path)
    engine.dispose()


def test_a_destination_that_hangs_holds_up_nothing(tmp_path: Path, url: str, sim: Simulator):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        destinations = [hanging(silent), files(tmp_path, every="500ms")]
        configure(
            tmp_path,
            url,
            [source(sim)],
            service={"shutdown_timeout": "15s"},  # enough for what does not hang, on a busy machine too
            feed={"destinations": destinations},
        )
        with Service(tmp_path) as service:
            asked, _ = silent.accept()
            seen = len(service.events("run_finished"))
            until(lambda: len(service.events("run_finished")) > seen + 2, "syncs")
            until(lambda: len(service.events("feed_finished", destination="lake")) > 2, "deliveries")
            stop(service)
        asked.close()
    assert service.events("feed_killed", destination="stuck")
    assert service.events("service_stopped", orderly=True)
    assert "canary-90a1" not in service.output


def test_a_failing_destination_is_told_and_recovers(tmp_path: Path, url: str, sim: Simulator):
    (tmp_path / "filesystem").write_text("in the way")
    configure(tmp_path, url, [source(sim)], feed={"destinations": [files(tmp_path, every="200ms")]})
    with Service(tmp_path) as service:
        until(lambda: (service.metric("feed_consecutive_failures", destination="lake") or 0) >= 2, "failures")
        failed = service.events("feed_failed", destination="lake")[0]
        assert failed["message"] and failed["error"] == "EtlError"
        (tmp_path / "filesystem").unlink()
        service.event("feed_finished", destination="lake", status="ok")
        until(lambda: service.metric("feed_consecutive_failures", destination="lake") == 0, "recovery")
        stop(service)


def test_reload_changes_destinations(tmp_path: Path, url: str, sim: Simulator):
    old, new = files(tmp_path / "a", "old", every="300ms"), files(tmp_path / "b", "new", after_sync=True)
    configure(tmp_path, url, [source(sim)], feed={"destinations": [old]})
    with Service(tmp_path) as service:
        service.event("feed_finished", destination="old", status="ok")
        configure(tmp_path, url, [source(sim)], feed={"destinations": [new]})
        service.signal(signal.SIGHUP)
        service.event("feed_finished", destination="new", status="ok")
        ended = len(service.events("feed_finished", destination="old"))
        seen = len(service.events("feed_finished", destination="new"))
        until(lambda: len(service.events("feed_finished", destination="new")) > seen, "more of them")
        assert len(service.events("feed_finished", destination="old")) <= ended + 1, "one was under way"
        stop(service)


def test_a_killed_service_leaves_no_delivery_behind(tmp_path: Path, url: str, sim: Simulator):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure(tmp_path, url, [source(sim)], feed={"destinations": [hanging(silent)]})
        with Service(tmp_path) as service:
            asked, _ = silent.accept()
            children = _children(service)
            assert children
            service.signal(signal.SIGKILL)
            service.wait()
        until(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in children), "their end")
        asked.close()


def test_a_round_delivers_too(tmp_path: Path, url: str, sim: Simulator):
    by_hand = files(tmp_path / "b", "by-hand")
    night = files(tmp_path, cron="0 3 * * *")
    configure(tmp_path, url, [source(sim)], feed={"destinations": [night, by_hand]})
    once = Command(tmp_path)("run", "--once", "--json")
    assert once.code == 0, once.err
    [delivered] = once.json["destinations"]
    assert (delivered["destination"], delivered["status"]) == ("lake", "ok")
    engine = open_engine(url)
    assert_equal(engine, "filesystem", tmp_path)
    engine.dispose()
    (tmp_path / "filesystem" / "sync_runs" / "000000000001.parquet").write_text("broken")
    assert Command(tmp_path)("run", "--once").code == 3


def _children(service: Service) -> list[int]:
    assert service.process is not None
    tasks = Path(f"/proc/{service.process.pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
