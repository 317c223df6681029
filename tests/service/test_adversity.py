"""A database that goes away and comes back, and a process that freezes and wakes up late."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from etl.db.engine import make_engine
from etl.simulator import Simulator, World
from tests.conftest import unavailable
from tests.support.command import Command
from tests.support.databases import Missing, postgres_server
from tests.support.letterbox import letterbox
from tests.support.running import TOKEN, Service, configure, pass_leases, source, until

pytestmark = pytest.mark.slow


def test_the_database_goes_away_and_comes_back(tmp_path: Path):
    try:
        with postgres_server() as postgres, Simulator(World(jobs=300), token=TOKEN) as sim:
            configure(tmp_path, postgres.create("etl"), [source(sim)])
            with Service(tmp_path) as service:
                until(lambda: service.get("/readyz")[0] == 200, "ready")
                postgres.kill()
                code, body = service.get("/readyz")
                assert (code, '"problem":null' in body) == (503, False)
                assert service.get("/healthz")[0] == 200
                until(lambda: service.metric("database_up") == 0, "the metric")
                postgres.start()
                until(lambda: service.get("/readyz")[0] == 200, "ready again")
                seen = len(service.events("run_finished", status="ok"))
                until(lambda: len(service.events("run_finished", status="ok")) > seen + 1, "runs again")
                service.signal(signal.SIGTERM)
                assert service.wait() == 0, service.output
                assert not service.events("tick_failed")
    except Missing as missing:
        unavailable(str(missing))


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_people_hear_of_a_database_that_is_away(tmp_path: Path):
    """What is told when the place of all knowledge is what broke: failures and staleness, then recovery."""
    try:
        with (
            postgres_server() as postgres,
            letterbox() as (port, received),
            Simulator(World(jobs=30), token=TOKEN) as sim,
        ):
            notify = {"urls": [f"json://127.0.0.1:{port}/"], "max_age": "2s"}
            configure(tmp_path, postgres.create("etl"), [source(sim)], lease={"seconds": "5s"}, notify=notify)
            with Service(tmp_path) as service:
                service.event("run_finished", status="ok")
                postgres.kill()
                titles = lambda: {message["title"] for message in received}  # noqa: E731
                away = "bifrost-etl failure: the database does not answer: 3 runs in a row failed"
                until(lambda: away in titles(), "the failure")
                until(lambda: "bifrost-etl warning: main is stale" in titles(), "the staleness")
                postgres.start()
                until(lambda: "bifrost-etl recovery: the database answers again" in titles(), "the recovery")
                until(lambda: "bifrost-etl recovery: main is fresh again" in titles(), "freshness")
                service.signal(signal.SIGTERM)
                assert service.wait() == 0, service.output
    except Missing as missing:
        unavailable(str(missing))


def test_a_service_may_start_before_its_database(tmp_path: Path):
    try:
        with postgres_server() as postgres, Simulator(World(jobs=300), token=TOKEN) as sim:
            url = postgres.create("etl")
            postgres.stop()
            configure(tmp_path, url, [source(sim)])
            with Service(tmp_path) as service:
                assert service.events("database_away")
                assert service.get("/readyz")[0] == 503
                postgres.start()
                service.event("run_finished", kind="first", status="ok")
    except Missing as missing:
        unavailable(str(missing))


def test_a_frozen_process_writes_nothing_when_it_wakes(tmp_path: Path):
    """On a server, which ends a frozen transaction; SQLite's lock would stay with the frozen process."""
    try:
        with postgres_server() as postgres, Simulator(World(jobs=30_000), token=TOKEN, latency=0.03) as slow:
            url, lease = postgres.create("etl"), {"seconds": "1h"}
            configure(tmp_path, url, [source(slow, schedule={"every": "1h"})], lease=lease)
            _freeze(tmp_path, slow, url)
            [status] = Command(tmp_path)("status", "--json").json["sources"]
            assert (status["jobs"], status["failures"]) == (slow.world.created_count(), 0)
    except Missing as missing:
        unavailable(str(missing))


def _freeze(folder: Path, slow: Simulator, url: str) -> None:
    with Service(folder, name="frozen") as frozen:
        until(lambda: len(slow.requests) > 30, "it loads")
        frozen.signal(signal.SIGSTOP)
        engine = make_engine(url)
        pass_leases(engine)
        engine.dispose()
        with Service(folder, name="other") as other:
            slow.gateway.latency = 0.0
            other.event("takeover", source="main")
            other.event("run_finished", kind="first", status="ok")
            frozen.signal(signal.SIGCONT)
            frozen.event("run_finished", status="skipped", why="LeaseLost", kind="first")
            for service in (frozen, other):
                service.signal(signal.SIGTERM)
                assert service.wait() == 0, service.output
