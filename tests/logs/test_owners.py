"""Who asked for a job and what it cost: from the gateway's log to the reports, each job once."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from etl.analytics.filters import Filter
from etl.analytics.queries import Table, run_report
from etl.simulator import World
from tests.support.rig import Rig, rig


def dicts(table: Table) -> list[dict[str, Any]]:
    return [dict(zip((c.name for c in table.columns), row, strict=True)) for row in table.rows]


def report(r: Rig, name: str, by: str = "team", **more: Any) -> list[dict[str, Any]]:
    more |= {"by": by} if name == "spend" else {}
    return dicts(run_report(r.app.engine, name, Filter(datetime.now(UTC), **more)))


def two_providers(version: str) -> tuple[World, World]:
    veo = World(provider="gemini", jobs=25, version=version, rate=0.0, seed=7, failures=0.2)
    return veo, World(provider="runway", jobs=15, version=version, rate=0.0, seed=8, clock=veo.clock)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_veo_and_runway_behind_one_gateway_by_team(migrated_url: str, version: str) -> None:
    veo, runway = two_providers(version)
    with rig(veo, migrated_url, settings={"discover": "logs", "provider": None}, others=[runway]) as r:
        r.ok()
        r.sim.advance(7200)
        r.ok()
        book, jobs = r.sim.gateway.log.book, r.jobs()
        assert len(jobs) == 40
        book_says = {row["job_id"]: row["cost"] for row in report(r, "jobs")}
        expected: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
        for job_id, job in jobs.items():
            rows = book.rows_of(job_id, veo.now())
            made = next(
                row
                for row in rows
                if row.object in ("video_generation", "video_remix") and not row.settlement
            )
            settled = next((row for row in rows if row.settlement), None)
            cost = settled.cost if settled else made.cost
            told = expected[made.owner.named("team")[1] if made.owner else None]
            told[0] += 1
            told[1] += job["status"] == "completed"
            if cost is None:  # a model that the gateway has no price for
                told[2] += book_says[job_id] or 0
            elif settled or job["status"] == "completed":
                told[2] += Decimal(str(cost))
        found = {row["team"]: [row["jobs"], row["completed"], row["cost"] or 0] for row in report(r, "spend")}
        assert found == expected
        assert len(found) > 2


def test_each_job_counts_once_however_often_it_was_settled(migrated_url: str) -> None:
    world = World(jobs=30, version="2.1", rate=0.0, seed=9)
    with rig(world, migrated_url, settings={"discover": "list", "read_logs": True}) as r:
        r.ok()
        r.sim.advance(7200)
        r.ok()
        total = report(r, "totals")[0]
        for by in ("team", "customer", "virtual-key", "user", "business-unit", "model", "provider"):
            assert sum(row["jobs"] for row in report(r, "spend", by)) == total["jobs"] == 30
        roles = [(row["job_id"], row["role"]) for row in r.rows("job_requests") if row["role"]]
        assert len(roles) == len(set(roles)) == 60


def test_the_book_is_held_against_what_was_settled(migrated_url: str) -> None:
    """sora-2 costs 0.10 in the simulated gateway, as published; veo-3.1 0.40."""
    world = World(jobs=60, version="2.1", rate=0.0, seed=9)
    with rig(world, migrated_url, settings={"discover": "list", "read_logs": True}) as r:
        r.sim.advance(7200)
        r.ok()
        rows = {(row["model"], row["resolution"]): row for row in report(r, "reconcile-cost")}
        sora = rows["sora-2", "720p"]
        assert sora["verdict"] == "agrees"
        assert sora["difference"] == 0
        assert sora["settled_price"] == Decimal("0.1")
        with r.app.engine.begin() as conn:
            conn.exec_driver_sql("UPDATE prices SET price = 0.05 WHERE model_pattern = 'sora-2'")
        rows = {(row["model"], row["resolution"]): row for row in report(r, "reconcile-cost")}
        assert rows["sora-2", "720p"]["verdict"] == "price too low"


def test_below_two_requests_without_a_job_stand_beside_jobs(migrated_url: str) -> None:
    world = World(jobs=30, version="1.5", rate=0.0, seed=9)
    with rig(world, migrated_url, settings={"discover": "list", "read_logs": True}) as r:
        r.sim.advance(7200)
        r.ok()
        rows = report(r, "spend")
        assert sum(row["jobs"] for row in rows) == 30
        made = [row for row in r.rows("job_requests") if row["status"] == "success" and row["role"] is None]
        assert sum(row["unnamed_requests"] for row in rows) == len(made) > 20
