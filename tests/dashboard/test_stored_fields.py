"""Whatever stands in any text column of any table, pages and HTML reports show it as text, and no cell of a
CSV begins as a formula does. (OWASP ASVS 5.2, 5.3, 5.3.3; CSV injection: 5.3.10.)"""

from __future__ import annotations

import csv
import html.parser
import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from etl.analytics.reports import REPORTS
from etl.db.engine import make_engine, write_transaction
from etl.db.types import Bytes, Text
from etl.errors import StorageError
from etl.schema.tables import metadata
from tests.dashboard.site import TABLES, Site, small_world
from tests.support.command import Command
from tests.support.rig import Rig

#: A formula, an end of an attribute, an end of a script, an element, and what a template would compute.
HOSTILE = "=cmd|'/C calc'!A0\"'></script><pwned onload=alert(1)>{{ 6*7 }}"
#: What we write ourselves, from a fixed set of words.
OURS = {"op", "kind", "role", "state", "order", "content_hash", "base_url"}


class Parser(html.parser.HTMLParser):
    """What of a page would be an element, an attribute that runs, or an address that is a script."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pwned" or any(name.startswith("on") for name, _ in attrs):
            self.faults.append(self.get_starttag_text() or tag)
        self.faults += [str(v) for n, v in attrs if n in ("href", "src") and str(v).startswith("javascript:")]


def faults_of(page: str) -> list[str]:
    parser = Parser()
    parser.feed(page)
    return parser.faults


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Site, set[str], Path]]:
    folder = tmp_path_factory.mktemp("stored")
    with small_world(folder) as (made, site, _):
        engine = make_engine(f"sqlite:///{folder / 'etl.db'}")
        yield made, site, _fill(engine), folder
        engine.dispose()


def _fill(engine: sa.Engine) -> set[str]:
    """HOSTILE into every text column of every row, but for keys and our own words."""
    filled = set()
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.primary_key or column.foreign_keys or column.name in OURS:
                continue
            if isinstance(column.type, sa.String | Text | Bytes):
                text = HOSTILE.encode() if isinstance(column.type, Bytes) else HOSTILE
                try:
                    with write_transaction(engine) as conn:
                        conn.execute(sa.update(table).values({column.name: text}))
                except StorageError:
                    continue  # unique: it names something, as a key does
                filled.add(f"{table.name}.{column.name}")
    return filled


PATHS = [
    "/",
    "/jobs",
    *(f"/tables/{name}" for name in TABLES),
    "/part/freshness",
    "/part/open",
    "/part/open-all",
]


def test_the_columns_that_strangers_write_are_filled(world: tuple[Rig, Site, set[str], Path]) -> None:
    wanted = ["prompt", "model", "status", "size", "provider", "error_code", "error_message"]
    assert {f"video_jobs.{name}" for name in wanted} <= world[2]
    assert {"rejected_items.reason", "sync_runs.error_message", "coverage_gaps.reason"} <= world[2]


@pytest.mark.parametrize("path", PATHS)
def test_no_stored_text_becomes_part_of_a_page(world: tuple[Rig, Site, set[str], Path], path: str) -> None:
    for query in (
        "since=all",
        f"since=all&model={quote(HOSTILE)}&sort={quote(HOSTILE)}",
        f"by={quote(HOSTILE)}",
    ):
        answer = world[1].get(f"{path}?{query}", Accept="text/html")
        assert answer.status < 500 and faults_of(answer.text) == [] and "{42}" not in answer.text


def test_no_stored_text_becomes_part_of_the_page_of_a_job(world: tuple[Rig, Site, set[str], Path]) -> None:
    [job_id] = sqlite3.connect(world[3] / "etl.db").execute("SELECT job_id FROM video_jobs").fetchone()
    answer = world[1].get(f"/job?id={quote(job_id)}", Accept="text/html")
    assert answer.status == 200 and "&lt;pwned" in answer.text and faults_of(answer.text) == []
    assert world[1].get(f"/job?id={quote(HOSTILE)}").headers["Location"].startswith("/jobs?")


@pytest.mark.parametrize("path", ["/jobs", *(f"/tables/{name}" for name in TABLES)])
def test_no_stored_text_is_a_formula(world: tuple[Rig, Site, set[str], Path], path: str) -> None:
    answer = world[1].get(f"{path}.csv?since=all")
    assert answer.status < 500
    cells = [cell for line in csv.reader(io.StringIO(answer.text)) for cell in line]
    assert [cell for cell in cells if cell.startswith(("=", "@", "\t", "\r", "+"))] == []


@pytest.mark.slow
def test_no_stored_text_becomes_part_of_a_report(world: tuple[Rig, Site, set[str], Path]) -> None:
    command = Command(
        world[3], DATABASE_URL=f"sqlite:///{world[3] / 'etl.db'}", BIFROST_BASE_URL="http://127.0.0.1:9"
    )
    shown = 0
    for name in (*REPORTS, "summary"):
        done = command("report", name, "--since", "2020-01-01", "--format", "html")
        assert done.code == 0, done.all
        assert faults_of(done.out) == []
        shown += "&lt;pwned" in done.out
    assert shown >= 8
