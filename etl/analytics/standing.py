"""How a source is doing in one word: ok, retired, failing (its last runs failed, still fresh), or worse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from etl.analytics.status import SourceStatus

#: In the order in which they are counted.
State = Literal["ok", "failing", "stale", "incomplete", "loading", "unsynced", "disabled", "retired"]
#: Nothing to look at: fresh, or an archive.
WELL: tuple[State, ...] = ("ok", "retired")
_WORDS: dict[State, str] = {
    **{state: state for state in get_args(State)},
    "unsynced": "never synced",
}
#: More sources than this are not all shown: the healthy ones are counted.
FOLD = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """`problem` says in words what is wrong, None when nothing is. A source that fails and is still fresh has
    no problem yet: `failures` counts its failed runs in a row. `age` is in seconds."""

    state: State
    problem: str | None
    age: float | None
    failures: int


def judge(status: SourceStatus | None, limit: float, moment: datetime) -> Standing:
    """`limit` is the age in seconds up to which the source counts as fresh."""
    if status is None:
        return Standing("unsynced", "never synced", None, 0)
    passed = status.age(moment)
    age = None if passed is None else passed.total_seconds()
    state, problem = _found(status, age, limit)
    return Standing(state, problem, age, status.failures)


def _found(status: SourceStatus, age: float | None, limit: float) -> tuple[State, str | None]:
    if status.retired_at is not None:
        return "retired", None  # an archive neither ages nor alarms
    if status.disabled_at is not None:
        said = f"disabled since {status.disabled_at:%Y-%m-%d %H:%M:%S} UTC: {status.disabled_reason}"
        return "disabled", said
    if age is None and status.complete_at is not None:
        ahead = f"{status.complete_at:%Y-%m-%d %H:%M:%S} UTC"
        return "stale", f"complete at {ahead}, which lies ahead: was the clock put back?"
    if age is None and status.last_run is None:
        return "unsynced", "never synced"
    if age is None:
        return "loading", f"the first load is not complete{_last_failure(status)}"
    if age > limit:
        return "stale", f"stale{_last_failure(status)}"
    if gaps := status.open_gaps:
        return "incomplete", f"{_count_stretches(len(gaps))} not read: {gaps[0].reason}"
    return ("failing" if status.failures else "ok"), None


def _last_failure(status: SourceStatus) -> str:
    """What it waits for to be mended; the message itself stands in `status` and in the log."""
    run = status.last_run
    return f"; its last run failed: {run.error_class}" if run is not None and run.status == "failed" else ""


def _count_stretches(count: int) -> str:
    return "a stretch of the list is" if count == 1 else f"{count:,} stretches of the list are"


def judge_all(
    limits: Mapping[str, float], found: Mapping[str, SourceStatus], moment: datetime
) -> dict[str, Standing]:
    """Every source of `limits`."""
    return {name: judge(found.get(name), limit, moment) for name, limit in limits.items()}


def summary(states: Iterable[str]) -> str:
    """`57 ok, 2 failing, 1 stale`."""
    known = list(states)
    return ", ".join(f"{known.count(state):,} {word}" for state, word in _WORDS.items() if state in known)
