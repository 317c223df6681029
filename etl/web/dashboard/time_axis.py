"""The time axis of the charts: minutes or hours for short ranges, days for others, each with the address of
its jobs. A range that counts back from now begins where a bar does, so that no bar is a part of one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from etl.analytics.filters import Filter
from etl.web.dashboard.buckets import is_hourly, is_minutely
from etl.web.dashboard.links import hour_of, minute_of

#: More bars than this are joined, so that each can still be seen.
MOST = 120
#: Longer ranges that cannot be joined are drawn from the first to the last day with something in it.
_ALL_DAYS_UP_TO = timedelta(days=1100)
_MINUTE, _QUARTER, _HOUR, _DAY = (timedelta(minutes=n) for n in (1, 15, 60, 24 * 60))
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


def make_slots(
    chosen: Filter, keys: Iterable[SlotKey], *, join: bool = True, minutes: bool = False
) -> list[Slot]:
    """The whole range, also where nothing is; an open beginning is the oldest of `keys`. `minutes`: where the
    range is short enough."""
    if minutes and is_minutely(chosen):
        found = _minute_slots(chosen)
    else:
        found = _hour_slots(chosen) if is_hourly(chosen) else _day_slots(chosen, sorted(set(keys)), join)
    if chosen.since is not None:  # a bar leads to the jobs it counts: a range may begin within a day
        found[0] = replace(
            found[0], since=_next_second(chosen.since), label=_label_of_first(found[0], chosen)
        )
    if chosen.until is not None:
        found[-1] = replace(found[-1], until=_next_second(chosen.until))
    return found


def _label_of_first(slot: Slot, chosen: Filter) -> str:
    """A bar that the range begins in says that it is a part of one."""
    assert chosen.since is not None
    if isinstance(slot.keys[0], datetime):
        cut = chosen.since > slot.keys[0]
    else:
        here = chosen.since.astimezone(ZoneInfo(chosen.zone))
        cut = here.time() != datetime.min.time() and here.date() == slot.keys[0]
    here = chosen.since.astimezone(ZoneInfo(chosen.zone))
    return f"{slot.label}, only from {here:%H:%M}" if cut else slot.label


def _minute_slots(chosen: Filter) -> list[Slot]:
    assert chosen.since is not None
    zone, first = ZoneInfo(chosen.zone), chosen.since.replace(second=0, microsecond=0)
    count = max(1, ceil(((chosen.until or chosen.now) - first) / _MINUTE))
    return [_minute_slot(first + n * _MINUTE, zone, 15 if count > 30 else 5) for n in range(count)]


def _minute_slot(start: datetime, zone: ZoneInfo, every: int) -> Slot:
    here = start.astimezone(zone)
    return Slot(
        keys=(start,),
        **minute_of(start),
        label=f"{here:%a %d %b %H:%M %Z}",
        tick=f"{here:%H:%M}",
        named=here.minute % every == 0,
    )


def _next_second(moment: datetime) -> str:
    """The next whole second, as an address has it; the gateway's clock shows no parts of it."""
    return f"{moment + timedelta(microseconds=-moment.microsecond % 1_000_000):%Y-%m-%dT%H:%M:%SZ}"


def _hour_slots(chosen: Filter) -> list[Slot]:
    assert chosen.since is not None
    zone, end = ZoneInfo(chosen.zone), chosen.until or chosen.now
    first = _start_of_hour(chosen.since, zone)
    quarters = range(max(1, ceil((end - first) / _QUARTER)))
    starts = sorted({_start_of_hour(first + n * _QUARTER, zone) for n in quarters})
    every = 4 if len(starts) <= 30 else 12
    befores = [starts[0] - _HOUR, *starts]
    return [
        _hour_slot(start, before + _HOUR, zone, every) for before, start in zip(befores, starts, strict=False)
    ]


def _start_of_hour(moment: datetime, zone: ZoneInfo) -> datetime:
    """As the clocks cut it: India's hours begin at half past those of UTC, Lord Howe's by turns."""
    here = moment.astimezone(zone)
    return moment - timedelta(minutes=here.minute, seconds=here.second, microseconds=here.microsecond)


def _hour_slot(start: datetime, free: datetime, zone: ZoneInfo, every: int) -> Slot:
    """`free`: where the hour before ends. Clocks that are moved by half an hour begin one within it."""
    here = start.astimezone(zone)
    return Slot(
        keys=(start,),
        **hour_of(start) | ({"since": f"{free:%Y-%m-%dT%H:%MZ}"} if free > start else {}),
        label=f"{here:%a %d %b %H:%M %Z}",
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
