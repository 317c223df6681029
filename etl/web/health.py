"""/healthz: the process is alive. /readyz: what it keeps is fresh and whole, source by source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from etl.analytics.status import SourceStatus
from etl.errors import EtlError
from etl.log import visible
from etl.web.state import State


def alive(state: State) -> tuple[int, dict[str, Any]]:
    """Status code and body: 503 when the thread that starts runs is gone."""
    return (200, {"status": "ok"}) if state.alive() else (503, {"status": "the scheduler is gone"})


def ready(state: State) -> tuple[int, dict[str, Any]]:
    """Status code and body: 503 unless the database is there and migrated, every source fresh and whole."""
    moment = state.clock()
    try:
        state.check_schema()
        found = {status.source: status for status in state.read()}
    except EtlError as error:
        told = visible(state.redact(str(error)))
        problem = {"problem": told, "hint": error.hint and visible(state.redact(error.hint))}
        return 503, {"status": "not ready", "database": problem, "sources": {}}
    sources = judge(state.limits(), found, moment)
    fine = all(source["ready"] for source in sources.values())
    body = {"status": "ready" if fine else "not ready", "database": {"problem": None}, "sources": sources}
    return (200 if fine else 503), body


def judge(
    limits: Mapping[str, float], found: Mapping[str, SourceStatus], moment: datetime
) -> dict[str, dict[str, Any]]:
    """Each enabled source: is it fresh, how old, how old it may be (seconds), and what is wrong with it."""
    return {name: _one(found.get(name), limit, moment) for name, limit in limits.items()}


def _one(status: SourceStatus | None, limit: float, moment: datetime) -> dict[str, Any]:
    age = None if status is None else status.age(moment)
    problem = _problem(status, age, limit)
    return {
        "ready": problem is None,
        "age_seconds": None if age is None else round(age.total_seconds(), 3),
        "max_age_seconds": limit,
        "problem": problem and visible(problem),
    }


def _problem(status: SourceStatus | None, age: timedelta | None, limit: float) -> str | None:
    if status is None:
        return "never synced"
    if status.retired_at is not None:
        return None  # an archive
    if status.disabled_at is not None:
        return f"disabled since {status.disabled_at:%Y-%m-%d %H:%M:%S} UTC: {status.disabled_reason}"
    if age is None and status.complete_at is not None:
        ahead = f"{status.complete_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"complete at {ahead}, which lies ahead: was the clock put back?"
    if age is None:
        return "the first load is not complete"
    if age.total_seconds() > limit:
        return "stale"
    if status.open_gaps:
        return f"{len(status.open_gaps)} stretches of the list are not read: {status.open_gaps[0].reason}"
    return None
