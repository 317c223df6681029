"""Bars stand for whole minutes, hours and days of the reporting time zone; a part of one says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from etl.analytics.filters import Filter
from etl.config import Reporting
from etl.web.dashboard.filters import PageQuery
from etl.web.dashboard.time_axis import make_slots
from tests.dashboard.site import Site

#: Half past two in the afternoon in Berlin, on the day after its clocks went forward.
NOW = datetime(2026, 3, 30, 12, 34, 56, tzinfo=UTC)


def begin(since: str, zone: str = "UTC", now: datetime = NOW) -> str:
    found = PageQuery(since=since).chosen(now, Reporting(timezone=zone)).since
    assert found is not None
    return f"{found:%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("since", "zone", "expected"),
    [
        ("1h", "UTC", "03-30 11:34:00"),
        ("2h", "Asia/Kolkata", "03-30 10:34:00"),
        ("24h", "UTC", "03-29 12:00:00"),
        ("24h", "Asia/Kolkata", "03-29 12:30:00"),  # its hours begin at half past
        ("7d", "UTC", "03-23 00:00:00"),
        ("7d", "Europe/Berlin", "03-22 23:00:00"),  # midnight in winter
        ("1d", "Europe/Berlin", "03-29 12:00:00"),
        ("2026-03-23T14:20", "UTC", "03-23 14:20:00"),  # as written
        ("today", "Europe/Berlin", "03-29 22:00:00"),
    ],
)
def test_a_range_that_counts_back_begins_with_a_bar(since: str, zone: str, expected: str) -> None:
    assert begin(since, zone) == expected


def chosen(since: datetime, zone: str = "UTC") -> Filter:
    return Filter(NOW, since=since, zone=zone)


def test_an_hour_is_drawn_in_minutes() -> None:
    slots = make_slots(chosen(NOW.replace(second=0) - timedelta(hours=1)), [], minutes=True)
    assert len(slots) == 61
    assert (slots[0].label, slots[0].since) == ("Mon 30 Mar 11:34 UTC", "2026-03-30T11:34:00Z")
    assert slots[1].until == "2026-03-30T11:36Z"


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-04-04", "13:00 14:00 14:30 15:30 16:30"), ("2026-10-03", "13:30 14:30 15:00 16:00 17:00")],
)
def test_an_hour_has_its_bar_where_clocks_move_by_half_of_one(day: str, hours: str) -> None:
    """Lord Howe moves at 15:00 UTC in April, half past in October; the report's hours begin as here."""
    first, last = (datetime.fromisoformat(f"{day}T{hours.split()[n]}Z") for n in (0, -1))
    slots = make_slots(replace(chosen(first, "Australia/Lord_Howe"), until=last + timedelta(hours=1)), [])
    assert [f"{key:%H:%M}" for slot in slots for key in slot.keys] == hours.split()
    ends = [(slot.since[11:16], slot.until[11:16]) for slot in slots]
    assert all(end == begin for (_, end), (begin, _) in pairwise(ends))


def test_labels_say_the_zone_and_which_bar_is_a_part() -> None:
    part = make_slots(chosen(datetime(2026, 3, 29, 14, 20, tzinfo=UTC), "Europe/Berlin"), [])
    assert part[0].label == "Sun 29 Mar 16:00 CEST, only from 16:20"
    assert part[1].label == "Sun 29 Mar 17:00 CEST"
    begun = replace(chosen(NOW.replace(minute=5)), until=NOW.replace(hour=13, minute=2))
    assert [slot.label[11:16] for slot in make_slots(begun, [])] == ["12:00", "13:00"]
    days = make_slots(chosen(datetime(2026, 3, 20, 8, 0, tzinfo=UTC), "Europe/Berlin"), [])
    assert days[0].label == "Fri 20 Mar 2026, only from 09:00"
    whole = make_slots(chosen(datetime(2026, 3, 22, 23, 0, tzinfo=UTC), "Europe/Berlin"), [])
    assert whole[0].label == "Mon 23 Mar 2026"


def test_a_range_of_days_that_was_made_whole_is_still_drawn_in_hours() -> None:
    found = PageQuery(since="3d").chosen(NOW, Reporting())
    assert len(make_slots(found, [])) == 73


def test_the_page_of_an_hour(site: Site) -> None:
    for since in ("1h", "10m", "2h"):
        assert site.get(f"/?since={since}").status == 200
    assert site.get("/tables/minutely?since=2h").status == 200
    assert "times in UTC" in site.get("/?since=7d").text and "from 20" in site.get("/?since=7d").text
