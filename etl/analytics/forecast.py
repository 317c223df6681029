"""What a month, week or day will have cost at its end. The method is simple enough to be done by hand:

what the days before today cost, today's spend or what is usual for its weekday (whichever is more), and what
is usual for the weekday of each day that is left. Usual is the mean of that weekday over the whole days among
the 28 before today; of a weekday that was not seen yet, the mean of all of them. Days are the reporting time
zone's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

#: So many days before today say what is usual: four of each weekday.
TRAILING = 28
_DAY = timedelta(days=1)

METHOD = (
    "forecast: spend before today, plus today's spend or this weekday's mean if that is more, plus the "
    f"weekday's mean for each day left; means of the {TRAILING} days before today"
)


@dataclass(frozen=True, slots=True)
class Forecast:
    """`days` is how many whole days the means come from; `usual_today` is that of today's weekday."""

    total: Decimal
    usual_today: Decimal
    days: int


def find_period(period: str, today: date) -> tuple[date, date]:
    """The first day of the month, week (from Monday) or day of `today`, and the first day after it."""
    if period == "day":
        return today, today + _DAY
    if period == "week":
        start = today - today.weekday() * _DAY
        return start, start + 7 * _DAY
    start = today.replace(day=1)
    return start, (start + 31 * _DAY).replace(day=1)


def forecast_period(
    spent: Mapping[date, Decimal], period: str, today: date, oldest: date | None
) -> Forecast | None:
    """`spent` by day; a day that is not in it cost nothing. `oldest` is the day of the oldest job, which is
    not whole. None while no whole day has passed since."""
    usual = _usual_by_weekday(spent, today, oldest)
    if usual is None:
        return None
    means, days = usual
    start, end = find_period(period, today)
    past = sum((spent.get(day, Decimal(0)) for day in _days_between(start, today)), Decimal(0))
    now = max(spent.get(today, Decimal(0)), means[today.weekday()])
    left = sum((means[day.weekday()] for day in _days_between(today + _DAY, end)), Decimal(0))
    return Forecast(past + now + left, means[today.weekday()], days)


def _usual_by_weekday(
    spent: Mapping[date, Decimal], today: date, oldest: date | None
) -> tuple[list[Decimal], int] | None:
    """The mean of each weekday, Monday first, and the number of days that they come from."""
    if oldest is None:
        return None
    whole = _days_between(max(today - TRAILING * _DAY, oldest + _DAY), today)
    if not whole:
        return None
    of_all = _mean_of([spent.get(day, Decimal(0)) for day in whole])
    means = []
    for weekday in range(7):
        known = [spent.get(day, Decimal(0)) for day in whole if day.weekday() == weekday]
        means.append(_mean_of(known) if known else of_all)
    return means, len(whole)


def _mean_of(amounts: list[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0)) / len(amounts)


def _days_between(first: date, end: date) -> list[date]:
    """The days from `first` up to, but not with, `end`."""
    return [first + n * _DAY for n in range((end - first).days)]
