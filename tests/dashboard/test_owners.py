"""Who spent what, and is the price book right: tables of the dashboard, with figures counted by hand."""

from __future__ import annotations

import csv
import html
import io
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.dashboard.site import Site, text
from tests.logs.site import site
from tests.support.foreign_gateway import ForeignGateway

START = 1_795_992_000.0  # 2026-11-29 22:40 UTC


@pytest.fixture
def dashboard(tmp_path: Path):
    """Veo 3.1, 8 s at 1280x720: 3.20 by the book; the log says 1.50, 2.50 and 4.50."""
    made = ForeignGateway()
    for n, (team, cost) in enumerate((("red", 1.5), ("red", 2.5), ("blue", 4.5))):
        made.make(
            f"v{n}",
            START + n,
            team=team,
            status="completed",
            model="veo-3.1",
            completed_at=int(START) + 100 + n,
        )
        made.jobs[f"v{n}:gemini"] |= {"seconds": "8", "size": "1280x720"}
        made.rows[-1] |= {"cost": cost, "customer_name": "Acme"}
    made.now = START + 600
    with site(made, f"sqlite:///{tmp_path / 'etl.db'}", discover="logs") as s:
        s.ok()
        shown = Site(s.app, s.clock)
        with shown.server:
            yield shown


def table(dashboard: Site, name: str, more: str = "") -> list[dict[str, str]]:
    answer = dashboard.get(f"/tables/{name}.csv?since=all{more}")
    assert answer.status == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize(
    ("by", "column", "expected"),
    [
        ("team", "team", {"Red": ("2", 4.0), "Blue": ("1", 4.5)}),
        ("customer", "customer", {"Acme": ("3", 8.5)}),
        ("virtual-key", "virtual_key", {"all": ("3", 8.5)}),
        ("day,team", "team", {"Red": ("2", 4.0), "Blue": ("1", 4.5)}),
    ],
)
def test_spend_by_owner(dashboard: Site, by: str, column: str, expected: dict) -> None:
    rows = table(dashboard, "spend", f"&by={by}")
    assert {row[column]: (row["jobs"], float(row["cost"])) for row in rows} == expected
    page = dashboard.get(f"/tables/spend?since=all&by={by}")
    assert page.status == 200
    assert "Estimate against settled" in text(page.text)


def counted(dashboard: Site, href: str) -> int:
    found = re.search(r"of ([\d,]+)", dashboard.get(html.unescape(href)).text)
    return int(found[1]) if found else 0


@pytest.mark.parametrize(
    ("by", "jobs"),
    [
        ("team", {"Red": 2, "Blue": 1}),
        ("virtual-key,team", {}),  # a list of jobs is narrowed by one owner
        ("customer,day", {"Acme": 3}),
        ("model", {"veo-3.1": 3}),
        ("status", {"completed": 3}),
        ("size", {}),
    ],
)
def test_numbers_of_spend_lead_to_their_jobs(dashboard: Site, by: str, jobs: dict[str, int]) -> None:
    page = (
        dashboard.get(f"/tables/spend?since=all&by={by}")
        .text.partition("<tbody>")[2]
        .partition("</tbody>")[0]
    )
    found = {}
    for row in page.split("<tr")[1:]:
        link = re.search(r'data-label="jobs"[^>]*><a href="([^"]+)"[^>]*><bdi>(\d+)<', row)
        if link is not None:
            [name] = [
                name for name in ("Red", "Blue", "Acme", "veo-3.1", "completed") if f"<bdi>{name}<" in row
            ]
            assert counted(dashboard, link[1]) == int(link[2])
            found[name] = int(link[2])
    assert found == jobs


def test_an_owner_is_shown_and_taken_away(dashboard: Site) -> None:
    page = dashboard.get("/jobs?since=all&owner=team:Red").text
    assert "team: Red" in page and "Remove team" in page
    assert dashboard.get("/jobs?since=all&owner=" + quote("team:no one")).text.count("No jobs match") == 1
    assert dashboard.get("/jobs?owner=nobody").status == 400


def test_the_book_beside_what_was_settled(dashboard: Site) -> None:
    (row,) = table(dashboard, "reconcile-cost")
    figures = [float(row[name]) for name in ("settled_cost", "estimated_cost", "difference")]
    assert figures == [8.5, 9.6, -1.1]
    assert row["verdict"] == "price too high"
    assert "price too high" in dashboard.get("/tables/reconcile-cost?since=all").text


def test_the_first_page_has_teams_where_a_log_is_read(dashboard: Site) -> None:
    assert "/part/spend" in dashboard.get("/?since=all").text
    assert "Red" in dashboard.get("/part/spend?since=all").text
