"""What of a run's end is worth telling a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from etl.errors import DatabaseBusy, DatabaseUnavailable, SuspiciousScan, hint_of
from etl.load.alerts import FAILURES
from etl.load.source_health import Health
from etl.records import RunResult

NewsKind = Literal[
    "failure",
    "recovery",
    "staleness",
    "gap",
    "gap_closed",
    "budget",
    "budget_closed",
    "trend",
    "trend_closed",
]


@dataclass(frozen=True, slots=True)
class News:
    """`subject` is a source, `feed NAME`, `database`, or a threshold and what crossed it: the same news of it
    is not repeated soon. `shared`: the database knows of it, so of several services one tells it; `urgent`:
    also when the source's failures were told before."""

    kind: NewsKind
    subject: str
    title: str
    text: str
    shared: bool = False
    urgent: bool = False


def judge_run(
    result: RunResult, before: Health | None, after: Health | None, *, failed: int, alarm: bool
) -> News | None:
    """What is worth telling about a run, if anything is. `failed` counts failed runs in a row, this one
    included; `alarm` says that this process has told of a failure of the source, and of no recovery since."""
    source, known = result.source, after or before
    told = known is not None and known.told
    disabled = before is not None and before.disabled_at is not None
    failing = told or (before is not None and before.failures >= FAILURES)
    if result.status == "ok" and (failing or disabled or alarm):
        text, shared = f"Run {result.run_id} succeeded.", told or not (disabled or alarm)
        return News("recovery", source, f"{source} works again", text, shared)
    if result.status != "failed" or _is_away(result, after):
        return None
    text = explain_failure(result)
    if after is not None and after.disabled_at is not None and (before is None or before.disabled_at is None):
        return judge_disabled(source, text, urgent=True)
    if isinstance(result.error, SuspiciousScan):
        return News("failure", source, f"{source}: a reconcile looked wrong, so nothing was marked", text)
    if failed >= FAILURES and not (told or alarm or disabled):  # whoever ran them
        counted = after is not None and after.failures >= FAILURES
        return News("failure", source, f"{source} failed {FAILURES} times in a row", text, counted)
    return None


def judge_disabled(source: str, text: str, *, urgent: bool = False) -> News:
    """The source is not asked any more, whoever's run was the last one."""
    title = f"{source} is refused, and disabled until its settings change"
    return News("failure", source, title, text, shared=True, urgent=urgent)


def judge_gaps(result: RunResult, told: set[str]) -> list[News]:
    """Told once when a stretch of the list turns out to be unread, and once when it is read.

    `told` are the sources whose gaps this process has told of: one that is open at its start is told too.
    """
    source, news = result.source, []
    if result.gaps_opened or (result.gaps and source not in told):
        text = f"Coverage gaps: {result.gaps}. `bifrost-etl gaps` says where they are and why."
        news.append(News("gap", source, f"{source}: a part of the list cannot be read", text))
    if result.gaps_closed:
        left = f"Coverage gaps left: {result.gaps}." if result.gaps else "Nothing is missing any more."
        news.append(News("gap_closed", source, f"{source}: what was missing has been read", left))
    (told.add if result.gaps else told.discard)(source)
    return news


def judge_away(result: RunResult, unread: dict[str, int]) -> News | None:
    """What is worth telling of the database. `unread`, by source, counts failed runs since it answered."""
    if result.status != "failed" or not _is_away(result, None):
        return None
    unread[result.source] = unread.get(result.source, 0) + 1
    if max(unread.values()) < FAILURES:
        return None
    title = f"the database does not answer: {FAILURES} runs in a row failed"
    return News(
        "failure",
        "database",
        title,
        f"{explain_failure(result)}\nWaiting for it: {_list_names(sorted(unread))}.",
    )


def _is_away(result: RunResult, after: Health | None) -> bool:
    """The run failed for want of the database: told once for the database, not once for each source."""
    return after is None and isinstance(result.error, DatabaseUnavailable | DatabaseBusy)


def explain_failure(result: RunResult) -> str:
    """The error, and what to do about it."""
    hint = hint_of(result.error)
    text = f"{type(result.error).__name__}: {result.error}"
    return f"{text}\nWhat to do: {hint}" if hint else text


def _list_names(names: list[str]) -> str:
    more = len(names) - 10
    return ", ".join(names[:10]) + (f" and {more} more" if more > 0 else "")
