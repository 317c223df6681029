"""A gateway's raw pages, and the log's rows, in each database by the product and in DuckDB by themselves.

The gateway keeps the body of every list page. The last page that showed a job says what it is; one that the
last scan did not show is no longer listed. The only rules written here are those of the documents, with the
prices in `PRICES`, by exact model.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest
import sqlalchemy as sa

from etl.analytics.prices import ensure_prices
from etl.config import Price
from etl.schema.tables import job_requests
from tests.reliability.raw_gateway import Ask
from tests.reliability.test_strange_lists import List, reading

ZONES = (
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "America/New_York",
)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
#: model, day (UTC), price, currency, unit
PRICES: tuple[tuple[str, date, str, str, Literal["second", "clip"]], ...] = (
    ("sora-2", date(2020, 1, 1), "0.1", "USD", "second"),
    ("sora-2", date(2026, 3, 8), "0.15", "USD", "second"),
    ("sora-2", date(2026, 11, 1), "0.033333", "USD", "second"),
    ("sora-2-pro", date(2020, 1, 1), "0.3", "EUR", "second"),
    ("veo_3", date(2020, 1, 1), "0.4", "USD", "second"),
    ("veox3", date(2026, 3, 5), "61.5", "JPY", "clip"),
)
RANGES = {
    "all": (None, None),
    "whole days": ("2026-03-01T00:00", "2026-11-02T00:00"),
    "parts of hours": ("2026-03-08T06:17", "2026-11-01T06:43"),
    "one fold": ("2026-11-01T05:30", "2026-11-01T06:30"),
    "empty": ("2026-07-01T00:00", "2026-07-01T00:01"),
}
DAY = "CAST(timezone('{zone}', created) AS DATE)"
AHEAD = "CAST(epoch(timezone('{zone}', created)) - epoch(created) AS BIGINT)"
HOUR = f"to_timestamp(((epoch(created)::BIGINT + {AHEAD}) // 3600) * 3600 - {AHEAD})"
DAYS = 86_400


class KeptPages(List):
    """Writes down every list page that it sends; `moments` has the instant of each scan, by our clock.

    Every third page with a full limit comes from the gateway's cache, or is said to.
    """

    def __init__(self, jobs: list[dict[str, Any]], folder: Path) -> None:
        super().__init__(jobs)
        self.folder, self.sent, self.moments = folder, 0, list[float]()

    def __call__(self, ask: Ask) -> bytes:
        said = self._say(ask)
        head, _, body = said.partition(b"\r\n\r\n")
        if ask.path == "/v1/videos" and b" 200 " in head.splitlines()[0]:
            self.sent += 1
            (self.folder / f"{len(self.moments) - 1:02}-{self.sent:05}.json").write_bytes(body)
        return said

    def _say(self, ask: Ask) -> bytes:
        used = {"provider_used": "openai", "model_used": "small", "input_tokens": 10 + self.sent}
        debug: dict[str, Any] = {"cache_hit": False, **used}
        if ask.query.get("limit") == "100" and self.sent % 3 == 0:
            asked = {"requested_provider": "openai", "requested_model": "sora-2"}
            debug = {"cache_hit": True, "cache_id": f"entry-{self.sent}", "hit_type": "direct", **asked}
            if self.sent % 2:
                debug |= {"hit_type": "semantic", **used, "threshold": 0.8, "similarity": 0.875}
        self.members["extra_fields"] = {"request_type": "video_list", "cache_debug": debug}
        return super().__call__(ask)


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
#: Days from completion to the end of the file; the last ends long after any test is run.
LASTS = (1, 25, 30_000)


def made_jobs() -> list[dict[str, Any]]:
    """Every edge with two jobs; each kind of job at several edges."""
    return [_job(n, EDGES[n // 2], STATES[n % len(STATES)]) for n in range(2 * len(EDGES))]


def _job(n: int, created: str, status: str) -> dict[str, Any]:
    found: dict[str, Any] = {"id": f"v{n:03}:openai", "object": "video", "model": MODELS[n % len(MODELS)]}
    found |= {"status": status, "created_at": second(created), "prompt": TEXTS[n // 3 % len(TEXTS)]}
    found |= {"size": ("1280x720", "720x1280")[n // 7 % 2], "seconds": ("4", "8", "0", "1.5")[n // 5 % 4]}
    if status == "completed":
        found["completed_at"] = found["created_at"] + TOOK[n % len(TOOK)]
        found["expires_at"] = found["completed_at"] + LASTS[n // 9 % len(LASTS)] * DAYS
    if status == "in_progress":
        found["progress"] = 40
    if status == "failed":
        code = ("moderation_blocked", "Moderation_blocked", "server_error")[n // 9 % 3]
        found["error"] = {"code": code, "message": f"{code}!"}
    if n % 4 == 1:  # a chain, a fork, and a parent that was never listed
        found["remixed_from_video_id"] = (
            "v999:openai" if n % 12 == 1 else f"v{n - (4 if n % 8 else 1):03}:openai"
        )
    return found


#: (kind, id, name): one is known by its name, one by its id alone, one differs from another by its case.
OWNERS = (("k1", "Red"), ("k2", None), ("k3", "red"), (None, None))


def made_requests() -> list[dict[str, Any]]:
    """The log's rows: of half the jobs who made them, of some who settled or polled them, and those that made
    no job: refused ones and one in four whose job is not named."""
    rows = [row for n in range(2 * len(EDGES)) for row in _requests_of(n, second(EDGES[n // 2]))]
    return rows + [_request(900 + n, second(EDGES[2 * n]), None, None) for n in range(12)]


def _requests_of(n: int, created: int) -> Iterator[dict[str, Any]]:
    job_id = f"v{n:03}:openai"
    if n % 2 == 0:
        yield _request(n, created, job_id, "made") | {"cost": (None, "0.4", "1.25")[n // 2 % 3]}
    if n % 5 == 0:
        yield _request(n + 100, created + 60, job_id, "settled") | {"cost": (None, "0.8", "0")[n // 5 % 3]}
    if n % 3 == 0:
        yield _request(n + 200, created + 30, job_id, "polled")


def _request(n: int, at: int, job_id: str | None, role: str | None) -> dict[str, Any]:
    moment = datetime.fromtimestamp(at, UTC)
    row: dict[str, Any] = {"request_id": f"r{n}", "job_id": job_id, "role": role, "requested_at": moment}
    row |= {"request_type": "video_remix" if n % 7 == 0 else "video_generation", "provider": "openai"}
    row |= {"status": "error" if role is None and n % 4 else "success", "model": MODELS[n % len(MODELS)]}
    row |= {"cost": "0.3" if role is None and n % 3 else None, "key_name": None, "size": None}
    for place, kind in enumerate(("virtual_key", "team", "customer", "user", "business_unit")):
        row[f"{kind}_id"], row[f"{kind}_name"] = OWNERS[(n // 2 + place) % len(OWNERS)]
    return row


@dataclass(frozen=True)
class Mirrored:
    engine: sa.Engine
    raw: duckdb.DuckDBPyConnection


@contextmanager
def mirror(
    kind: str, request: pytest.FixtureRequest, folder: Path, *, logged: bool = True
) -> Iterator[Mirrored]:
    """`logged`: the gateway's log is read, too."""
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("_sqlite_template"), folder / "etl.db")
        url = f"sqlite:///{folder / 'etl.db'}"
    else:
        server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
        url = server.create(f"independent_{abs(hash(folder)):x}")
    listed = KeptPages(made_jobs(), folder)
    with reading(listed, url, name="main", provider="openai") as rig:
        listed.moments.append(rig.world.now())
        rig.ok()
        rig.world.advance(40_000)
        listed.moments.append(rig.world.now())
        change_some(listed)
        result = rig.reconcile()
        assert result.status == "ok", result.error
        book = [
            Price(model=model, valid_from=day, price=Decimal(price), currency=currency, unit=unit)
            for model, day, price, currency, unit in PRICES
        ]
        ensure_prices(rig.app.engine, book)
        raw = raw_jobs(folder, listed.moments)
        if logged:
            write_requests(rig.app.engine)
        else:
            raw.execute("DELETE FROM request")
        yield Mirrored(rig.app.engine, raw)


