"""Ranges of time as people say them, and days as their clocks cut them."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from etl import times
from etl.errors import ConfigError
from etl.schema.totals_tables import HOURS
from etl.schema.views.columns import MovedHours
from etl.schema.views.dialects import Dialect


def parse_moment(text: str, now: datetime, zone: str, *, end: bool = False) -> datetime:
    """As `times.parse_moment`, which see. Raises ConfigError."""
    try:
        return times.parse_moment(text, now, zone, end=end)
    except times.NoTime as exc:
        raise ConfigError(str(exc), hint=exc.hint) from None


def local_day(d: Dialect, column: str, zone: str, since: datetime, until: datetime) -> str:
    """The day of `column` in `zone`, for instants from `since` to `until`.

    The databases' own time zones differ, and SQLite has none: the offsets in force are written out, one for
    each time that the clocks change.
    """
    return _by_offset(
        column, zone, since, until, d, lambda ahead: d.day(d.shifted(column, ahead) if ahead else column)
    )


def on_another_day(d: Dialect, column: str, zone: str, since: datetime, until: datetime) -> str | None:
    """A condition that holds where the day of `column` in `zone` is not UTC's, for instants from `since` to
    `until`; None where it never is. The time of day rules most out before the offsets are looked at."""
    ahead = {offset for _, offset in _offset_stretches(ZoneInfo(zone), since, until)}
    near = []
    if (most := max(ahead, default=0)) > 0:
        near.append(f"{d.clock(column)} >= {d.time_of_day(86_400 - most)}")
    if (least := min(ahead, default=0)) < 0:
        near.append(f"{d.clock(column)} < {d.time_of_day(-least)}")
    if not near:
        return None
    return f"({' OR '.join(near)}) AND {local_day(d, column, zone, since, until)} <> {d.day(column)}"


def find_moved_hours(zone: str, since: datetime, until: datetime, d: Dialect) -> MovedHours | None:
    """What `zone` moves of the hours that totals count, for instants from `since` to `until`."""
    stretches = _offset_stretches(ZoneInfo(zone), since, until)
    changes = [end for end, _ in stretches[:-1]]
    if any(ahead % 3600 for _, ahead in stretches) or any(end.minute or end.second for end in changes):
        return None
    if not any(ahead for _, ahead in stretches):
        return MovedHours()
    cases = list(_moved_by_day(stretches))
    jobs = _case_by_day(
        [(until, " + ".join(f"j.{HOURS[h]}" for h in hours) or "0") for until, hours, _ in cases]
    )
    day = _case_by_day([(until, d.day_after("j.day", step) if step else "j.day") for until, _, step in cases])
    return MovedHours(jobs, day)


def _moved_by_day(stretches: Sequence[tuple[datetime, int]]) -> Iterator[tuple[date | None, list[int], int]]:
    """The first UTC day after it, hours moved, and days that they are moved by, of each stretch of days
    alike: those without a change of the clocks, and each with one. The last has no end."""
    for (end, ahead), (_, later) in pairwise(stretches):
        day, hour = end.astimezone(UTC).date(), end.astimezone(UTC).hour
        yield day, *_moved_hours([ahead] * 24)
        yield day + timedelta(days=1), *_moved_hours([ahead] * hour + [later] * (24 - hour))
    yield None, *_moved_hours([stretches[-1][1]] * 24)


def _moved_hours(ahead: list[int]) -> tuple[list[int], int]:
    """Hours of a UTC day that stand on another one, by how far ahead (s) the clocks are in each. No zone is
    ahead and behind on one day."""
    steps = [(hour + offset // 3600) // 24 for hour, offset in enumerate(ahead)]
    return [hour for hour, step in enumerate(steps) if step], max(steps) or min(steps)


def _case_by_day(cases: list[tuple[date | None, str]]) -> str:
    whens = "".join(f" WHEN j.day < '{until}' THEN {sql}" for until, sql in cases if until is not None)
    return f"CASE{whens} ELSE {cases[-1][1]} END" if whens else cases[-1][1]


def local_hour(d: Dialect, column: str, zone: str, since: datetime, until: datetime) -> str:
    """The UTC text of the instant at which the hour of `column` begins on the clocks of `zone`.

    In India hours begin at half past those of UTC.
    """

    def hour(ahead: int) -> str:
        past = ahead % 3600
        return d.hour_past(column, past) if past else d.hours(column)

    return _by_offset(column, zone, since, until, d, hour)


def _by_offset(
    column: str, zone: str, since: datetime, until: datetime, d: Dialect, sql: Callable[[int], str]
) -> str:
    """What `sql` gives for the seconds that the clocks are ahead of UTC, whatever those are at `column`."""
    offsets = _offset_stretches(ZoneInfo(zone), since, until) or (
        (until, _offset_seconds(ZoneInfo(zone), until)),
    )
    cases = [sql(offset) for _, offset in offsets]
    if len(set(cases)) == 1:
        return cases[0]
    whens = "".join(
        f" WHEN {column} < {d.instant(end)} THEN {case}"
        for (end, _), case in zip(offsets, cases, strict=True)
    )
    return f"CASE{whens} ELSE {cases[-1]} END"


@lru_cache(maxsize=64)  # a report asks for its range several times; two centuries have 84,000 days
def _offset_stretches(zone: ZoneInfo, since: datetime, until: datetime) -> tuple[tuple[datetime, int], ...]:
    """(end, seconds ahead of UTC) of each stretch of time without a change of the clocks."""
    return tuple(_find_stretches(zone, since, until))


def _find_stretches(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, int]]:
    start, day = since, timedelta(days=1)
    while start < until:
        end, ahead = start, _offset_seconds(zone, start)
        while end < until and _offset_seconds(zone, end) == ahead:
            end += day
        end = min(end, until)
        if _offset_seconds(zone, end) != ahead:
            end = _find_offset_change(zone, max(start, end - day), end)
        yield end, ahead
        start = end


def _find_offset_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second with the new offset."""
    old = _offset_seconds(zone, before)
    span = range(int((after - before).total_seconds()) + 1)
    return before + timedelta(
        seconds=bisect(span, 0, key=lambda s: _offset_seconds(zone, before + timedelta(seconds=s)) != old)
    )


def _offset_seconds(zone: ZoneInfo, at: datetime) -> int:
    ahead = at.astimezone(zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())
