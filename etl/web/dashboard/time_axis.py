"""The time axis of the charts: hours for short ranges, days for others, each with the address of its jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from etl.analytics.filters import Filter
from etl.web.dashboard.links import hour_of

#: Ranges up to this length are cut in hours.
HOURS_UP_TO = timedelta(days=3)
#: More bars than this are joined, so that each can still be seen.
MOST = 120
#: Longer ranges that cannot be joined are drawn from the first to the last day with something in it.
_ALL_DAYS_UP_TO = timedelta(days=1100)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
#: A day, or the start of an hour in UTC: UTC's hours are also those of most clocks.
SlotKey = date | datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """What one bar stands for: the `keys` in it; `since` and `until` as an address has them. `named`: it may
    have a label below."""

    keys: tuple[SlotKey, ...]
    since: str
    until: str
    label: str
    tick: str
    named: bool = True


def is_hourly(chosen: Filter) -> bool:
    return chosen.since is not None and (chosen.until or chosen.now) - chosen.since <= HOURS_UP_TO


def make_slots(chosen: Filter, keys: Iterable[SlotKey], *, join: bool = True) -> list[Slot]:
    """The whole range, also where nothing is; an open beginning is the oldest of `keys`."""
    found = _hour_slots(chosen) if is_hourly(chosen) else _day_slots(chosen, sorted(set(keys)), join)
    if chosen.since is not None:  # a bar leads to the jobs it counts: a range may begin within a day
        found[0] = replace(found[0], since=_next_second(chosen.since))
    if chosen.until is not None:
        found[-1] = replace(found[-1], until=_next_second(chosen.until))
    return found


def _next_second(moment: datetime) -> str:
    """The next whole second, as an address has it; the gateway's clock shows no parts of it."""
    return f"{moment + timedelta(microseconds=-moment.microsecond % 1_000_000):%Y-%m-%dT%H:%M:%SZ}"


def _hour_slots(chosen: Filter) -> list[Slot]:
    assert chosen.since is not None
    here = chosen.since.astimezone(ZoneInfo(chosen.zone))  # India's hours begin at half past those of UTC
    first = here.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    count = max(1, ceil(((chosen.until or chosen.now) - first) / _HOUR))
    zone = ZoneInfo(chosen.zone)
    return [_hour_slot(first + n * _HOUR, zone, 4 if count <= 30 else 12) for n in range(count)]


def _hour_slot(start: datetime, zone: ZoneInfo, every: int) -> Slot:
    here = start.astimezone(zone)
    return Slot(
        keys=(start,),
        **hour_of(start),
        label=f"{here:%a %d %b %H:%M}",
        tick=f"{here:%d %b}" if here.hour == 0 else f"{here:%H:%M}",
        named=here.hour % every == 0,
    )


def _day_slots(chosen: Filter, keys: list[SlotKey], join: bool) -> list[Slot]:
    zone = ZoneInfo(chosen.zone)
    end = ((chosen.until or chosen.now) - timedelta(microseconds=1)).astimezone(zone).date()
    first = chosen.since.astimezone(zone).date() if chosen.since else _date_of_key(keys[0]) if keys else end
    if not join and end - first > _ALL_DAYS_UP_TO:  # where nothing is, nothing is drawn
        first, end = (
            (max(first, _date_of_key(keys[0])), min(end, _date_of_key(keys[-1]))) if keys else (end, end)
        )
    days = max(1, (end - first).days + 1)
    step = ceil(days / MOST) if join else 1
    return [
        _days_slot(first + timedelta(days=n), min(first + timedelta(days=n + step - 1), max(end, first)))
        for n in range(0, days, step)
    ]


def _date_of_key(key: SlotKey) -> date:
    return key.date() if isinstance(key, datetime) else key


def _days_slot(first: date, last: date) -> Slot:
    keys = tuple(first + timedelta(days=n) for n in range((last - first).days + 1))
    label = f"{first:%a %d %b %Y}" if first == last else f"{first:%d %b} to {last:%d %b %Y}"
    return Slot(keys, f"{first}", f"{last}", label, f"{first:%d %b}")