def change_some(listed: KeptPages) -> None:
    """Some open jobs end, a finished one and an open one vanish from the middle."""
    for job in listed.jobs:
        if job["status"] == "in_progress" and job["model"] != "veox3":
            job |= {"status": "completed", "completed_at": job["created_at"] + 77}
    listed.jobs = [job for job in listed.jobs if job["id"] not in ("v020:openai", "v025:openai")]


def write_requests(engine: sa.Engine) -> None:
    """The log's rows as they are: how they are read is another test's matter."""
    own = {"source_id": 1, "first_seen_at": NOW, "run_id": 1}
    rows = [
        {**row, **own, "cost": row["cost"] and Decimal(row["cost"]), "request_seq": place}
        for place, row in enumerate(made_requests(), 1)
    ]
    with engine.begin() as conn:
        conn.execute(sa.insert(job_requests), rows)


def raw_jobs(folder: Path, moments: list[float]) -> duckdb.DuckDBPyConnection:
    """Tables `everything` and `shown` (each job on each page), `page`, `request`, from the pages and the log
    alone. Money to the millionth, halves upwards; time taken in seconds."""
    raw = duckdb.connect()
    raw.execute("SET TimeZone = 'UTC'")
    raw.execute(
        "CREATE TABLE price(model VARCHAR, day DATE, price DECIMAL(18, 6), currency VARCHAR, unit VARCHAR)"
    )
    raw.executemany("INSERT INTO price VALUES (?, ?, ?, ?, ?)", [list(price) for price in PRICES])
    raw.execute("CREATE TABLE scan(number INTEGER, began TIMESTAMPTZ)")
    raw.executemany(
        "INSERT INTO scan VALUES (?, to_timestamp(?))", [list(each) for each in enumerate(moments)]
    )
    raw.execute(_RAW_PAGES.format(folder=folder))
    rows = made_requests()
    kinds = {"requested_at": "TIMESTAMPTZ", "cost": "DECIMAL(18, 6)"}
    columns = ", ".join(f'"{name}" {kinds.get(name, "VARCHAR")}' for name in rows[0])
    raw.execute(f"CREATE TABLE request({columns})")
    holes = ", ".join("?" * len(rows[0]))
    raw.executemany(f"INSERT INTO request VALUES ({holes})", [list(row.values()) for row in rows])
    return raw


