"""A range that holds no job is an empty page, wherever it lies and whatever clock cuts its days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from etl.analytics.ranges import parse_moment
from etl.config import Reporting
from tests.dashboard.site import Site, text
from tests.support.rig import Rig

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "America/St_Johns",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
]
PATHS = ["/", "/part/pace", "/part/tile", "/jobs", "/tables/daily", "/tables/cache", "/tables/cost.csv"]


@pytest.fixture(params=ZONES)
def here(made: Rig, request: pytest.FixtureRequest) -> Iterator[Site]:
    config = replace(made.app.config, reporting=Reporting(timezone=request.param))
    app: Any = SimpleNamespace(config=config, engine=made.app.engine, redact=made.app.redact)
    site = Site(app, made.now)
    with site.server:
        yield site


def ranges(now: datetime) -> list[str]:
    at = [now, now + timedelta(seconds=1), now + timedelta(hours=30), now + timedelta(days=40)]
    starts = ["now", *(f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in at), f"{now + timedelta(days=2):%Y-%m-%d}"]
    starts += ["2199-12-31", "2999-01-01", "9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"]
    ends = ["1970-01-01", "0001-01-01", "0001-01-01T00:00:00+14:00", "1999-12-31"]
    both = ["since=2999-01-01&until=3000-01-01", "since=0001-01-01&until=0001-01-02"]
    return [*(f"since={start}" for start in starts), *(f"since=all&until={end}" for end in ends), *both]


@pytest.mark.slow
def test_a_range_without_jobs_is_an_empty_page(here: Site, made: Rig):
    for query in ranges(made.now()):
        for path in PATHS:
            answer = here.get(f"{path}?{query.replace('+', '%2B')}")
            assert answer.status == 200, (path, query, text(answer.text))
        assert " 0 " in text(here.get(f"/?{query.replace('+', '%2B')}").text), query


def test_a_range_that_holds_every_year_shows_every_job(here: Site, made: Rig):
    everything = here.get("/jobs?since=0001-01-01&until=9999-12-31").text
    count = len(made.rows("video_jobs"))  # the world's 240, 8 that a stranger wrote, and what came since
    assert count >= 248 and f"of {count} " in text(everything)
    for path in PATHS:
        assert here.get(f"{path}?since=0001-01-01&until=9999-12-31").status == 200, path


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("end", [False, True])
def test_no_moment_lies_beyond_what_is_stored(zone: str, end: bool):
    now = datetime(2026, 5, 1, tzinfo=UTC)
    for said in ("9999-12-31", "9996-02-29T00:00", "9999-12-31T23:59:59-14:00", "2200-06-01"):
        assert parse_moment(said, now, zone, end=end) == datetime(2200, 1, 2 if end else 1, tzinfo=UTC)
    for said in ("0001-01-01", "0001-01-01T00:00:00+14:00", "1960-01-01"):
        first = datetime(1970, 1, 1, tzinfo=UTC) if end else datetime(1969, 12, 31, tzinfo=UTC)
        assert parse_moment(said, now, zone, end=end) == first
