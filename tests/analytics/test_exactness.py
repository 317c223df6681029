"""Times and ranges to the last microsecond, the same on every database; all expected values by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.cross_check import total_differences
from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.analytics.remix_tree import read_tree
from etl.db.types import UtcDateTime
from etl.load.lookup import known_jobs
from etl.load.totals import recount_all
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts, JobRow
from etl.schema.tables import daily_totals, sources, video_jobs
from etl.schema.views.dialects import make_dialect

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _job(key: str, created: datetime, took: timedelta | None = timedelta(seconds=10), **more: Any) -> JobRow:
    row: dict[str, Any] = dict.fromkeys(JobRow._fields) | {
        "job_id": key,
        "status": "completed",
        "settled": True,
    }
    row |= {"provider": "openai", "model": "sora-2", "size": "1280x720", "width": 1280, "height": 720}
    row |= {"seconds": 4.0, "content_hash": key, "created_at": created}
    row |= {"completed_at": None if took is None else created + took}
    return JobRow(**(row | more))


def _write(engine: sa.Engine, jobs: list[JobRow]) -> None:
    with engine.begin() as conn:
        if conn.scalar(sa.select(sa.func.count()).select_from(sources)) == 0:
            conn.execute(sa.insert(sources).values(id=1, name="a", base_url="http://x", created_at=NOW))
        known = known_jobs(conn, 1, [job.job_id for job in jobs])
        seen = [Seen(job, n, NOW, known.get(job.job_id)) for n, job in enumerate(jobs)]
        JobWriter(conn, 1, 1).write(seen, Counts())


def _rows(engine: sa.Engine, name: str, *columns: str, **chosen: Any) -> list[tuple[Any, ...]]:
    table = run_report(engine, name, Filter(NOW, **chosen))
    places = [[c.name for c in table.columns].index(each) for each in columns]
    return [tuple(row[place] for place in places) for row in table.rows]


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        ("2026-05-01 10:00:00.999500", "2026-05-01 10:00:01.999500", 1.0),
        ("2026-05-01 10:00:00.000000", "2026-05-01 10:00:00.999500", 1.0),
        ("2026-05-01 10:00:00.000000", "2026-05-01 10:00:00.999499", 0.999),
        ("2026-05-01 10:00:59.999500", "2026-05-01 10:01:00.000000", 0.001),
        ("2026-05-01 10:00:59.999501", "2026-05-01 10:01:00.000000", 0.0),
        ("2026-05-01 10:00:00.000000", "2026-05-01 10:00:01.000500", 1.001),
        ("2026-05-01 10:00:00.000000", "2026-05-01 10:00:00.000450", 0.0),
        ("2026-02-28 23:59:59.999999", "2026-03-01 00:00:00.000000", 0.0),
        ("2024-02-28 23:59:59.000000", "2024-03-01 00:00:00.250000", 86401.25),
        ("2026-05-01 10:00:01.000500", "2026-05-01 10:00:00.000000", -1.001),
    ],
)
def test_a_length_of_time(engine, start, end, seconds):
    with engine.connect() as conn:
        cast = "CAST({} AS timestamptz)" if conn.dialect.name == "postgresql" else "{}"
        d = make_dialect(conn.dialect.name)
        text = sa.text(f"SELECT {d.seconds(cast.format(':a'), cast.format(':b'))}")
        bound = (
            sa.bindparam(key, at(value), type_=UtcDateTime()) for key, value in (("a", start), ("b", end))
        )
        assert float(conn.execute(text.bindparams(*bound)).scalar()) == seconds


def test_the_last_moment_of_a_day_is_that_day_s(engine):
    """In Berlin (UTC+2) 21:59:59.9996 is still the first of May, in Kolkata (UTC+5:30) the second."""
    _write(engine, [_job("x", at("2026-05-01 21:59:59.999600"))])
    days = {
        zone: _rows(engine, "daily", "day", zone=zone)[0][0]
        for zone in ("UTC", "Europe/Berlin", "Asia/Kolkata")
    }
    assert days == {
        "UTC": date(2026, 5, 1),
        "Europe/Berlin": date(2026, 5, 1),
        "Asia/Kolkata": date(2026, 5, 2),
    }


def test_hours_begin_as_the_clocks_of_the_zone_say(engine):
    """Kathmandu is 5:45 ahead: 10:10 UTC is 15:55 there, in the hour that began at 9:15 UTC."""
    _write(engine, [_job("x", at("2026-05-01 10:10")), _job("y", at("2026-05-01 10:20"))])
    assert _rows(engine, "hourly", "hour", "jobs", zone="Asia/Kathmandu") == [
        (at("2026-05-01 09:15"), 1), (at("2026-05-01 10:15"), 1),
    ]  # fmt: skip
    assert _rows(engine, "hourly", "hour", "jobs", zone="Asia/Kolkata") == [(at("2026-05-01 09:30"), 2)]
    assert _rows(engine, "hourly", "hour", "jobs", zone="Europe/Berlin") == [(at("2026-05-01 10:00"), 2)]


def test_weeks_and_months(engine):
    """2026-05-03 is a Sunday; in Berlin 22:30 UTC is Monday the fourth already."""
    made = [at("2026-04-30 12:00"), at("2026-05-03 12:00"), at("2026-05-03 22:30"), at("2026-05-04 12:00")]
    _write(engine, [_job(str(n), moment) for n, moment in enumerate(made)])
    april, may = date(2026, 4, 27), date(2026, 5, 4)
    assert _rows(engine, "weekly", "week", "jobs") == [(april, 3), (may, 1)]
    assert _rows(engine, "weekly", "week", "jobs", zone="Europe/Berlin") == [(april, 2), (may, 2)]
    assert _rows(engine, "monthly", "month", "jobs", "cost") == [
        (date(2026, 4, 1), 1, Decimal("0.4")), (date(2026, 5, 1), 3, Decimal("1.2")),
    ]  # fmt: skip


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("name", ["totals", "models", "cost"])
def test_ranges_take_whole_days_from_totals_and_the_rest_from_jobs(engine, name, zone):
    """Nine jobs at the edges of days; each range's number is counted by hand."""
    moments = ["04-30 23:59:59.999999", "05-01 00:00:00", "05-01 12:00:00", "05-01 23:59:59.999999",
               "05-02 00:00:00",
               "05-02 12:00:00", "05-03 00:00:00", "05-03 00:00:00.000001", "05-03 12:00:00"]  # fmt: skip
    _write(
        engine,
        [_job(str(n), at(f"2026-{text}")) for n, text in enumerate(moments)]
        + [_job("none", NOW, created_at=None)],
    )
    ranges = {
        (None, None): 10, (None, "05-02 00:00:00"): 4, ("05-01 00:00:00", None): 8,
        ("05-01 00:00:00", "05-02 00:00:00"): 3, ("05-01 00:00:00.000001", "05-03 00:00:00"): 4,
        ("05-01 12:00:00", "05-03 00:00:00.000001"): 5, ("05-01 12:00:00.000001", "05-03 12:00:00"): 5,
        ("05-01 12:00:00", "05-01 23:59:59.999999"): 1, ("05-02 00:00:01", "05-02 23:00:00"): 1,
    }  # fmt: skip
    for (since, until), jobs in ranges.items():
        chosen = {
            "since": since and at(f"2026-{since}"),
            "until": until and at(f"2026-{until}"),
            "zone": zone,
        }
        assert sum(row[0] for row in _rows(engine, name, "jobs", **chosen)) == jobs, (since, until)