_RAW_PAGES = """
CREATE TABLE page AS
SELECT CAST(substr(parse_filename(filename), 1, 2) AS INTEGER) AS scan, filename AS name, data,
  CAST(extra_fields->>'$.cache_debug.cache_hit' AS BOOLEAN) AS hit, extra_fields->'$.cache_debug' AS debug
FROM read_json('{folder}/*.json', filename = true,
  columns = {{'data': 'JSON[]', 'extra_fields': 'JSON'}});
CREATE TABLE shown AS
SELECT name AS page, scan, hit, unnest(data) AS item FROM page;
CREATE TABLE everything AS
WITH last AS (
  SELECT item->>'id' AS id, arg_max(item, page) AS item,
    MAX(scan) <> (SELECT MAX(scan) FROM shown) AS gone
  FROM shown GROUP BY 1
), plain AS (
  SELECT id, gone, 'openai' AS provider, item->>'model' AS model, item->>'status' AS status,
    item->>'size' AS size, NULLIF(item->>'prompt', '') AS prompt,
    CAST(item->>'progress' AS DOUBLE) AS progress,
    NULLIF(CAST(item->>'seconds' AS DECIMAL(9, 3)), 0) AS seconds,
    to_timestamp(CAST(item->>'created_at' AS BIGINT)) AS created,
    to_timestamp(CAST(item->>'completed_at' AS BIGINT)) AS completed,
    to_timestamp(CAST(item->>'expires_at' AS BIGINT)) AS expires,
    item->>'$.error.code' AS error_code, item->>'$.error.message' AS error_message,
    item->>'remixed_from_video_id' AS parent
  FROM last
), priced AS (
  SELECT plain.*, price.price, price.currency, price.unit
  FROM plain ASOF LEFT JOIN price
    ON plain.model = price.model AND CAST(timezone('UTC', plain.created) AS DATE) >= price.day
)
SELECT *, epoch(completed) - epoch(created) AS took,
  CASE WHEN status IN ('completed', 'failed') THEN status
    WHEN status IN ('cancelled', 'expired', 'rejected') THEN 'stopped'
    WHEN gone THEN 'vanished' ELSE 'open' END AS outcome,
  CAST(CASE unit WHEN 'clip' THEN price ELSE ROUND(seconds * price, 6) END AS DECIMAL(18, 6)) AS would_be,
  CASE WHEN status = 'completed' THEN would_be END AS cost
FROM priced"""


def agree(ours: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> None:
    def plain(rows: list[tuple[Any, ...]]) -> Counter[str]:
        return Counter(repr(tuple(_plain(value) for value in row)) for row in rows)

    told, true = plain(ours), plain(theirs)
    assert told == true, f"told: {sorted(told - true)}\ntrue: {sorted(true - told)}"


def _plain(value: Any) -> Any:
    """Numbers of all types by value, instants as those of UTC."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return format(round(Decimal(str(value)), 6).normalize() + 0, "f")
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
