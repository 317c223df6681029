"""Bars, drawn on the server: no script, no inline style, a few kilobytes. Text stays outside the drawing, so
that it keeps its size on a phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

#: More bars than this are joined, so that each can still be seen.
MOST = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle in a field of 100 units height; `part` names its colour."""

    part: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """What stands over one day, or a few."""

    x: int
    first: date
    last: date
    bars: tuple[Bar, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    columns: tuple[Column, ...]
    top: str
    parts: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not any(bar.height for column in self.columns for bar in column.bars)


Values = dict[date, tuple[float, ...]]


def by_day(
    title: str,
    days: Values,
    parts: Sequence[str],
    show: Callable[[tuple[float, ...]], str],
    *,
    join: Callable[[Sequence[tuple[float, ...]]], tuple[float, ...]],
    heights: Callable[[tuple[float, ...]], tuple[float, ...]] = lambda values: values,
    top: float | None = None,
    show_top: Callable[[float], str] = lambda number: f"{number:,.0f}",
    ends: tuple[date | None, date | None] = (None, None),
) -> Chart:
    """`days` holds numbers; `join` adds up several days, `heights` makes bars of them, `top` is 100 %.

    `ends` are the first and last day of the range, where it has them: days without anything are shown too.
    """
    if not days:
        return Chart(title, (), "")
    spans = list(_spans(min(ends[0] or min(days), min(days)), max(ends[1] or max(days), max(days))))
    sums = [join([days[day] for day in _each(*span) if day in days]) for span in spans]
    tall = top or max((sum(heights(values)) for values in sums), default=0) or 1
    columns = tuple(
        Column(
            place, first, last, _stack(heights(values), parts, tall), f"{_name(first, last)}: {show(values)}"
        )
        for place, ((first, last), values) in enumerate(zip(spans, sums, strict=True))
    )
    return Chart(title, columns, show_top(tall), tuple(parts) if len(parts) > 1 else ())


def _spans(first: date, last: date) -> list[tuple[date, date]]:
    days = (last - first).days + 1
    step = ceil(days / MOST)
    starts = [first + timedelta(days=n) for n in range(0, days, step)]
    return [(start, min(last, start + timedelta(days=step - 1))) for start in starts]


def _each(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _stack(values: tuple[float, ...], parts: Sequence[str], tall: float) -> tuple[Bar, ...]:
    bars, base = [], 100.0
    for part, value in zip(parts, values, strict=True):
        height = round(min(100.0, value / tall * 100), 3)
        base = round(base - height, 3)
        if height > 0:
            bars.append(Bar(part, base, height))
    return tuple(bars)


def _name(first: date, last: date) -> str:
    return f"{first:%a %d %b}" if first == last else f"{first:%d %b} to {last:%d %b}"
