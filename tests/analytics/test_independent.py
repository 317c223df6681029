"""Views and reports against DuckDB over the raw pages that a gateway sent: none of our SQL, nor our zones.

The test's gateway keeps the body of every list page. The last page that showed a job says what it is; one
that the last scan did not show is no longer listed. The only rules written here are those of the documents,
with the prices in `PRICES`, by exact model.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.prices import ensure_prices
from etl.analytics.queries import convert_value, run_report
from etl.config import Price
from etl.schema.views import create
from tests.conftest import DATABASES
from tests.reliability.raw_gateway import Ask
from tests.reliability.test_strange_lists import List, reading

ZONES = ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
#: model, day (UTC), per second, currency
PRICES = (
    ("sora-2", date(2020, 1, 1), "0.1", "USD"),
    ("sora-2", date(2026, 3, 8), "0.15", "USD"),
    ("sora-2", date(2026, 11, 1), "0.033333", "USD"),
    ("sora-2-pro", date(2020, 1, 1), "0.3", "EUR"),
    ("veo_3", date(2020, 1, 1), "0.4", "USD"),
)
COUNTS = """COUNT(*), COUNT(*) FILTER (outcome = 'completed'), COUNT(*) FILTER (outcome = 'failed'),
  COUNT(*) FILTER (outcome = 'stopped'), COUNT(*) FILTER (outcome = 'open'),
  COUNT(*) FILTER (outcome = 'vanished'),
  ROUND(COUNT(*) FILTER (outcome = 'failed')
    / NULLIF(COUNT(*) FILTER (outcome IN ('failed', 'completed')), 0), 4),
  SUM(seconds) FILTER (outcome = 'completed'), SUM(cost) FILTER (currency = 'USD'),
  'EUR ' || rtrim(rtrim(SUM(cost) FILTER (currency = 'EUR')::VARCHAR, '0'), '.'),
  COUNT(*) FILTER (outcome = 'completed' AND cost IS NULL)"""
DAY = "CAST(timezone('{zone}', created) AS DATE)"
AHEAD = "CAST(epoch(timezone('{zone}', created)) - epoch(created) AS BIGINT)"
HOUR = f"to_timestamp(((epoch(created)::BIGINT + {AHEAD}) // 3600) * 3600 - {AHEAD})"
#: By report: the columns that are compared, and DuckDB's SQL for them.
REPORTS = {
    "totals": f"SELECT {COUNTS} FROM job",
    "daily": f"SELECT {DAY}, {COUNTS} FROM job GROUP BY 1",
    "usage": f"SELECT {DAY}, provider, model, {COUNTS} FROM job GROUP BY ALL",
    "weekly": f"SELECT CAST(date_trunc('week', {DAY}) AS DATE), {COUNTS} FROM job GROUP BY 1",
    "monthly": f"SELECT CAST(date_trunc('month', {DAY}) AS DATE), {COUNTS} FROM job GROUP BY 1",
    "hourly": f"SELECT {HOUR}, {COUNTS} FROM job GROUP BY 1",
    "models": f"SELECT provider, model, {COUNTS} FROM job GROUP BY ALL",
    "cost": """SELECT provider, model, currency, COUNT(*), SUM(seconds), SUM(cost),
      COUNT(*) FILTER (cost IS NULL) FROM job WHERE outcome = 'completed' GROUP BY ALL""",
    "latency": """SELECT 'main', provider, model, COUNT(*), MIN(took), quantile_disc(took, 0.5),
      quantile_disc(took, 0.9), quantile_disc(took, 0.95), quantile_disc(took, 0.99), MAX(took)
      FROM job WHERE outcome = 'completed' AND took >= 0 GROUP BY ALL""",
    "duplicates": """SELECT provider, model, size, seconds, prompt, COUNT(*),
      COUNT(*) FILTER (outcome = 'completed'), MIN(created), MAX(created)
      FROM job WHERE prompt <> '' GROUP BY ALL HAVING COUNT(*) > 1""",
    "failures": """SELECT error_code, error_message, COUNT(*), SUM(seconds),
      SUM(would_be) FILTER (currency = 'USD'), MAX(created) FROM job WHERE outcome = 'failed' GROUP BY ALL""",
}
COMPARED = {
    "duplicates": "provider model size seconds prompt jobs completed_jobs first_created_at last_created_at",
    "failures": "error_code error_message jobs wasted_seconds would_be_cost last_created_at",
}
VIEWS = {
    "job_facts": """SELECT id, provider, model, status, prompt, seconds, created, completed, outcome, took,
      CAST(timezone('UTC', created) AS DATE), hour(timezone('UTC', created)),
      CASE outcome WHEN 'completed' THEN cost END, gone FROM job""",
    "daily_jobs": """SELECT CAST(timezone('UTC', created) AS DATE), model, size, status, outcome, currency,
      COUNT(*), SUM(seconds), SUM(cost) FROM job GROUP BY ALL""",
    "latency_percentiles": REPORTS["latency"],
    "duplicate_requests": REPORTS["duplicates"],
    "failures": """SELECT CAST(timezone('UTC', created) AS DATE), model, size, error_code, error_message,
      currency, COUNT(*), SUM(seconds), SUM(would_be), MAX(created) FROM job WHERE outcome = 'failed'
      GROUP BY ALL""",
    "remix_trees": """WITH RECURSIVE up(id, top, depth) AS (
        SELECT id, parent, 1 FROM job WHERE parent IS NOT NULL
        UNION ALL SELECT up.id, job.parent, depth + 1 FROM up JOIN job ON job.id = up.top
        WHERE job.parent IS NOT NULL),
      far AS (SELECT id, arg_max(top, depth) AS root, MAX(depth) AS depth FROM up GROUP BY id),
      member AS (SELECT * FROM far UNION ALL
        SELECT DISTINCT root, root, 0 FROM far WHERE root IN (SELECT id FROM job))
      SELECT root, NOT bool_or(depth = 0), COUNT(*), MAX(depth), SUM(seconds), MIN(created), MAX(created)
      FROM member JOIN job USING (id) GROUP BY root""",
}
VIEW_COLUMNS = {
    "job_facts": "job_id provider model status prompt seconds created_at completed_at outcome total_seconds "
    "created_day created_hour cost is_unlisted",
    "daily_jobs": "day model size status outcome currency jobs seconds cost",
    "latency_percentiles": "source provider model jobs fastest p50 p90 p95 p99 slowest",
    "duplicate_requests": COMPARED["duplicates"],
    "failures": "day model size error_code error_message currency jobs wasted_seconds would_be_cost "
    "last_created_at",
    "remix_trees": "root_job_id is_orphan jobs depth seconds first_created_at last_created_at",
}
RANGES = {
    "all": (None, None),
    "whole days": ("2026-03-01T00:00", "2026-11-02T00:00"),
    "parts of hours": ("2026-03-08T06:17", "2026-11-01T06:43"),
    "one fold": ("2026-11-01T05:30", "2026-11-01T06:30"),
    "empty": ("2026-07-01T00:00", "2026-07-01T00:01"),
}


class KeptPages(List):
    """Writes down every list page that it sends; `scan` counts the readings of the list."""

    def __init__(self, jobs: list[dict[str, Any]], folder: Path) -> None:
        super().__init__(jobs)
        self.folder, self.scan, self.sent = folder, 0, 0

    def __call__(self, ask: Ask) -> bytes:
        said = super().__call__(ask)
        head, _, body = said.partition(b"\r\n\r\n")
        if ask.path == "/v1/videos" and b" 200 " in head.splitlines()[0]:
            self.sent += 1
            (self.folder / f"{self.scan:02}-{self.sent:05}.json").write_bytes(body)
        return said


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


#: Instants at which a clock changes, a day or an hour begins somewhere, or a price: and the seconds beside.
EDGES = (
    "2026-02-28T18:14:59", "2026-02-28T18:15:00", "2026-02-28T18:30:00", "2026-02-28T23:59:59",
    "2026-03-01T00:00:00", "2026-03-07T23:59:59", "2026-03-08T00:00:00", "2026-03-08T06:17:00",
    "2026-03-08T06:59:59", "2026-03-08T07:00:00", "2026-03-31T18:29:59", "2026-03-31T18:30:00",
    "2026-04-04T14:10:00", "2026-04-04T14:40:00", "2026-04-04T14:59:59", "2026-04-04T15:00:00",
    "2026-04-04T15:10:00", "2026-04-04T15:40:00", "2026-10-03T15:29:59", "2026-10-03T15:30:00",
    "2026-10-31T23:59:59", "2026-11-01T00:00:00", "2026-11-01T04:00:00", "2026-11-01T05:30:00",
    "2026-11-01T05:59:59", "2026-11-01T06:00:00", "2026-11-01T06:30:00", "2026-11-01T06:43:00",
    "2026-11-02T00:00:00", "2026-11-02T05:00:00",
)  # fmt: skip
MODELS = ("sora-2", "sora-2-pro", "veo_3", "veox3", "Sora-2")
TEXTS = ("a lighthouse", "A lighthouse", "a lighthouse ", "a líghthouse", "")
STATES = ("completed", "completed", "completed", "failed", "cancelled", "expired", "rejected", "queued",
          "in_progress")  # fmt: skip
TOOK = (0, -5, 1, 100, 100, 3600)


def made_jobs() -> list[dict[str, Any]]:
    """Every edge with two jobs; each kind of job at several edges."""
    return [_job(n, EDGES[n // 2], STATES[n % len(STATES)]) for n in range(2 * len(EDGES))]


def _job(n: int, created: str, status: str) -> dict[str, Any]:
    found: dict[str, Any] = {"id": f"v{n:03}:openai", "object": "video", "model": MODELS[n % len(MODELS)]}
    found |= {"status": status, "created_at": second(created), "prompt": TEXTS[n // 3 % len(TEXTS)]}
    found |= {"size": ("1280x720", "720x1280")[n // 7 % 2], "seconds": ("4", "8", "0", "1.5")[n // 5 % 4]}
    if status == "completed":
        found["completed_at"] = found["created_at"] + TOOK[n % len(TOOK)]
    if status == "failed":
        code = ("moderation_blocked", "Moderation_blocked", "server_error")[n // 9 % 3]
        found["error"] = {"code": code, "message": f"{code}!"}
    if n % 4 == 1:  # a chain, a fork, and a parent that was never listed
        found["remixed_from_video_id"] = (
            "v999:openai" if n % 12 == 1 else f"v{n - (4 if n % 8 else 1):03}:openai"
        )
    return found


@dataclass(frozen=True)
class Mirrored:
    engine: sa.Engine
    raw: duckdb.DuckDBPyConnection


@pytest.fixture(scope="module", params=DATABASES)
def mirrored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    kind, folder = request.param, tmp_path_factory.mktemp("pages")
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("_sqlite_template"), folder / "etl.db")
        url = f"sqlite:///{folder / 'etl.db'}"
    else:
        server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
        url = server.create("independent")
    listed = KeptPages(made_jobs(), folder)
    with reading(listed, url, name="main", provider="openai") as rig:
        rig.ok()
        change_some(listed)
        result = rig.reconcile()
        assert result.status == "ok", result.error
        book = [Price(model=m, valid_from=day, price=Decimal(p), currency=c) for m, day, p, c in PRICES]
        ensure_prices(rig.app.engine, book)
        yield Mirrored(rig.app.engine, raw_jobs(folder))


def change_some(listed: KeptPages) -> None:
    """Some open jobs end, a finished one and an open one vanish from the middle."""
    listed.scan += 1
    for job in listed.jobs:
        if job["status"] == "in_progress" and job["model"] != "veox3":
            job |= {"status": "completed", "completed_at": job["created_at"] + 77}
    listed.jobs = [job for job in listed.jobs if job["id"] not in ("v020:openai", "v025:openai")]


def raw_jobs(folder: Path) -> duckdb.DuckDBPyConnection:
    """Table `job` from the pages alone. Money to the millionth, halves upwards; time taken in seconds."""
    raw = duckdb.connect()
    raw.execute("SET TimeZone = 'UTC'")
    raw.execute("CREATE TABLE price(model VARCHAR, day DATE, price DECIMAL(18, 6), currency VARCHAR)")
    raw.executemany("INSERT INTO price VALUES (?, ?, ?, ?)", [list(price) for price in PRICES])
    raw.execute(f"""
