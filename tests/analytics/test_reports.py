"""Reports: the range, the time zone, what a filter leaves, and what is said beside the numbers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.prices import ensure_prices, import_prices
from etl.analytics.queries import Table, UnseenPeriod, check_sources, find_unseen_periods, run_report
from etl.analytics.ranges import parse_moment
from etl.analytics.reports import REPORTS
from etl.config import Price
from etl.errors import ConfigError
from etl.load.totals import recount_all
from tests.support.world import NOW, at

WEEK = Filter(NOW, since=at("05-01"), until=NOW)


@pytest.fixture
def world(shared_world):
    return shared_world


def columns(table: Table, *names: str) -> list[tuple]:
    places = [next(i for i, c in enumerate(table.columns) if c.name == name) for name in names]
    return [tuple(_plain(row[place]) for place in places) for row in table.rows]


def _plain(found: object) -> object:
    return float(found) if isinstance(found, Decimal) else found


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_runs_with_every_filter(world, name):
    for chosen in (
        Filter(NOW),
        WEEK,
        Filter(NOW, at("05-01"), NOW, ("a", "b"), ("sora-2", "veo-3.1"), "Europe/Berlin", "EUR", 2),
    ):
        table = run_report(world, name, chosen)
        assert all(len(row) == len(table.columns) for row in table.rows)
        if chosen is WEEK and name not in ("cache", "reconcile-cost"):  # no log was read
            assert table.rows, "a report that shows nothing of this world shows nothing at all"


@pytest.mark.parametrize("name", REPORTS)
def test_reports_of_an_empty_database_are_empty(engine, name):
    table = run_report(engine, name, WEEK)
    nothing = (0, 0, 0, 0, 0, 0, None, None, None, None, 0)
    assert table.rows == ((nothing,) if name == "totals" else ())


def test_totals_and_models(world):
    assert run_report(world, "totals", WEEK).rows == (
        (10, 5, 2, 0, 2, 1, 2 / 7, 28.0, Decimal("9.6"), None, 1),
    )
    found = columns(
        run_report(world, "models", WEEK), "model", "jobs", "completed", "failed", "cost", "uncosted_jobs"
    )
    assert found == [
        ("sora-2", 6, 3, 1, 0.8, 1),
        ("sora-2-pro", 2, 1, 0, 4.0, 0),
        ("mystery", 1, 0, 1, None, 0),
        ("veo-3.1", 1, 1, 0, 4.8, 0),
    ]


def test_days_are_those_of_the_reporting_time_zone(world):
    """j3 was made at 23:30 UTC on the second: in Berlin that is the third, 01:30."""
    for zone, days in (
        ("UTC", [2, 3, 1, 2, 2]),
        ("Europe/Berlin", [2, 2, 2, 2, 2]),
        ("Asia/Kolkata", [2, 2, 2, 2, 2]),
    ):
        chosen = Filter(NOW, since=at("05-01"), until=NOW, zone=zone)
        found = columns(run_report(world, "daily", chosen), "day", "jobs")
        assert found == [(date(2026, 5, day), jobs) for day, jobs in zip((1, 2, 3, 4, 8), days, strict=True)]


def test_a_day_on_which_the_clocks_change(own_world, totals):
    """Berlin's 29 March has 23 hours: from 23:00 UTC the day before until 22:00."""
    with own_world.begin() as conn:
        for job_id, created in (
            ("j1", "03-28 22:59"),
            ("j2", "03-28 23:00"),
            ("j3", "03-29 21:59"),
            ("j4", "03-29 22:00"),
        ):
            text = sa.text("UPDATE video_jobs SET created_at = :at WHERE job_id = :id")
            bound = text.bindparams(sa.bindparam("at", at(created), type_=_stored()))
            conn.execute(bound, {"id": job_id})
    if totals == "kept":
        recount_all(own_world)  # as who changes jobs by hand must
    chosen = Filter(NOW, since=at("03-01"), until=at("04-15"), zone="Europe/Berlin")
    assert columns(run_report(own_world, "daily", chosen), "day", "jobs") == [
        (date(2026, 3, 28), 1), (date(2026, 3, 29), 2), (date(2026, 3, 30), 1),
    ]  # fmt: skip


def _stored():
    from etl.db.types import UtcDateTime

    return UtcDateTime()


def test_the_range_takes_its_start_and_not_its_end(world):
    found = run_report(world, "jobs", Filter(NOW, since=at("05-01 10:00:00"), until=at("05-01 11:00:00")))
    assert columns(found, "job_id") == [("j1",)]


