"""One absurd value, accepted, must not take a report, a view or a page away from everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.analytics.reports import REPORTS
from etl.config import Config, Reporting
from etl.schema.views import create
from tests.dashboard.site import TABLES, Site
from tests.reliability.raw_gateway import RawGateway, answer, job, page
from tests.support.rig import Rig

pytestmark = pytest.mark.slow

ZONES = ("America/Los_Angeles", "Asia/Kathmandu", "Pacific/Kiritimati")
#: What a gateway may send as a time, and the year that is stored (None: nobody can tell).
TIMES: dict[str, tuple[Any, int | None]] = {
    "the last second of all": ("9999-12-31T23:59:59Z", None),
    "later still in the west": ("9999-12-31T23:59:59-12:00", None),
    "the first year": ("0001-01-01T00:00:01Z", None),
    "before unix time": (-1, None),
    "long before": (-62_135_596_800, None),
    "the first second": (1, 1970),
    "milliseconds of 9999": (253_402_300_799_000, 1978),  # read as microseconds
    "milliseconds of 2201": (7_289_654_400_000, None),
    "seconds of 9999": (253_402_300_799, 1978),  # read as milliseconds
    "seconds of 5138": (99_999_999_999, None),
    "seconds of 2201": (7_289_654_400, None),
    "seconds of 2199": (7_258_118_399, 2199),
    "microseconds": (1_767_000_000_000_000, 2025),
    "nanoseconds": (1_767_000_000_000_000_000, 2025),
}
NUMBERS: tuple[dict[str, Any], ...] = (
    {"seconds": 1e308, "progress": 1e308},
    {"seconds": "1000000", "size": "2147483647x2147483647"},
    {"seconds": 5e-324, "size": "99999999999x1"},
)
HUGE_FACTS = {
    "latency": 1e308,
    "chunk_index": 2**31 - 1,
    "cache_debug": {"cache_hit": False, "input_tokens": 2**63 - 1, "threshold": 1e308, "similarity": 1e308},
}


def jobs() -> list[dict[str, Any]]:
    """Ordinary ones, and one for each absurd value in each member that may hold it."""
    members = [
        {name: sent} for sent, _ in TIMES.values() for name in ("created_at", "completed_at", "expires_at")
    ]
    both = [{"created_at": sent, "completed_at": sent} for sent, _ in TIMES.values()]
    absurd = [*members, *both, *NUMBERS]
    return [job(n) for n in range(5)] + [job(10 + n, **more) for n, more in enumerate(absurd)]


class _Address:
    def __init__(self, base_url: str) -> None:
        self.base_url, self.requests = base_url, []
        self.world = type("World", (), {"provider": "openai", "now": staticmethod(lambda: 1_767_100_000.0)})


@pytest.fixture
def absurd(database_url: str) -> Iterator[Rig]:
    listed = jobs()
    facts = {"extra_fields": HUGE_FACTS}
    with RawGateway(lambda ask: answer(page(ask.listed(listed), **facts))) as gateway:
        rig = Rig(_Address(gateway.base_url), database_url)  # type: ignore[arg-type]
        with rig.app:
            rig.ok()
            for _ in range(2):
                assert rig.reconcile().status == "ok"
            yield rig


def test_everything_that_reads_bears_every_absurd_value(absurd: Rig) -> None:
    broken: list[str] = []

    def attempt(what: str, ask: Any) -> None:
        try:
            ask()
        except Exception as error:  # noqa: BLE001 (all of them are wanted at once)
            broken.append(f"{what}: {type(error).__name__}: {str(error)[:200]}")

    for view in create.VIEWS:
        attempt(view.name, lambda v=view: _select(absurd.app.engine, v.name))
    for zone in ZONES:
        for name in REPORTS:
            attempt(
                f"{name} in {zone}", lambda n=name, z=zone: run_report(absurd.app.engine, n, _all(absurd, z))
            )
        attempt(f"pages in {zone}", lambda z=zone: _pages(absurd, z))
    assert not broken, "\n".join(broken)


def _all(rig: Rig, zone: str) -> Filter:
    return Filter(rig.now(), zone=zone)


def _select(engine: sa.Engine, view: str) -> None:
    with engine.connect() as conn:
        conn.execute(sa.text(f"SELECT * FROM {view}")).all()


def _pages(rig: Rig, zone: str) -> None:
    config: Config = replace(rig.config, reporting=Reporting(timezone=zone))
    rig.app.config = config
    paths = [f"/tables/{name}?since=all" for name in TABLES]
    paths += [f"/job?id={job_id}" for job_id in list(rig.jobs())[::7]]
    site = Site(rig.app, rig.now)
    with site.server:
        failed = [
            path
            for path in ["/?since=all", "/", "/jobs?since=all", "/jobs?since=all&sort=slowest", *paths]
            if site.get(path).status != 200
        ]
    assert not failed, failed


@pytest.mark.parametrize("name", TIMES)
def test_a_time_that_nobody_can_mean_is_kept_as_it_came(name: str) -> None:
    from tests.support.pages import extra, row

    sent, year = TIMES[name]
    found = row(created_at=sent)
    assert (found.created_at and found.created_at.year) == year
    if year is None and name != "the first year":
        assert extra(found) == {"created_at": sent}


def test_numbers_beyond_all_measure_are_kept_as_they_came(absurd: Rig) -> None:
    stored = absurd.rows("list_pages")[0]
    assert stored["latency_ms"] is None and float(json.loads(stored["extra"])["latency"]) == 1e308
    (lookup, *_) = absurd.rows("cache_lookups")
    assert lookup["input_tokens"] is None and lookup["threshold"] is None