CREATE TABLE everything AS
WITH item AS (
  SELECT filename AS page, unnest(data) AS item
  FROM read_json('{folder}/*.json', columns = {{'data': 'JSON[]'}}, filename = true)
), last AS (
  SELECT item->>'id' AS id, arg_max(item, page) AS item,
    MAX(substr(parse_filename(page), 1, 2)) <> (SELECT MAX(substr(parse_filename(page), 1, 2)) FROM item)
      AS gone
  FROM item GROUP BY 1
), plain AS (
  SELECT id, gone, 'openai' AS provider, item->>'model' AS model, item->>'status' AS status,
    item->>'size' AS size, NULLIF(item->>'prompt', '') AS prompt,
    NULLIF(CAST(item->>'seconds' AS DECIMAL(9, 3)), 0) AS seconds,
    to_timestamp(CAST(item->>'created_at' AS BIGINT)) AS created,
    to_timestamp(CAST(item->>'completed_at' AS BIGINT)) AS completed,
    item->>'$.error.code' AS error_code, item->>'$.error.message' AS error_message,
    item->>'remixed_from_video_id' AS parent
  FROM last
), priced AS (
  SELECT plain.*, price.price, price.currency
  FROM plain ASOF LEFT JOIN price
    ON plain.model = price.model AND CAST(timezone('UTC', plain.created) AS DATE) >= price.day
)
SELECT *, epoch(completed) - epoch(created) AS took,
  CASE WHEN status IN ('completed', 'failed') THEN status
    WHEN status IN ('cancelled', 'expired', 'rejected') THEN 'stopped'
    WHEN gone THEN 'vanished' ELSE 'open' END AS outcome,
  CAST(ROUND(seconds * price, 6) AS DECIMAL(18, 6)) AS would_be,
  CASE WHEN status = 'completed' THEN would_be END AS cost
