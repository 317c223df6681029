"""Two sources of one gateway have the same jobs, and only one of them reads the log: each job counts once,
with its owner and cost, whichever of them counts it. Figures by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.queries import Filter, run_report
from etl.app import App
from etl.config import Config, DatabaseConfig, Secret, SecretUrl, Source
from tests.support.foreign_gateway import ForeignGateway, serving

START = 1_795_992_000.0
FAST: dict[str, Any] = {"max_backoff": 0.0, "max_attempts": 2, "passthrough": "never"}


def gateway() -> ForeignGateway:
    """Three jobs of two teams, one request that was refused; veo-3.1 of 8 s at 1280x720: 3.20 by the book."""
    made = ForeignGateway(listed=True)
    for n, team in enumerate(("red", "red", "blue")):
        made.make(
            f"v{n}", START + n, team=team, status="completed", model="veo-3.1", seconds="8", size="1280x720"
        )
        made.rows[-1] |= {"cost": 1.5 + n}
    made.make("no", START + 5, team="blue")
    made.jobs.pop("no:gemini")
    made.rows[-1] |= {"status": "error"}
    del made.rows[-1]["video_generation_output"]
    made.now = START + 60
    return made


def sync(app: App) -> None:
    for result in app.sync():
        assert result.error is None, result.error


def spend(app: App, by: str) -> dict[Any, list[Any]]:
    table = run_report(app.engine, "spend", Filter(datetime(2026, 11, 30, tzinfo=UTC), by=by))
    names = [column.name for column in table.columns]
    wanted = [names.index(name) for name in ("jobs", "cost", "settled_jobs", "refused_requests")]
    return {row[0]: [row[at] for at in wanted] for row in table.rows}


BY_TEAM = {"Red": [2, Decimal("4.0"), 2, 0], "Blue": [1, Decimal("3.5"), 1, 1]}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"read_logs": True}),
        ({"read_logs": True}, {}),
        ({}, {"discover": "logs"}),
        ({"read_logs": True}, {"read_logs": True}),
        ({"discover": "logs"}, {"discover": "both"}),
    ],
    ids=["log in the second", "log in the first", "found in the second's log", "log in both", "found twice"],
)
def test_each_job_once_and_with_its_owner(
    migrated_url: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    made = gateway()
    with serving(made):
        own = {
            "provider": "gemini",
            "base_url": made.base_url,
            "api_key": Secret("canary-5512-aa71-key"),
            **FAST,
        }
        sources = (Source(name="one", **own, **first), Source(name="two", **own, **second))
        config = Config(sources=sources, database=DatabaseConfig(url=SecretUrl(migrated_url)))
        with App(
            config, clock=lambda: datetime.fromtimestamp(made.now, UTC), sleep=lambda seconds: None
        ) as app:
            for name in ("one", "two"):  # one after the other, so that the first counts
                assert app.sync([name])[0].error is None
            sync(app)
            assert spend(app, "team") == BY_TEAM
            with app.engine.connect() as conn:
                rows = conn.execute(sa.text("SELECT source, owner_source, settled_cost FROM job_facts")).all()
            assert [row[0] for row in rows] == ["one"] * 3
            assert [row[1] for row in rows] == ["made"] * 3
            assert sum(float(row[2]) for row in rows) == 7.5