def test_sources_models_and_limits(world):
    table = run_report(world, "jobs", Filter(NOW, sources=("b",), models=("veo-3.1", "sora-2")))
    assert columns(table, "job_id") == [("j10",), ("j9",)]
    short = run_report(world, "jobs", Filter(NOW, limit=3))
    assert (len(short.rows), short.cut) == (3, True)
    assert not run_report(world, "jobs", Filter(NOW, limit=12)).cut
    with pytest.raises(ConfigError, match="there is no source 'c'"):
        check_sources(world, ("a", "c"))
    with pytest.raises(ConfigError, match="no report 'costs'"):
        run_report(world, "costs", WEEK)


def test_the_slowest_jobs_are_those_that_completed(world):
    found = columns(run_report(world, "slowest", WEEK), "job_id", "total_seconds")
    assert found == [("j6", 1200.0), ("j3", 600.0), ("j2", 300.0), ("j1", 100.0), ("j9", 60.0)]


def test_money_in_another_currency_is_not_added(own_world):
    import_prices(
        own_world, [Price(model="veo-3.1", price=Decimal("0.5"), valid_from=date(2026, 5, 4), currency="EUR")]
    )
    assert columns(run_report(own_world, "totals", WEEK), "cost", "other_costs") == [(4.8, "EUR 4")]
    euros = Filter(NOW, since=at("05-01"), until=NOW, currency="EUR")
    assert columns(run_report(own_world, "totals", euros), "cost", "other_costs") == [(4.0, "USD 4.8")]
    assert columns(run_report(own_world, "models", WEEK), "model", "cost", "other_costs")[-1] == (
        "veo-3.1",
        None,
        "EUR 4",
    )
    found = columns(run_report(own_world, "cost", WEEK), "model", "currency", "cost")
    assert ("veo-3.1", "EUR", 4.0) in found and ("sora-2", None, None) in found


def test_gaps_of_the_range(world):
    gap = UnseenPeriod("b", at("05-05"), at("05-05 12:00"), "the list was cut")
    assert find_unseen_periods(world, WEEK) == [gap]
    assert find_unseen_periods(world, Filter(NOW, since=at("05-06"))) == []
    assert find_unseen_periods(world, Filter(NOW, until=at("05-04"))) == []
    assert find_unseen_periods(world, Filter(NOW, sources=("a",))) == []


@pytest.mark.parametrize(
    ("text", "end", "meant"),
    [
        ("7d", False, NOW - timedelta(days=7)),
        ("24h", False, NOW - timedelta(hours=24)),
        ("yesterday", False, datetime(2026, 5, 6, 22, tzinfo=UTC)),
        ("yesterday", True, datetime(2026, 5, 7, 22, tzinfo=UTC)),
        ("2026-03-29", True, datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("2026-03-29", False, datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("2026-05-01T10:00", False, datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("2026-05-01t10:00z", False, datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("now", True, NOW),
    ],
)
def test_times_as_people_say_them(text, end, meant):
    assert parse_moment(text, NOW, "Europe/Berlin", end=end) == meant


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01", "7y", "999999w", "-3", "--3d"])
def test_what_is_no_time(text):
    with pytest.raises(ConfigError, match="not a date, a time or a length"):
        parse_moment(text, NOW, "UTC")


def test_a_length_is_counted_back_already():
    with pytest.raises(ConfigError, match="'-3D' is a negative length of time") as refused:
        parse_moment("-3D", NOW, "UTC")
    assert refused.value.hint == "write 3d: a length of time is already counted back from now"


def test_prices_follow_configuration_and_publication(own_world):
    assert ensure_prices(own_world) is False, "the migration has written the published prices"
    own = Price(model="sora-2", price=Decimal("0.2"), valid_from=date(2026, 5, 1))
    assert ensure_prices(own_world, [own]) is True
    assert ensure_prices(own_world, [own]) is False
    assert columns(run_report(own_world, "totals", WEEK), "cost") == [(11.2,)], (
        "two of 0.8, 4.0 and 4.8 as before"
    )
    assert ensure_prices(own_world, []) is True
    assert columns(run_report(own_world, "totals", WEEK), "cost") == [(9.6,)]


def test_a_range_chooses_whole_families(world):
    """Only j3 was added after the first of May, but its family counts with all it has."""
    table = run_report(world, "remixes", Filter(NOW, since=at("05-02"), until=at("05-04")))
    assert columns(table, "root_job_id", "jobs", "depth", "cost") == [("j1", 3, 2, 4.8)]
    assert run_report(world, "remixes", Filter(NOW, since=at("05-06"))).rows == ()
