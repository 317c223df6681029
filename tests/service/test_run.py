"""The service as an operator runs it: a process, signals, files, HTTP."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.simulator import Simulator, World
from tests.support.command import Command, Done
from tests.support.running import TOKEN, Service, configure, source, until

pytestmark = pytest.mark.slow


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(World(seed=5, jobs=300, start=time.time(), rate=60.0), token=TOKEN) as running:
        yield running


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'etl.db'}"


def test_it_syncs_by_itself_and_stops_in_order(tmp_path: Path, url: str, sim: Simulator):
    plan = {"every": "500ms", "min_interval": "250ms", "reconcile": {"every": "2s"}}
    configure(tmp_path, url, [source(sim, schedule=plan)])
    with Service(tmp_path) as service:
        service.event("pace", source="main", seconds=0.25, open_jobs=True)
        service.event("run_finished", source="main", kind="first", status="ok")
        service.event("run_finished", source="main", kind="incremental", status="ok")
        service.event("run_finished", source="main", kind="reconcile", status="ok")
        assert service.get("/healthz") == (200, '{"status":"ok"}')
        assert service.get("/readyz")[0] == 200
        assert service.metric("runs_total", source="main", kind="first", status="ok") == 1
        assert service.metric("jobs_total", source="main", outcome="inserted") >= 300
        assert service.metric("request_seconds_count", source="main") >= 4
        assert service.metric("batch_seconds_count", source="main") >= 2
        until(lambda: service.metric("stored_jobs", source="main") == sim.world.created_count(), "all jobs")
        service.signal(signal.SIGTERM)
        assert service.wait() == 0, service.output
    assert service.events("service_stopped", orderly=True)
    assert TOKEN not in service.output
    runs = service.events("run_finished")
    assert all(run["source"] == "main" and run["run"] for run in runs)


def test_stop_in_the_middle_of_a_load(tmp_path: Path, url: str):
    with Simulator(World(jobs=20_000), token=TOKEN, latency=0.05) as slow:
        configure(tmp_path, url, [source(slow)])
        with Service(tmp_path) as service:
            until(lambda: len(slow.requests) > 15, "some pages")
            service.signal(signal.SIGINT)
            assert service.wait() == 0, service.output
        service.event("run_finished", status="interrupted")
    [status] = Command(tmp_path)("status", "--json").json["sources"]
    assert (status["last_run"]["status"], status["held_by"]) == ("interrupted", None)
    assert 0 < status["jobs"] < 20_000


def test_a_stuck_gateway_does_not_hold_up_the_stop(tmp_path: Path, url: str):
    with Simulator(World(jobs=20_000), token=TOKEN) as sim:
        configure(tmp_path, url, [source(sim, first_load_lanes=1)], service={"shutdown_timeout": "5s"})
        sim.fault("stall:skip=25")
        with Service(tmp_path) as service:
            until(lambda: len(sim.requests) > 25, "a request that hangs")
            service.signal(signal.SIGTERM)
            assert service.wait() == 0, service.output
        assert service.events("leaving_runs_behind")
    [status] = Command(tmp_path)("status", "--json").json["sources"]
    assert (status["last_run"]["status"], status["held_by"]) == ("interrupted", None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once(tmp_path: Path, url: str, number: signal.Signals):
    with Simulator(World(jobs=300), token=TOKEN, faults=["stall"]) as stuck:
        configure(tmp_path, url, [source(stuck)])
        with Service(tmp_path) as service:
            until(lambda: stuck.requests, "a request that hangs")
            service.signal(number)
            service.event("stopping")
            service.signal(number)
            assert service.wait() == 128 + number


def test_reload(tmp_path: Path, url: str, sim: Simulator):
    configure(tmp_path, url, [source(sim, "old"), source(sim, "kept")])
    with Service(tmp_path) as service:
        service.event("run_finished", source="old")
        service.event("run_finished", source="kept")
        good = (tmp_path / "bifrost-etl.yaml").read_text()
        (tmp_path / "bifrost-etl.yaml").write_text(good.replace('"every"', '"evry"'))
        service.signal(signal.SIGHUP)
        refused = service.event("reload_refused")
        assert "evry" in refused["error"] and "every" in refused["error"]
        seen = len(service.events("run_finished", source="old"))
        until(lambda: len(service.events("run_finished", source="old")) > seen + 1, "the old one goes on")

        configure(tmp_path, url, [source(sim, "kept"), source(sim, "new")])
        service.signal(signal.SIGHUP)
        assert service.event("reloaded")["sources"] == ["kept", "new"]
        service.event("run_finished", source="new", kind="first")
        ended = len(service.events("run_finished", source="old"))
        seen = len(service.events("run_finished", source="new"))
        until(lambda: len(service.events("run_finished", source="new")) > seen + 3, "some more ticks")
        assert len(service.events("run_finished", source="old")) <= ended + 1, "one may have been under way"
        assert set(service.ready()["sources"]) == {"kept", "new"}
        service.signal(signal.SIGTERM)
        assert service.wait() == 0


def test_a_refused_source_rests_until_its_settings_change(tmp_path: Path, url: str, sim: Simulator):
    with Simulator(World(jobs=5), token="another-one") as refusing:
        good, bad = source(sim, "good"), source(refusing, "bad")
        configure(tmp_path, url, [good, bad])
        with Service(tmp_path) as service:
            service.event("source_disabled", source="bad")
            service.event("tick_skipped", source="bad", reason="disabled")
            service.event("run_finished", source="good", kind="incremental")
            assert len(refusing.requests) == 3, "a key may be about to change; then nobody asks again"
            code, body = service.get("/readyz")
            assert code == 503
            assert "401" in json.loads(body)["sources"]["bad"]["problem"]
            assert json.loads(body)["sources"]["good"]["ready"]
            assert service.metric("disabled", source="bad") == 1
            assert "bad: disabled" in Command(tmp_path)("status").out
            # The service may be writing "good" at that very moment; then this round says so instead.
            once = until(lambda: _with_code(3, Command(tmp_path)("run", "--once", "--json")), "a round")
            results = {run["source"]: run for run in once.json["sources"]}
            assert "disabled" in results["bad"]["error"]["message"]

            configure(tmp_path, url, [good, {**bad, "api_key": "another-one"}])
            service.signal(signal.SIGHUP)
            service.event("run_finished", source="bad", status="ok")
            until(lambda: service.get("/readyz")[0] == 200, "ready again")
            until(lambda: service.metric("disabled", source="bad") == 0, "enabled again")
            service.signal(signal.SIGTERM)
            assert service.wait() == 0


def _with_code(code: int, done: Done) -> Done | None:
    return done if done.code == code else None


def test_a_manual_sync_brings_a_source_back(tmp_path: Path, url: str, sim: Simulator):
    sim.fault("unauthorized:times=3")
    configure(tmp_path, url, [source(sim)])
    with Service(tmp_path) as service:
        service.event("source_disabled", source="main")
        service.event("tick_skipped", source="main", reason="disabled")
        done = Command(tmp_path)("sync")
        assert done.code == 0, done.all
        service.event("run_finished", source="main", kind="incremental", status="ok")


def test_a_sick_source_delays_nobody(tmp_path: Path, url: str, sim: Simulator):
    with Simulator(World(jobs=300), token=TOKEN, faults=["stall"]) as stuck:
        configure(tmp_path, url, [source(stuck, "stuck"), source(sim, "well")])
        with Service(tmp_path) as service:
            until(lambda: stuck.requests, "a request that hangs")
            until(lambda: len(service.events("run_finished", source="well")) >= 5, "the other goes on")
            assert not service.events("run_finished", source="stuck")


def test_the_breaker_opens_and_closes(tmp_path: Path, url: str, sim: Simulator):
    fault = sim.fault("proxy_502")
    configure(tmp_path, url, [source(sim, max_attempts=1, schedule={"every": "300ms"})])
    with Service(tmp_path) as service:
        service.event("tick_skipped", reason="breaker")
        until(lambda: service.metric("breaker_open", source="main") == 1, "the breaker's metric")
        assert service.metric("consecutive_failures", source="main") >= 3
        assert fault.hits >= 3
        sim.clear_faults()
        service.event("run_finished", source="main", status="ok")
        until(lambda: service.metric("breaker_open", source="main") == 0, "closed again")


def test_two_services_share_and_one_takes_over(tmp_path: Path, url: str):
    with Simulator(World(jobs=30_000), token=TOKEN, latency=0.05) as slow:
        configure(tmp_path, url, [source(slow, schedule={"every": "1h"})], lease={"seconds": "30s"})
        with Service(tmp_path, name="one") as one, Service(tmp_path, name="two") as two:
            until(lambda: len(slow.requests) > 30, "one of them loads")
            holder = until(lambda: _holder(tmp_path), "a lease")
            killed, other = (one, two) if f":{one.process.pid}:" in holder else (two, one)
            until(lambda: _left_it(other), "the other one leaves it to the first")
            killed.process.kill()
            killed.wait()
            slow.gateway.latency = 0.0
            taken = other.event("takeover", source="main")
            assert taken["left_by"] == holder
            other.event("run_finished", kind="first", status="ok")
            other.signal(signal.SIGTERM)
            assert other.wait() == 0
    [status] = Command(tmp_path)("status", "--json").json["sources"]
    assert status["jobs"] == slow.world.created_count()


def _left_it(service: Service) -> bool:
    """It found the source held, or began at the same moment and lost."""
    held = service.events("tick_skipped", reason="held")
    return bool(held or service.events("run_finished", status="skipped"))


def _holder(folder: Path) -> str | None:
    holder: str | None = Command(folder)("status", "--json").json["sources"][0].get("held_by")
    return holder


def test_two_services_do_the_work_of_one(tmp_path: Path, url: str, sim: Simulator):
    configure(tmp_path, url, [source(sim, schedule={"every": "2s"})])
    with Service(tmp_path, name="one") as one, Service(tmp_path, name="two") as two:
        until(lambda: one.events("tick_skipped") or two.events("tick_skipped"), "one leaves it to the other")
        for service in (one, two):
            service.signal(signal.SIGTERM)
        assert (one.wait(), two.wait()) == (0, 0)
    assert not one.events("run_failed") + two.events("run_failed")


def test_once(tmp_path: Path, url: str, sim: Simulator):
    configure(tmp_path, url, [source(sim, schedule={"every": "1h", "reconcile": {"every": "1ms"}})])
    done = Command(tmp_path)("run", "--once", "--json")
    assert done.code == 0, done.all
    kinds = [run["kind"] for run in done.json["sources"]]
    assert kinds == ["first", "reconcile"]
    sim.fault("proxy_502")
    assert Command(tmp_path)("run", "--once").code == 1


def test_refuses_to_start(tmp_path: Path, url: str, sim: Simulator):
    command = Command(tmp_path)
    assert command("run").code == 2, "no source"
    configure(tmp_path, url, [source(sim)], service={"host": "0.0.0.0"})
    open_to_all = command("run")
    assert (open_to_all.code, "allow_remote" in open_to_all.err) == (2, True)
    configure(tmp_path, url, [source(sim)])
    assert command("run", "--json").code == 2
    with Service(tmp_path) as service:
        port = int(service.event("service_started")["url"].rpartition(":")[2])
        configure(tmp_path, url, [source(sim)], service={"port": port})
        taken = command("run")
        assert (taken.code, str(port) in taken.err) == (2, True)
