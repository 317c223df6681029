"""Rows that are hard to carry, from each database into each destination: what comes back is equal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from etl.config import Destination, SecretUrl
from etl.db.engine import write_transaction
from etl.feed import delivery
from etl.schema.tables import cache_lookups, list_pages, sync_runs, video_job_versions
from tests.conftest import require_module
from tests.support.databases import Server
from tests.support.feed_history import START, Writer, add_source
from tests.support.reading_back import destination, expected, held, plain

require_module("dlt")
ODD_JSON = {
    "whole": 2**70,
    "small": 5e-324,
    "deep": [[[{"a": None, "": "\u2028"}]]],
    "text": '"\\ \n 🎬',
    "none": None,
}
BIG = "🎬 a very long prompt, \\N \"quoted\", 'single'\r\n\t" * 20_000
SECOND = START.replace(microsecond=0)
ROWS: tuple[dict[str, Any], ...] = (
    {"prompt": BIG, "completed_at": SECOND, "seconds": 1e-300},
    {"prompt": "", "completed_at": SECOND + timedelta(microseconds=1), "seconds": 0.1 + 0.2},
    {"prompt": "\x7f\u0080\ufeff", "expires_at": datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)},
    {"extra": json.dumps(ODD_JSON, separators=(",", ":")), "completed_at": datetime(1970, 1, 1, tzinfo=UTC)},
    {"extra": "{}", "width": 2**31 - 1, "progress": -0.0},
    {},
)


@pytest.fixture
def odd(engine: sa.Engine) -> sa.Engine:
    """Two runs; the versions, pages and lookups of the second one have odd values, or none at all."""
    writer = Writer(engine, add_source(engine, "größer 🎬"))
    writer.step(new=len(ROWS), changes=0)
    run = writer.step(new=len(ROWS), changes=0)
    with write_transaction(engine) as conn:
        keys = conn.scalars(
            sa.select(video_job_versions.c.change_seq).where(video_job_versions.c.run_id == run)
        )
        for key, values in zip(keys.all(), ROWS, strict=True):
            gone = dict.fromkeys(("prompt", "extra", "completed_at", "seconds", "width"))
            one = video_job_versions.c.change_seq == key
            conn.execute(sa.update(video_job_versions).where(one).values(**gone | values))
        for name in ("has_more", "accepted"):
            conn.execute(sa.update(list_pages).where(list_pages.c.run_id == run).values({name: False}))
        hit = {"cache_hit": True, "similarity": None, "input_tokens": 2**31 - 1}
        conn.execute(sa.update(cache_lookups).where(cache_lookups.c.run_id == run).values(**hit))
        conn.execute(sa.update(sync_runs).where(sync_runs.c.id == run).values(error_message=BIG[:1000]))
    return engine


def deliver(engine: sa.Engine, target: Destination) -> None:
    result = delivery.deliver_to_one(engine, target)
    if result.error is not None:
        raise result.error.__cause__ or result.error


KINDS = ("filesystem", "duckdb", "delta", "iceberg")
TABLES = ("video_job_versions", "list_pages", "cache_lookups", "sync_runs", "prices")


@pytest.mark.slow
def test_they_arrive_from_every_database(odd: sa.Engine, tmp_path: Path) -> None:
    for kind in KINDS:
        deliver(odd, destination(kind, tmp_path))
    for table in TABLES:
        wanted = expected(odd, table)
        assert len(wanted) > 1
        for kind in KINDS:
            assert held(kind, tmp_path, table) == wanted, (kind, table)
    extras = [row["extra"] for row in expected(odd, "video_job_versions")]
    assert any(extra and json.loads(extra) == ODD_JSON for extra in extras)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.slow
def test_dlt_carries_them(odd: sa.Engine, tmp_path: Path, postgres: Server) -> None:
    url = postgres.create("odd")
    deliver(odd, Destination(name="pg", type="postgres", url=SecretUrl(url)))
    duck = destination("duckdb", tmp_path)
    deliver(odd, msgspec.structs.replace(duck, type="dlt", options={"destination": "duckdb"}))
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as conn:
        for table in TABLES:
            wanted = expected(odd, table)
            assert held("duckdb", tmp_path, table) == wanted, table
            order = "change_seq" if table == "video_job_versions" else "id"
            found = conn.execute(f"SELECT * FROM bifrost.{table} ORDER BY {order}".encode()).fetchall()
            assert plain(found) == wanted, table
    postgres.drop("odd")
