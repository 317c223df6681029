"""/healthz: the process is alive. /readyz: what it keeps is fresh and whole, source by source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from etl.analytics import standing
from etl.analytics.status import SourceStatus
from etl.errors import EtlError
from etl.log import make_visible
from etl.web.state import ServiceState


def liveness(state: ServiceState) -> tuple[int, dict[str, Any]]:
    """Status code and body: 503 when the thread that starts runs is gone."""
    return (200, {"status": "ok"}) if state.alive() else (503, {"status": "the scheduler is gone"})


def readiness(state: ServiceState) -> tuple[int, dict[str, Any]]:
    """Status code and body: 503 unless the database is there and migrated, every source fresh and whole."""
    moment = state.clock()
    try:
        state.check_schema()
        found = {status.source: status for status in state.read()}
    except EtlError as error:
        told = make_visible(state.redact(str(error)))
        problem = {"problem": told, "hint": error.hint and make_visible(state.redact(error.hint))}
        return 503, {"status": "not ready", "database": problem, "sources": {}}
    sources = judge_sources(state.limits(), found, moment)
    fine = all(source["ready"] for source in sources.values())
    body = {"status": "ready" if fine else "not ready", "database": {"problem": None}, "sources": sources}
    return (200 if fine else 503), body


def judge_sources(
    limits: Mapping[str, float], found: Mapping[str, SourceStatus], moment: datetime
) -> dict[str, dict[str, Any]]:
    """Each enabled source: is it fresh, how old, how old it may be (seconds), and what is wrong with it.

    One whose last runs failed is ready as long as it is fresh; `state` says failing.
    """
    judged = standing.judge_all(limits, found, moment)
    return {name: _document(one, limits[name]) for name, one in judged.items()}


def _document(one: standing.Standing, limit: float) -> dict[str, Any]:
    return {
        "ready": one.problem is None,
        "state": one.state,
        "failures": one.failures,
        "age_seconds": None if one.age is None else round(one.age, 3),
        "max_age_seconds": limit,
        "problem": one.problem and make_visible(one.problem),
    }
