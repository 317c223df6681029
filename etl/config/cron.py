"""Cron lines: which are right, and when they fire, as Debian's cron reads them (cronsim)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from etl.config.secret import Wrong
from etl.records import as_utc

#: What each field takes, by the name that cronsim has for it; and its greatest step.
_FIELDS = {
    "minute": ("0–59", 59),
    "hour": ("0–23", 23),
    "day-of-month": ("1–31 (in one of the months, if some are named)", 31),
    "month": ("1–12 or jan–dec", 12),
    "day-of-week": ("0–7 or sun–sat, 0 and 7 being Sunday", 7),
}


def parse_cron(value: Any) -> str:
    """A cron line of five fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday)."""
    fields = value.lower().split() if isinstance(value, str) else []
    if len(fields) != len(_FIELDS):
        raise Wrong("expects five fields: minute hour day-of-month month day-of-week")
    for text, (name, (_, most)) in zip(fields, _FIELDS.items(), strict=True):
        if any(int(step) > most for step in re.findall(r"/(\d+)", text)):
            raise _wrong_field(name)
    from cronsim import CronSim, CronSimError  # most configurations have no such line

    try:
        CronSim(line := " ".join(fields), datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as exc:
        raise _wrong_field(str(exc).rpartition(" ")[2]) from None
    return line


def _wrong_field(name: str) -> Wrong:
    said = name.replace("-", " ")
    return Wrong(f"the field for the {said} is wrong: it takes {_FIELDS[name][0]}, *, a-b, */n, a-b/n")


def next_fire(line: str, zone: str, after: datetime) -> datetime:
    """The first moment (UTC) of a cron line later than `after`; without jitter.

    What falls into an hour that is skipped in spring comes right after it, a fixed hour that comes twice in
    autumn fires once. A date that never comes, as 31 February, is never due.
    """
    from cronsim import CronSim, CronSimError

    try:
        return as_utc(next(CronSim(line, after.astimezone(ZoneInfo(zone)))))
    except (StopIteration, CronSimError):
        return after + timedelta(days=36_500)
