"""Rows as gateways after 2.1 write them, read from their source: several teams, edits, ids without a suffix,
costs that are put right later, and fallbacks. Figures by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from tests.logs.site import Site, site
from tests.support.foreign_gateway import ForeignGateway, stamp

START = 1_795_992_000.0


def gateway(version: str = "2.1", **more: Any) -> ForeignGateway:
    made = ForeignGateway(version=version, provider="openai", **more)
    made.make("v1", START, status="completed", model="sora-2", seconds="8", size="1280x720")
    made.now = START + 60
    return made


def spend(s: Site, by: str = "team") -> list[dict[str, Any]]:
    table = run_report(s.app.engine, "spend", Filter(datetime(2026, 11, 30, tzinfo=UTC), by=by))
    return [dict(zip((c.name for c in table.columns), row, strict=True)) for row in table.rows]


def team_one(s: Site) -> dict[str, Any]:
    return next(line for line in spend(s) if line["team"] == "Team-1")


@pytest.mark.parametrize(
    ("ids", "names", "told"),
    [
        (["t1"], ["Red"], ("t1", "Red")),
        (["t1", "t2"], ["Red", "Blue"], ("t1, t2", "Red, Blue")),
        ([], None, (None, None)),
        ([7, "t2"], "Red", ("t2", None)),
    ],
)
def test_several_teams_of_one_request(
    migrated_url: str, ids: Any, names: Any, told: tuple[str | None, str | None]
) -> None:
    """One line in the report, so that each job counts once."""
    made = gateway()
    made.rows[0] |= {"team_id": None, "team_name": None, "team_ids": ids, "team_names": names}
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        (row,) = s.rows("job_requests")
        assert (row["team_id"], row["team_name"]) == told
        (line,) = spend(s)
        assert (line["team"], line["jobs"]) == (told[1] or told[0], 1)


def test_an_edit_makes_a_job(migrated_url: str) -> None:
    made = gateway()
    made.rows[0] |= {"object": "video_edit", "cost": 0.8}
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        assert [row["job_id"] for row in s.rows("video_jobs")] == ["v1:openai"]
        (line,) = spend(s)
        assert (line["jobs"], line["cost"], line["unnamed_requests"]) == (1, Decimal("0.8"), 0)


def test_an_edit_that_was_refused_counts(migrated_url: str) -> None:
    made = gateway()
    made.rows[0] |= {"object": "video_edit", "status": "error"}
    del made.rows[0]["video_debug"], made.rows[0]["video_generation_output"]
    made.jobs.clear()
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        assert [line["refused_requests"] for line in spend(s)] == [1]


@pytest.mark.parametrize("shown", ["v1", "v1:openai"])
def test_an_id_with_or_without_its_suffix(migrated_url: str, shown: str) -> None:
    made = gateway(listed=True)
    made.rows[0]["video_debug"]["video_id"] = shown
    with site(made, migrated_url, discover="both") as s:
        s.ok()
        assert [row["job_id"] for row in s.rows("job_requests")] == ["v1:openai"]
        assert [row["job_id"] for row in s.rows("video_jobs")] == ["v1:openai"]
        (line,) = spend(s)
        assert line["team"] == "Team-1"


def test_a_cost_that_is_put_right_later(migrated_url: str) -> None:
    """The gateway computes costs anew when it has learned a price: the same row has another cost. Those of
    the overlap are seen at once, older ones by a reconcile."""
    made = gateway()
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        assert spend(s)[0]["settled_jobs"] == 0
        made.rows[0] |= {"cost": 0.9}
        s.ok()
        assert spend(s)[0]["cost"] == Decimal("0.9")
        made.now += 7 * 86400
        made.make("v2", made.now, status="completed", team="team-2")
        s.ok()
        made.rows[0] |= {"cost": 0.7000004}
        s.ok()
        assert team_one(s)["cost"] == Decimal("0.9")
        (result,) = s.app.reconcile()
        assert result.error is None
        assert team_one(s)["cost"] == Decimal("0.7")
        before = [row["request_seq"] for row in s.rows("job_requests")]
        s.app.reconcile()
        assert [row["request_seq"] for row in s.rows("job_requests")] == before


@pytest.mark.parametrize("answered", [True, False])
def test_a_request_that_a_fallback_answered_is_not_refused(migrated_url: str, answered: bool) -> None:
    """Gemini refuses, Runway makes the video: one job, nothing refused. Both refuse: one request, refused
    twice over, counts as two rows of the log."""
    made = gateway("2.0")
    second = made.rows[0]
    second |= {"parent_request_id": "first", "fallback_index": 1, "cost": 0.5}
    first = {**second, "id": "first", "parent_request_id": None, "fallback_index": 0, "status": "error"}
    first |= {"provider": "gemini", "timestamp": stamp(START - 1)}
    del first["video_generation_output"], first["cost"]
    made.rows.append(first)
    if not answered:
        del second["video_generation_output"], second["cost"]
        second["status"] = "error"
        made.jobs.clear()
    with site(made, migrated_url, discover="logs", provider=None) as s:
        s.ok()
        (line,) = spend(s)
        assert (line["jobs"], line["refused_requests"]) == ((1, 0) if answered else (0, 2))