FROM priced""")
    return raw


def agree(ours: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> None:
    def plain(rows: list[tuple[Any, ...]]) -> list[str]:
        return sorted(repr(tuple(_plain(value) for value in row)) for row in rows)

    assert plain(ours) == plain(theirs)


def _plain(value: Any) -> Any:
    """Numbers of all types by value, instants as those of UTC."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return format(round(Decimal(str(value)), 6).normalize() + 0, "f")
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def test_the_world_holds_what_is_tricky(mirrored: Mirrored) -> None:
    """Counted by hand from `made_jobs`: 60 jobs, two of them gone, one of those before its end."""
    found = mirrored.raw.execute("SELECT COUNT(*), COUNT(*) FILTER (gone) FROM everything").fetchone()
    assert found == (60, 2)
    outcomes = mirrored.raw.execute("SELECT DISTINCT outcome FROM everything ORDER BY 1").fetchall()
    assert [each for (each,) in outcomes] == ["completed", "failed", "open", "stopped", "vanished"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("name", REPORTS)
def test_reports_agree_with_the_raw_pages(mirrored: Mirrored, name: str, zone: str) -> None:
    for since, until in RANGES.values():
        chosen = Filter(NOW, zone=zone)
        if since and until:
            start, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (since, until))
            chosen = replace(chosen, since=start, until=end)
        table = run_report(mirrored.engine, name, chosen)
        names = COMPARED.get(name, " ".join(column.name for column in table.columns)).split()
        places = [[column.name for column in table.columns].index(each) for each in names]
        bounds = f"created >= '{since}Z' AND created < '{until}Z'" if since else "true"
        mirrored.raw.execute(f"CREATE OR REPLACE VIEW job AS SELECT * FROM everything WHERE {bounds}")
        theirs = mirrored.raw.execute(REPORTS[name].format(zone=zone)).fetchall()
        agree([tuple(row[place] for place in places) for row in table.rows], theirs)


@pytest.mark.parametrize("name", VIEWS)
def test_views_agree_with_the_raw_pages(mirrored: Mirrored, name: str) -> None:
    kinds = {c.name: c.kind for view in create.VIEWS if view.name == name for c in view.columns}
    names = VIEW_COLUMNS[name].split()
    with mirrored.engine.connect() as conn:
        rows = conn.execute(sa.text(f"SELECT {', '.join(names)} FROM {name}")).fetchall()
    ours = [tuple(convert_value(kinds[n], v) for n, v in zip(names, row, strict=True)) for row in rows]
    mirrored.raw.execute("CREATE OR REPLACE VIEW job AS SELECT * FROM everything")
    agree(ours, mirrored.raw.execute(VIEWS[name]).fetchall())
