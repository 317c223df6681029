"""What the gateway's own answers said, against what readers find in each destination after maintenance.

Expected rows are made of the bodies that the simulated gateway sent, with nothing of the mirror or the feed.
Deliveries are killed amid maintenance (`kill -9`) on the way.
"""

from __future__ import annotations

import json
import random
import signal
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from etl.config import Destination, SecretUrl
from etl.feed import delivery
from etl.simulator import World
from tests.feed.test_disturbed import readings
from tests.feed.test_kills import feeder
from tests.support.reading_back import destination
from tests.support.rig import Rig, rig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
FIELDS = ("status", "model", "prompt", "seconds", "created_at", "completed_at", "expires_at", "error_code")
History = dict[str, list[tuple[Any, ...]]]
TICKS, KILLS = 14, 5


def record_bodies(r: Rig) -> list[bytes]:
    bodies: list[bytes] = []
    handle = r.sim.gateway.handle

    def recorded(request: Any) -> Any:
        response = handle(request)
        if request.path.startswith("/v1/videos") and response.status == 200:
            bodies.append(response.body)
        return response

    r.sim.gateway.handle = recorded
    return bodies


def history_of(bodies: list[bytes]) -> History:
    """Of each job what it was, one after the other. A change of progress alone is none."""
    found: History = defaultdict(list)
    for body in bodies:
        page = json.loads(body)
        for job in page.get("data", [page]):
            said = _fields_of(job)
            if found[job["id"]][-1:] != [said]:
                found[job["id"]].append(said)
    return dict(found)


def _fields_of(job: dict[str, Any]) -> tuple[Any, ...]:
    seconds = float(job["seconds"]) if job.get("seconds") else None
    moments = [job.get(name) for name in ("created_at", "completed_at", "expires_at")]
    times = [datetime.fromtimestamp(at, UTC) if at else None for at in moments]
    code = (job.get("error") or {}).get("code") or None
    return (job["status"], job.get("model"), job.get("prompt") or None, seconds, *times, code)


def history_read(rows: list[dict[str, Any]]) -> History:
    found: History = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["job_id"], row["version"])):
        values = (row[name] for name in FIELDS)
        found[row["job_id"]].append(
            tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in values)
        )
    return dict(found)


def run_ticks(r: Rig, deliver: Callable[[int], None]) -> History:
    bodies = record_bodies(r)
    for tick in range(TICKS):
        r.world.advance(400)
        r.ok()
        deliver(tick)
    expected = history_of(bodies)
    assert len(expected) > 150 and sum(map(len, expected.values())) > len(expected) + 20
    return expected


def watched_world() -> World:
    return World(seed=7, jobs=150, rate=90.0, gap=20.0, deletions=0.0, failures=0.2)


@pytest.mark.parametrize("kind", ["filesystem", "duckdb", "delta", "iceberg"])
def test_readers_find_what_the_gateway_said(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")  # its own one is another package
    rng, killed, url = random.Random(kind), 0, f"sqlite:///{tmp_path}/etl.db"
    with rig(watched_world(), url) as r:
        target = destination(kind, tmp_path).url
        lake = Destination(name="target", type=kind, url=target, keep_replaced=0.001)  # type: ignore[arg-type]

        def deliver(tick: int) -> None:
            nonlocal killed
            if kind in ("delta", "iceberg") and tick >= TICKS - KILLS:
                done = feeder(
                    url, kind, tmp_path, rng.randint(1, 400 if kind == "delta" else 4_000), "upkeep"
                )
                assert done.returncode in (0, -signal.SIGKILL), done.stderr
                killed += done.returncode != 0
            else:
                assert delivery.deliver_to_one(r.app.engine, lake).status == "ok"

        expected = run_ticks(r, deliver)
        assert kind in ("filesystem", "duckdb") or killed >= 2
        for _ in range(3):  # the last one has nothing new, and brings what is there to rest
            assert delivery.deliver_to_one(r.app.engine, lake).status == "ok"
    newest = {job: [states[-1]] for job, states in expected.items()}
    for reader, read in readings(kind, tmp_path):
        assert history_read(read("video_job_versions").to_pylist()) == expected, reader
        if kind != "filesystem":
            assert history_read(read("video_jobs").to_pylist()) == newest, reader


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_lakes_of_a_server_hold_what_the_gateway_said(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind of destination from one mirror, through the types of its driver."""
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    lakes = [destination(kind, tmp_path) for kind in ("filesystem", "duckdb", "delta", "iceberg")]
    with rig(watched_world(), database_url) as r:

        def deliver(tick: int) -> None:
            if tick % 4 == 1:
                for lake in lakes:
                    assert delivery.deliver_to_one(r.app.engine, lake).status == "ok", lake.type

        expected = run_ticks(r, deliver)
    newest = {job: [states[-1]] for job, states in expected.items()}
    for lake in lakes:
        for reader, read in readings(lake.type, tmp_path):
            assert history_read(read("video_job_versions").to_pylist()) == expected, reader
            if lake.type != "filesystem":
                assert history_read(read("video_jobs").to_pylist()) == newest, reader


def test_psycopg_finds_what_the_gateway_said(tmp_path: Path, postgres: Any) -> None:
    place = postgres.create("against_pages")
    with rig(watched_world(), f"sqlite:///{tmp_path}/etl.db") as r:
        target = Destination(name="target", type="postgres", url=SecretUrl(place))

        def deliver(tick: int) -> None:
            if tick % 5 == 4:
                assert delivery.deliver_to_one(r.app.engine, target).status == "ok"

        expected = run_ticks(r, deliver)
        assert delivery.deliver_to_one(r.app.engine, target).status == "ok"
    newest = {job: [states[-1]] for job, states in expected.items()}
    with psycopg.connect(postgres.url("against_pages"), row_factory=psycopg.rows.dict_row) as conn:
        for table, wanted in (("video_job_versions", expected), ("video_jobs", newest)):
            rows = conn.execute(f"SELECT * FROM bifrost.{table}").fetchall()  # type: ignore[arg-type]
            assert history_read(rows) == wanted, table
    postgres.drop("against_pages")