def test_what_ended_before_it_began_has_no_latency(engine):
    _write(
        engine,
        [_job("back", NOW, -timedelta(seconds=5)), _job("on", NOW), _job("at once", NOW, timedelta(0))],
    )
    for since in (None, NOW - timedelta(days=1)):
        assert _rows(engine, "latency", "jobs", "fastest", "slowest", since=since) == [(2, 0.0, 10.0)]


def test_a_long_chain_of_remixes_is_one_family(engine):
    chain = [_job(f"v{n:03}", NOW, remixed_from_job_id=f"v{n - 1:03}" if n else None) for n in range(120)]
    _write(engine, chain)
    assert _rows(engine, "remixes", "root_job_id", "jobs", "depth", "is_cycle") == [("v000", 120, 119, False)]
    assert len(read_tree(engine, "v119").rows) == 120


def test_totals_are_checked_cell_by_cell(engine):
    _write(engine, [_job(str(n), NOW + timedelta(seconds=n), timedelta(seconds=n)) for n in range(5)])
    assert total_differences(engine) == []
    with engine.begin() as conn:  # the sum stays what it was
        conn.execute(sa.update(video_jobs).where(video_jobs.c.job_id == "3").values(model="sora-9"))
    found = total_differences(engine)
    assert len(found) == 6 and any("daily_totals has 5 jobs where 4 are stored" in each for each in found), (
        found
    )
    assert recount_all(engine) == 5 and total_differences(engine) == []
    with engine.begin() as conn:
        conn.execute(sa.update(daily_totals).values(jobs=-1))
    assert any("daily_totals has -1 jobs where" in each for each in total_differences(engine))
