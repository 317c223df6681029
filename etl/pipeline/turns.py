"""Do several accounts take turns, where the gateway does not say who answered?

Below 2.0 nobody names the key. The newest page, asked a few times in a row, tells: of one account each answer
shows jobs of the one before; of two, some have nothing in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from etl.errors import (
    AnotherAccount,
    GatewayError,
    RateLimited,
    SuspiciousScan,
    TimedOut,
    Unparseable,
    Unreachable,
)
from etl.pipeline.page_checks import created, direction
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON
from etl.records import Order, PageRequest, PageRows

#: So many answers that agree are of one account; while they do not, so many are asked for at most.
AGREED, MOST = 5, 12
#: So many questions in a row that nothing answers, at the beginning.
VAIN = 3
#: Jobs per answer.
LOOK = 20
#: Runs in a row that must find one account before several are forgotten.
CLEAN = 3


def refuse_turns(run: Run) -> None:
    """While several accounts answered in one of the last runs; where `probe_accounts` says so before each run
    that reads everything, too, and once of a source that was never looked at so. Raises AnotherAccount."""
    several, full = run.state.learned.several, run.store.kind != "incremental"
    never = several is None and run.state.frontier_id is not None
    if several or (run.source.probe_accounts and (full or never)):
        look_for_turns(run)


def refuse_turns_at_last(run: Run) -> None:
    """At the end of a run, while it is not known who answers: a list that was empty when it was looked at
    tells nothing, its first jobs do. Raises AnotherAccount, SuspiciousScan."""
    seen = run.pending or run.store.committed.counts.jobs_seen
    if run.looked and run.heard is None and not seen:  # nothing answered then
        run.looked = False
        look_for_turns(run)
    if run.heard and not seen:
        raise _empty_at_times()
    if not run.source.probe_accounts or run.state.learned.several is not None:
        return
    if seen or (run.heard is None and _is_listed_after_all(run)):
        run.looked = False
        look_for_turns(run)


def _is_listed_after_all(run: Run) -> bool:
    """An empty list is asked for once more, as it may be another account's; not more often at every tick."""
    try:
        return bool(run.peek(PageRequest(None, "desc", 1)).jobs)
    except GatewayError:
        return False


def look_for_turns(run: Run) -> None:
    """Ask who answers; a run does so once. Raises AnotherAccount where several do, or did of late."""
    if run.looked or run.source.discover == "logs" or run.accounts.pinned or run.accounts.own:
        return
    run.looked = True
    if run.accounts.accepts_doubt:
        run.learn(several=0)
        return
    found, before = _count_accounts(run), run.state.learned.several or 0
    if found == 2 or before:
        run.learn(several=CLEAN if found == 2 else before - (found == 1))
        raise _refusal()
    if found == 1:
        run.learn(several=0)


def _count_accounts(run: Run) -> int:
    """1, or 2 where several answer one question; 0 where that cannot be told, as of an empty list.

    Raises SuspiciousScan where the list is empty at times, or cannot be read at times, which may be another
    account, or a hiccup; and what other answers met where all that could be read were empty: that is no empty
    list."""
    seen, kinds, norm = list[int](), list[set[object]](), 0
    heard = list[set[object]]()
    failure: GatewayError | None = None
    reads: list[int] | None = None  # of the oldest page, once it is asked for: whether it can be read
    for rows in _answers(run):
        if isinstance(rows, GatewayError):
            failure = rows
            if isinstance(rows, Unparseable):
                reads = [] if reads is None else [*reads, 0]
            continue
        if rows.facts.account is not None and rows.jobs:
            run.accounts.accept(rows)  # whoever answers says so; an empty list is nobody's
            return 0
        norm = norm or direction(rows)
        if rows.stale or _way(rows) * norm < 0:
            continue  # from the cache, or of a list's other end
        if reads is not None:
            reads.append(1)
            if _take_turns(reads) and reads.count(0) > 1:
                raise _unreadable_at_times()
        heard.append({row.job_id for row in rows.jobs})
        run.heard = run.heard or bool(rows.jobs)
        seen.append(_sort_in(heard[-1] | _one_second(rows), kinds))
        if _take_turns([kind for kind in seen if kinds[kind]]):
            return 2
        if _take_turns(seen) and sum(not kinds[kind] for kind in seen) > 1:
            raise _empty_at_times()
        if len(seen) >= AGREED and len(kinds) == 1 and (kinds[0] or failure is None):
            return int(all(a & b for a, b in pairwise(heard)))  # an empty list may be that of both
    if failure is not None and kinds == [set()]:
        raise failure
    return 0


def _answers(run: Run) -> Iterator[PageRows | GatewayError]:
    """So many at most, and what came instead of others. What a run cannot go on with is raised; where nothing
    is heard at first, no more is asked: the run meets it itself."""
    order: Order = "desc"
    limit, vain = LOOK, 0
    for _ in range(MOST):
        try:
            rows = _peek(run, PageRequest(None, order, limit))
        except POISON as error:
            if isinstance(error, Unparseable):
                # The newest jobs cannot be read: the oldest ones tell as well, or the first of them.
                order, limit = "asc", 1 if order == "asc" else LOOK
            yield error
            vain += 1
        else:
            yield rows
            vain = -MOST
        if vain == VAIN:
            return


def _peek(run: Run, request: PageRequest) -> PageRows:
    """Where nothing answers, or nothing yet, it is waited for as any page is: refusals tell nothing."""
    try:
        return run.peek(request)
    except (RateLimited, TimedOut, Unreachable):
        return run.peek(request, attempts=None)


def _sort_in(marks: set[object], kinds: list[set[object]]) -> int:
    """To which of the kinds of answers this one belongs: it shares a mark with it, or both are empty."""
    for number, kind in enumerate(kinds):
        if marks & kind or not (marks or kind):
            kind |= marks
            return number
    kinds.append(marks)
    return len(kinds) - 1


def _one_second(rows: PageRows) -> set[object]:
    """The second that all jobs of a page share: of a burst longer than a page each answer shows others,
    where a gateway orders by time alone."""
    times = set(created(rows))
    return set(times) if len(times) == 1 and len(rows.jobs) > 1 else set()


def _way(rows: PageRows) -> int:
    """Which way the page runs, for which one step is enough where none goes the other way."""
    times = created(rows)
    rises = times == sorted(times) and times[:1] != times[-1:]
    return direction(rows) or int(rises)


def _take_turns(seen: list[int]) -> bool:
    """One kind came again after another one: the list was not replaced."""
    return sum(a != b for a, b in pairwise(seen)) > 1


def _unreadable_at_times() -> SuspiciousScan:
    return SuspiciousScan(
        "the oldest page, asked a few times in a row, could be read at times and not at others; nothing was"
        " read",
        hint="it may pass; if not, several keys answer, each of another account: pin this source with"
        " `key_name:` (sent as x-bf-api-key)",
    )


def _empty_at_times() -> SuspiciousScan:
    return SuspiciousScan(
        "the newest page, asked a few times in a row, showed jobs at times and none at others; nothing was"
        " read",
        hint="it may pass; if not, several keys answer, and one of them is of an account without jobs: pin"
        " this source with `key_name:` (sent as x-bf-api-key)",
    )


def _refusal() -> AnotherAccount:
    return AnotherAccount(
        "several accounts take turns: the newest page, asked a few times in a row, showed jobs of one account"
        " and jobs of another, and this gateway does not say whose; what it lists was not read",
        hint="pin this source: `key_name:` with the name of one of the provider's keys in the gateway (it is"
        " sent as x-bf-api-key), and add a pinned source for each other key",
    )
