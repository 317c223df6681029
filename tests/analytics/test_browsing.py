"""What the dashboard asks: lists of jobs, what is open, percentiles over time, one tree."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.durations import durations_by_time, latency_percentiles
from etl.analytics.filters import Filter
from etl.analytics.jobs import Choice, OpenNow, count_jobs, count_open, every_job, list_jobs, recent_names
from etl.analytics.queries import Table, run_report
from etl.analytics.remix_tree import read_tree
from etl.errors import ConfigError
from tests.support.world import NOW, at

ALL = Filter(NOW)
SLOWEST = ["j6", "j3", "j2", "j1", "j9", "j12", "j11"]


@pytest.fixture
def world(shared_world):
    return shared_world


def ids(table: Table) -> list[str]:
    place = [column.name for column in table.columns].index("job_id")
    return [row[place] for row in table.rows]


BEHIND = [
    (Choice(ALL, only="open"), ["j8", "j7"]),
    (Choice(ALL, only="late"), ["j7"]),
    (Choice(ALL, only="stalled"), ["j7"]),
    (Choice(ALL, only="unpriced"), ["j6"]),
    (Choice(ALL, sort="-total_seconds"), SLOWEST),
    (Choice(ALL, slower=300), ["j6", "j3", "j2"]),
    (Choice(ALL, slower=300.001), ["j6", "j3"]),
    (Choice(ALL, failure="moderation"), ["j4"]),
    (Choice(ALL, failure="unknown"), ["j5"]),
    (Choice(ALL, code="moderation_blocked"), ["j4"]),
    (Choice(ALL, failure="quota"), []),
    (Choice(replace(ALL, providers=("azure",))), []),
    (Choice(replace(ALL, providers=("azure", "openai"), models=("mystery", "veo-3.1"))), ["j9", "j5"]),
    (Choice(replace(ALL, since=at("05-02"), until=at("05-03"))), ["j3", "j5", "j4"]),
    (Choice(replace(ALL, sources=("b",), statuses=("queued",))), ["j10"]),
]


def test_jobs_behind_a_number(world: sa.Engine):
    for choice, expected in BEHIND:
        assert ids(list_jobs(world, choice, 0, 50)) == expected, choice
        assert count_jobs(world, choice) == len(expected), choice
        assert [found for table in every_job(world, choice) for found in ids(table)] == expected, choice


def test_pages_of_jobs_follow_each_other(world: sa.Engine):
    whole = ids(list_jobs(world, Choice(ALL), 0, 50))
    parts = [ids(list_jobs(world, Choice(ALL), n, 5)) for n in (0, 5, 10)]
    assert len(whole) == 12 and parts[0] + parts[1] + parts[2] == whole


def test_the_whole_list_has_the_same_prices_as_a_page_of_it(world: sa.Engine):
    whole = [row for table in every_job(world, Choice(ALL)) for row in table.rows]
    assert whole == list(list_jobs(world, Choice(ALL), 0, 50).rows)


def test_open_now_whatever_the_range(world: sa.Engine):
    assert count_open(world, ALL) == OpenNow(2, 1, 1)
    assert count_open(world, replace(ALL, since=at("05-01"), until=at("05-02"))) == OpenNow(2, 1, 1)
    assert count_open(world, replace(ALL, sources=("b",))) == OpenNow(1, 0, 0)
    assert count_open(world, replace(ALL, now=NOW + timedelta(minutes=6))) == OpenNow(2, 2, 1)
    assert count_open(world, replace(ALL, models=("nothing",))) == OpenNow(0, 0, 0)


def test_names_to_choose_from(world: sa.Engine):
    providers, models = recent_names(world, replace(ALL, since=at("05-01"), models=("sora-2",)))
    assert (providers, models) == ({"openai"}, {"sora-2", "sora-2-pro", "veo-3.1", "mystery"})


def _rows(table: Table, part: str) -> list[tuple[Any, ...]]:
    return [(row[0], *row[2:]) for row in table.rows if row[1] == part]


def test_percentiles_day_by_day(world: sa.Engine):
    table = durations_by_time(world, replace(ALL, since=at("05-01")), hourly=False)
    assert _rows(table, "total") == [
        (date(2026, 5, 1), 2, 100, 300, 300),
        (date(2026, 5, 2), 1, 600, 600, 600),
        (date(2026, 5, 3), 1, 1200, 1200, 1200),
        (date(2026, 5, 4), 1, 60, 60, 60),
    ]
    assert _rows(table, "queue") == [(date(2026, 5, 1), 1, 30, 30, 30)]
    assert _rows(table, "render") == [(date(2026, 5, 1), 1, 90.5, 90.5, 90.5)]
    berlin = durations_by_time(
        world, replace(ALL, since=at("05-02"), until=at("05-03"), zone="Europe/Berlin"), hourly=False
    )
    assert [row[0] for row in _rows(berlin, "total")] == [date(2026, 5, 3)]


def test_percentiles_hour_by_hour(world: sa.Engine):
    table = durations_by_time(world, replace(ALL, since=at("05-01"), until=at("05-02")), hourly=True)
    assert _rows(table, "total") == [
        (at("05-01 10:00"), 1, 100, 100, 100),
        (at("05-01 11:00"), 1, 300, 300, 300),
    ]
    assert durations_by_time(world, replace(ALL, models=("none",)), hourly=True).rows == ()


def test_percentiles_of_all(world: sa.Engine):
    assert latency_percentiles(world, replace(ALL, since=at("05-01"))) == {
        50: 300,
        90: 1200,
        95: 1200,
        99: 1200,
    }
    assert latency_percentiles(world, replace(ALL, models=("mystery",))) == {}


def test_jobs_by_hour(world: sa.Engine):
    table = run_report(world, "hourly", replace(ALL, since=at("05-01"), until=at("05-03")))
    assert [row[:3] for row in table.rows] == [
        (at("05-01 10:00"), 1, 1),
        (at("05-01 11:00"), 1, 1),
        (at("05-02 09:00"), 2, 0),
        (at("05-02 23:00"), 1, 1),
    ]


def test_reports_of_one_provider(world: sa.Engine):
    for name in ("models", "daily", "failures", "open", "cache", "remixes", "freshness"):
        whole = run_report(world, name, replace(ALL, providers=("openai",)))
        assert name == "cache" or whole.rows == run_report(world, name, ALL).rows
        nothing = run_report(world, name, replace(ALL, providers=("azure",)))
        assert (nothing.rows == ()) == (name != "freshness")


def test_one_tree(world: sa.Engine):
    line = [("j1", 0), ("j2", 1), ("j3", 2)]
    for job_id, source, expected in (
        ("j1", None, line),
        ("j3", "a", line),
        ("gone", "b", [("j9", 1)]),
        ("j9", None, [("j9", 1)]),
        ("j11", None, [("j12", 0), ("j11", 1)]),
        ("j7", None, [("j7", 0)]),
    ):
        table = read_tree(world, job_id, source)
        assert list(zip(ids(table), (row[0] for row in table.rows), strict=True)) == expected


def test_no_such_tree(world: sa.Engine):
    for job_id, source in (("nobody", None), ("j9", "a"), ("j1", "nowhere")):
        with pytest.raises(ConfigError):
            read_tree(world, job_id, source)
