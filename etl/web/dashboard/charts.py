"""Charts, drawn on the server: no script, no inline style, a few kilobytes. Places are percentages, so that
bars fit any width and texts keep their size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from etl.web.dashboard.time_axis import Slot

#: Labels below a chart, at most.
_LABELS = 6
_ROUND = (1, 2, 4, 6, 8, 10)
_SPANS = (10, 20, 30, 60, 120, 240, 360, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400)
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Bar:
    """Percentages of the field, from its upper left corner; `part` names the colour."""

    part: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class ChartColumn:
    """What stands over one slot: the place that a pointer finds, what is said of it, where it leads."""

    x: float
    width: float
    bars: tuple[Bar, ...]
    label: str
    href: str


@dataclass(frozen=True, slots=True)
class Line:
    """`paths` are runs of points in a field of len(columns) × 100; a gap is where nothing is known. A point
    alone is a dot: a line of no length with round ends."""

    part: str
    paths: tuple[str, ...]
    dots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """`ticks` are the values at the top, in the middle and at the foot; `below` the labels of time; `names`
    what the parts are called, where that is not their colour's name."""

    title: str
    rest: str
    columns: tuple[ChartColumn, ...]
    ticks: tuple[str, str, str]
    below: tuple[tuple[float, str], ...]
    parts: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    empty: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scale:
    """How values become heights: the round number at the top, and how one is written."""

    top: Callable[[float], float]
    show: Callable[[float], str]


Point = tuple[float | None, ...]


def draw_bars(
    title: str,
    rest: str,
    axis: Sequence[Slot],
    points: Sequence[Point],
    parts: Sequence[str],
    scale: Scale,
    said: Callable[[int], str],
    link: Callable[[Slot], str],
) -> Chart:
    """Stacked: one part over the other."""
    top = scale.top(max((sum(v or 0 for v in point) for point in points), default=0))
    wide = 100 / max(1, len(axis))
    columns = tuple(
        ChartColumn(
            round(n * wide, 3),
            round(wide, 3),
            _stack_bars(points[n], parts, top, (n + 0.1) * wide, 0.8 * wide),
            f"{slot.label}: {said(n)}",
            link(slot),
        )
        for n, slot in enumerate(axis)
    )
    empty = not any(column.bars for column in columns)
    legend = tuple(parts) if len(parts) > 1 else ()
    return Chart(title, rest, columns, _axis_ticks(scale, top), _slot_labels(axis), legend, empty=empty)


def draw_lines(
    title: str,
    rest: str,
    axis: Sequence[Slot],
    points: Sequence[Point],
    parts: Sequence[str],
    scale: Scale,
    link: Callable[[Slot], str],
) -> Chart:
    """One line for each part; a point is None where nothing is known."""
    top = scale.top(max((v for point in points for v in point if v is not None), default=0))
    wide = 100 / max(1, len(axis))
    columns = tuple(
        ChartColumn(
            round(n * wide, 3), round(wide, 3), (), _describe_point(slot, points[n], parts, scale), link(slot)
        )
        for n, slot in enumerate(axis)
    )
    drawn = tuple(_line_of_part(part, [point[n] for point in points], top) for n, part in enumerate(parts))
    empty = all(value is None for point in points for value in point)
    return Chart(
        title, rest, columns, _axis_ticks(scale, top), _slot_labels(axis), tuple(parts), drawn, empty
    )


def _stack_bars(point: Point, parts: Sequence[str], top: float, x: float, width: float) -> tuple[Bar, ...]:
    found, base = [], 100.0
    for part, value in zip(parts, point, strict=True):
        height = min(100.0, (value or 0) / top * 100)
        base -= height
        if height > 0:
            found.append(Bar(part, round(x, 3), round(base, 3), round(width, 3), round(height, 3)))
    return tuple(found)


def _line_of_part(part: str, values: Sequence[float | None], top: float) -> Line:
    runs: list[list[str]] = [[]]
    for n, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{n + 0.5:g} {100 - min(100.0, value / top * 100):.2f}")
    paths = tuple(f"M{' L'.join(run)}" for run in runs if len(run) > 1)
    return Line(part, paths, tuple(f"M{run[0]} h0" for run in runs if len(run) == 1))


def _describe_point(slot: Slot, point: Point, parts: Sequence[str], scale: Scale) -> str:
    known = [f"{part} {scale.show(v)}" for part, v in zip(parts, point, strict=True) if v is not None]
    return f"{slot.label}: {', '.join(known) or 'nothing'}"


def _axis_ticks(scale: Scale, top: float) -> tuple[str, str, str]:
    half = scale.show(top / 2)
    return scale.show(top), "" if half in (scale.show(top), scale.show(0)) else half, scale.show(0)


def _slot_labels(axis: Sequence[Slot]) -> tuple[tuple[float, str], ...]:
    """Every nth slot is named, and none so near the end that its name would not fit."""
    named = [n for n, slot in enumerate(axis) if slot.named] or [0]
    step = ceil(len(named) / _LABELS)
    places = ((100 * n / len(axis), axis[n].tick) for n in named[::step])
    return tuple((round(x, 3), text) for x, text in places if x <= 90)


# --- round numbers at the top ------------------------------------------------------------------


def round_number(most: float) -> float:
    if most <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(most))
    return next(n * unit for n in _ROUND if n * unit >= most * 0.9999)


def round_span(most: float) -> float:
    """A round length of time, in seconds."""
    if most > _SPANS[-1]:
        return round_number(most / 86400) * 86400
    return next(float(span) for span in _SPANS if span >= most)


def round_share(most: float) -> float:
    return next(share for share in _SHARES if most <= share)
