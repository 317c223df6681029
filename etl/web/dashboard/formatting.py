"""Numbers, times and ids in few characters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from etl.times import duration_text, which_time


def short_id(job_id: str) -> str:
    """An id that can be told from others at a glance; the whole one is in the title."""
    bare = job_id.partition(":")[0]
    return bare if len(bare) <= 16 else f"{bare[:9]}…{bare[-5:]}"


def show_money(value: float | None, currency: str) -> str:
    """An amount with its currency; a sum below a cent is not nothing."""
    if value is None:
        return "–"
    small = 0 < abs(value) < 0.01
    return f"{value:,.{4 if small else 2}f} {currency}".strip()


def show_seconds(seconds: float | None) -> str:
    return "–" if seconds is None else duration_text(seconds)


def short_time(moment: datetime, zone: str) -> str:
    """An instant to the second; with the year unless it is this one."""
    here = moment.astimezone(ZoneInfo(zone))
    this_year = here.year == datetime.now(UTC).year
    return here.strftime("%d %b %H:%M:%S" if this_year else "%d %b %Y %H:%M") + which_time(here)


def failure_share(counts: Mapping[str, float | None]) -> tuple[float, float]:
    """How many failed, and of how many: jobs that were stopped, vanished or are open count as neither."""
    failed = counts.get("failed") or 0
    return failed, failed + (counts.get("completed") or 0)


def show_share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def clip_text(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
