"""The month-end forecast, by hand: what was spent, and what is usual for today and each day left."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from etl.analytics.forecast import find_period, forecast_period

TODAY = date(2026, 4, 15)  # a Wednesday; April has 30 days
LONG_AGO = date(2026, 1, 1)


def days(first: date, *amounts: int) -> dict[date, Decimal]:
    return {first + timedelta(days=n): Decimal(amount) for n, amount in enumerate(amounts)}


def test_usual_weekdays_are_added_to_what_was_spent() -> None:
    """28 days from Wednesday 18 March to Tuesday 14 April: 10 on each, but 2 on Saturdays and Sundays."""
    spent = {
        day: Decimal(2 if day.weekday() >= 5 else 10)
        for day in (date(2026, 3, 18) + timedelta(days=n) for n in range(28))
    }
    spent[TODAY] = Decimal(3)
    found = forecast_period(spent, "month", TODAY, LONG_AGO)
    # 1 to 14 April: 10 weekdays, 4 days of weekends (4, 5, 11, 12): 108. Today 10, as 3 is less than usual.
    # 16 to 30 April: 11 weekdays, 4 days of weekends (18, 19, 25, 26): 118.
    assert found is not None and found.total == Decimal(108 + 10 + 118)
    assert found.days == 28 and found.usual_today == Decimal(10)


def test_a_day_that_costs_more_than_usual_counts_as_it_is() -> None:
    spent = days(date(2026, 4, 8), *([1] * 7)) | {TODAY: Decimal(50)}
    found = forecast_period(spent, "week", TODAY, date(2026, 4, 7))
    # Monday and Tuesday 1 each, today 50, Thursday to Sunday 1 each.
    assert found is not None and found.total == Decimal(2 + 50 + 4)


def test_days_without_spend_count_in_the_mean() -> None:
    """Four Wednesdays, one of them with 8: usual is 2. Nothing on other weekdays."""
    found = forecast_period({date(2026, 4, 8): Decimal(8)}, "day", TODAY, LONG_AGO)
    assert found is not None and found.total == Decimal(2)


def test_a_short_history_has_a_mean_of_the_days_that_there_are() -> None:
    """The first job came on Sunday; Monday 4 and Tuesday 6 are whole. Nothing is known of Wednesdays: 5."""
    spent = days(date(2026, 4, 12), 100, 4, 6) | {TODAY: Decimal(1)}
    found = forecast_period(spent, "week", TODAY, date(2026, 4, 12))
    # Monday 4, Tuesday 6, Wednesday to Saturday 5 each, and Sunday 5: Sunday the 12th was not whole.
    assert found is not None and (found.total, found.days) == (Decimal(4 + 6 + 5 * 5), 2)


@pytest.mark.parametrize("first", [None, TODAY, date(2026, 4, 14), date(2026, 5, 1)])
def test_without_a_whole_day_there_is_no_forecast(first: date | None) -> None:
    assert forecast_period({TODAY: Decimal(3)}, "month", TODAY, first) is None


@pytest.mark.parametrize(
    ("period", "today", "start", "end"),
    [
        ("month", date(2024, 2, 29), date(2024, 2, 1), date(2024, 3, 1)),
        ("month", date(2026, 12, 31), date(2026, 12, 1), date(2027, 1, 1)),
        ("week", date(2026, 4, 15), date(2026, 4, 13), date(2026, 4, 20)),
        ("week", date(2027, 1, 1), date(2026, 12, 28), date(2027, 1, 4)),
        ("day", date(2026, 3, 29), date(2026, 3, 29), date(2026, 3, 30)),
    ],
)
def test_periods(period: str, today: date, start: date, end: date) -> None:
    assert find_period(period, today) == (start, end)


def test_a_leap_february_has_its_last_day() -> None:
    """28 days at 1; today is Thursday 29 February 2024, the last day of the month: 28 + max(0, 1)."""
    spent = days(date(2024, 2, 1), *([1] * 28))
    found = forecast_period(spent, "month", date(2024, 2, 29), date(2023, 1, 1))
    assert found is not None and found.total == Decimal(29)
