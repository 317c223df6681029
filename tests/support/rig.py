"""A source, a simulated gateway and a database, wired as the product wires them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from etl.app import App
from etl.config import Config, DatabaseConfig, LeaseConfig, Secret, SecretUrl, Source
from etl.records import RunResult
from etl.schema.tables import metadata
from etl.simulator import Simulator, World
from harness.truth import Tables, kept

TOKEN = "canary-7f3a9c51e2"


class Rig:
    """`sync()` and `reconcile()` return the one source's result; `rows(table)` reads a table as dicts."""

    def __init__(self, sim: Simulator, url: str, **settings: Any) -> None:
        self.sim, self.world, self.url = sim, sim.world, url
        defaults = {"name": "main", "provider": sim.world.provider, "api_key": Secret(TOKEN)}
        fast = {"max_backoff": 0.0, "max_attempts": 3, "retry_after_cap": 0.0, "passthrough": "never"}
        unasked = {"probe_accounts": False}  # one account answers, and requests are counted
        values = {**defaults, **fast, **unasked, "base_url": sim.base_url, **settings}
        self.source = Source(**values)
        self.config = Config(
            sources=(self.source,), database=DatabaseConfig(url=SecretUrl(url)), lease=LeaseConfig(seconds=60)
        )
        self.waits: list[float] = []
        self.app = App(self.config, clock=self.now, sleep=self.waits.append)

    def now(self) -> datetime:
        """Simulated time is also ours, so that ages mean something."""
        return datetime.fromtimestamp(self.world.now(), UTC) + timedelta(microseconds=len(self.sim.requests))

    def sync(self) -> RunResult:
        return self.app.sync()[0]

    def ok(self) -> RunResult:
        result = self.sync()
        if result.error is not None:
            raise result.error
        assert result.status == "ok", result
        return result

    def reconcile(self, *, accept_suspicious: bool = False) -> RunResult:
        return self.app.reconcile(accept_suspicious=accept_suspicious)[0]

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        columns = metadata.tables[table].c
        query = sa.select(metadata.tables[table]).where(*(columns[k] == v for k, v in where.items()))
        with self.app.engine.connect() as conn:
            return [dict(row) for row in conn.execute(query.order_by(*columns.values()[:2])).mappings()]

    def jobs(self) -> dict[str, dict[str, Any]]:
        return {row["job_id"]: row for row in self.rows("video_jobs")}

    def listed(self) -> dict[str, dict[str, Any]]:
        return {i: row for i, row in self.jobs().items() if row["unlisted_at"] is None}

    def pages_asked(self) -> list[dict[str, str]]:
        """The list requests so far, as query parameters."""
        return [r.query for r in self.sim.requests if r.path == "/v1/videos"]

    def assert_equals_gateway(self) -> None:
        """Every listed job is stored as the gateway shows it now."""
        stored = self.jobs()
        for job in self.world.expected():
            assert job["id"] in stored, f"{job['id']} is lost"
            assert shown(stored[job["id"]]) == truth(job)

    def assert_accounts(self) -> None:
        """Every run's counts add up, versions are numbered without holes, totals are what jobs say."""
        for run in self.rows("sync_runs"):
            parts = ("inserted", "updated", "unchanged", "rejected")
            assert run["jobs_seen"] == sum(run[f"jobs_{part}"] for part in parts), run
        numbers: dict[str, list[int]] = {}
        for row in self.rows("video_job_versions"):
            numbers.setdefault(row["job_id"], []).append(row["version"])
        jobs = self.jobs()
        assert set(numbers) == set(jobs)
        for job_id, versions in numbers.items():
            assert sorted(versions) == list(range(1, jobs[job_id]["version"] + 1))
        assert not kept(Tables(self.app.engine, self.source.name))


@contextmanager
def rig(world: World, url: str, *, settings: dict[str, Any] | None = None, **options: Any) -> Iterator[Rig]:
    """A rig on an empty or a used database; `options` go to the simulator."""
    with Simulator(world, token=TOKEN, **options) as sim:
        made = Rig(sim, url, **(settings or {}))
        with made.app:
            yield made


def truth(job: dict[str, Any]) -> dict[str, Any]:
    """The fields of a job that a user would compare, from the wire."""
    error = {k: v for k, v in (job.get("error") or {}).items() if v}
    return {
        "model": job.get("model") or None,
        "status": job.get("status"),
        "prompt": job.get("prompt") or None,
        "created_at": _moment(job.get("created_at")),
        "completed_at": _moment(job.get("completed_at")),
        "expires_at": _moment(job.get("expires_at")),
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "remixed_from_job_id": job.get("remixed_from_video_id"),
    }


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """The same fields, from the table."""
    names = truth({}).keys()
    return {name: row[name] for name in names}


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def extra(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["extra"] or "{}")
    return found
