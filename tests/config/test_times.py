"""One grammar of lengths and moments for settings, commands, pages and the simulator; values by hand."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import pytest

from etl import times
from etl.analytics.ranges import parse_moment
from etl.cli.export import _parse_moment
from etl.cli.status import parse_age
from etl.config.values import parse_duration
from etl.errors import ConfigError
from etl.simulator import cli

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
LENGTHS = [
    ("500ms", 0.5), ("30s", 30), ("15m", 900), ("1h30m", 5400), ("7d", 604800), ("2w", 1209600),
    ("1.5h", 5400), ("90", 90), ("0.25", 0.25), (" 1h 30m ", 5400), ("1H", 3600), ("1d12h", 129600),
]  # fmt: skip
NONE = ["", "h", "1y", "one day", "-5m", "1h-30m", "1.2.3s", "5 5", "1e3", "99999999999", "٣d"]


@pytest.mark.parametrize(("text", "seconds"), LENGTHS)
@pytest.mark.parametrize(
    "read",
    [times.parse_length, parse_duration, cli.parse_duration, lambda text: parse_age(text).total_seconds()],
)
def test_every_reader_of_lengths_agrees(read, text, seconds):
    assert read(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", NONE)
@pytest.mark.parametrize("read", [times.parse_length, parse_duration, parse_age])
def test_what_is_no_length_is_refused_with_what_is_one(read, text):
    with pytest.raises((ValueError, ConfigError)) as found:
        read(text)
    assert "1h30m" in f"{found.value} {getattr(found.value, 'hint', '')}" or "300 years" in str(found.value)


@pytest.mark.parametrize("text", [text for text in NONE if text != "99999999999"])
def test_the_simulator_refuses_the_same(text):
    with pytest.raises(argparse.ArgumentTypeError):
        cli.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "zone", "start", "end"),
    [
        ("now", "UTC", "2026-11-30T12:00", "2026-11-30T12:00"),
        ("7d", "UTC", "2026-11-23T12:00", "2026-11-23T12:00"),
        ("1h30m", "Asia/Kolkata", "2026-11-30T10:30", "2026-11-30T10:30"),
        ("today", "UTC", "2026-11-30T00:00", "2026-12-01T00:00"),
        ("yesterday", "Asia/Tokyo", "2026-11-28T15:00", "2026-11-29T15:00"),
        ("2026-01-31", "America/New_York", "2026-01-31T05:00", "2026-02-01T05:00"),
        ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("2026-01-31T14:00", "UTC", "2026-01-31T14:00", "2026-01-31T14:00"),
        ("2026-01-31T14:00+02:00", "Asia/Tokyo", "2026-01-31T12:00", "2026-01-31T12:00"),
        ("2026-01-31t14:00z", "Asia/Tokyo", "2026-01-31T14:00", "2026-01-31T14:00"),
        ("9999-12-31", "Pacific/Apia", "2200-01-01T00:00", "2200-01-02T00:00"),
        ("0001-01-01", "Pacific/Honolulu", "1969-12-31T00:00", "1970-01-01T00:00"),
    ],
)
def test_moments(text, zone, start, end):
    assert f"{parse_moment(text, NOW, zone):%Y-%m-%dT%H:%M}" == start
    assert f"{parse_moment(text, NOW, zone, end=True):%Y-%m-%dT%H:%M}" == end


def test_an_export_includes_the_day_that_it_ends_with():
    assert _parse_moment("2026-01-31", "--since") == datetime(2026, 1, 31, tzinfo=UTC)
    assert _parse_moment("2026-01-31", "--until", end=True) == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "31.01.2026", "2026-02-30", "2026-13-01", "7", "yesterdays"])
def test_what_is_no_moment_is_refused_with_what_is_one(text):
    with pytest.raises(ConfigError, match="not a date, a time or a length") as found:
        parse_moment(text, NOW, "UTC")
    assert "yesterday" in str(found.value.hint)
