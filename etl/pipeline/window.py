"""A list that only ever shows its newest page, whatever it is asked: read with overlap.

Each run reads that page. While it shows a job that was known, nothing was missed; when it shows none, what
lies between is a coverage gap, and so is what a first load could not see, until somebody accepts it. Nothing
is unlisted because the window moved on: open jobs are read by id. What a reconcile misses on the page,
between jobs that it shows, is gone.
"""

from __future__ import annotations

from datetime import datetime

from etl.errors import GatewayError, OrderIgnored, SuspiciousScan
from etl.extract.paging import other_paging
from etl.load import Gap, listed_between, newest_known
from etl.log import get_logger
from etl.pipeline.page_checks import backwards, created
from etl.pipeline.run import Run
from etl.records import Order, PageRows

_MOVED_ON = "the list shows its newest page only, and by now none of the jobs that were known"
_NEVER_SHOWN = "the list shows its newest page only; what is older was never listed"
#: So many jobs missing between others at once, and so large a share of the page, are not believed unasked.
MANY, SHARE = 10, 0.2


def is_window(run: Run) -> bool:
    """The list only ever shows its newest page: so it is configured, or an earlier run has found out."""
    how = run.source.window
    return how == "always" or (how == "auto" and run.state.learned.window)


def _pages_again(run: Run, head: PageRows) -> bool:
    """A window that was found out is looked at once more in each run: it says that it shows the whole list,
    with room for more, or behind its last job other ones follow now.

    What is older was never seen, so that the source needs its first load again.
    """
    if run.source.window != "auto" or not (_is_whole(head) or _goes_on(run, head)):
        return False
    get_logger("pipeline").warning("window_ended", source=run.source.name)
    run.learn(window=False)
    run.distrust(head)
    run.state.complete_run_id, run.batch.checkpoint = None, {}
    return True


def _is_whole(head: PageRows) -> bool:
    return head.page.has_more is False and head.page.has_room and bool(head.jobs)


def _goes_on(run: Run, head: PageRows) -> bool:
    """It had been a fault."""
    ids = [row.job_id for row in head.jobs]
    try:
        behind = run.peek(run.request("desc", head.page.leads_to or ids[-1])) if ids else head
    except GatewayError:
        return False
    return bool(behind.jobs) and set(ids).isdisjoint(row.job_id for row in behind.jobs)


def found_window(run: Run) -> bool:
    """Ask behind two jobs of the newest page, and behind what it calls its last one, where that is another
    name: each time the same page comes again."""
    if run.source.window == "never":
        return False
    try:
        head = run.peek(run.request("desc"))
        ids = [row.job_id for row in head.jobs]
        named = [] if head.page.last_id in (None, *ids) else [head.page.last_id]
        cursors = [head.page.leads_to, *ids[:1], *named]
        window = len(ids) > 1 and all(
            _begins_again(ids, run.peek(run.request("desc", cursor))) for cursor in cursors
        )
    except GatewayError:
        return False
    if window:
        told = {"paging": paging} if (paging := other_paging(head.page).strip(" ()")) else {}
        get_logger("pipeline").warning("window", source=run.source.name, jobs=len(ids), **told)
        run.learn(window=True)
    return window


def _begins_again(ids: list[str], rows: PageRows) -> bool:
    """It shows the newest page, or that page moved on by a few jobs that came meanwhile."""
    again = [row.job_id for row in rows.jobs]
    return ids[0] in again and len(set(ids) & set(again)) * 2 > len(ids)


def read_window(run: Run) -> bool:
    """Store the newest page; False, and nothing is stored, when the list is no window any more.

    Raises GatewayError, OrderIgnored, StorageError, LeaseLost, Stopped.
    """
    store, ground = run.store, run.state.complete_run_id
    newest = store.read(lambda conn: newest_known(conn, store.source_id, -1 if ground is None else ground))
    rows = run.first(run.request("desc"))
    if _pages_again(run, rows):
        return False
    order: Order = "asc" if backwards(rows, "desc") else "desc"
    if order == "asc" and not _shows_all(rows):
        raise OrderIgnored(
            "the list shows one page only, and that one begins with the oldest job",
            hint="new jobs never appear on it: this gateway cannot be mirrored by its list",
        )
    known = store.known([row.job_id for row in rows.jobs])
    met = any(ground is not None and job.first_run_id <= ground for job in known.values())
    run.met_known = met or newest is None
    run.lane("head", order, watch=False)
    run.add("head", rows)
    run.join("head")
    run.shown.update(row.job_id for row in rows.jobs)
    if not met and not _shows_all(rows):
        run.open_gap(_gap(rows, newest, met_before=newest is not None))
    run.commit_if_due(None)
    return True


def _shows_all(rows: PageRows) -> bool:
    """The page says that no more follow, and holds fewer jobs than were asked for, or more: no limit cut it.
    Or it is shorter than others of this run."""
    page = rows.page
    uncut = page.has_more is False and len(page.items) != page.most
    return uncut or (page.has_room and not page.has_more)


def find_absent(run: Run) -> None:
    """What two answers in a row miss between jobs that they show is no longer listed; of a page that shows
    everything, what is older than its jobs as well. Raises GatewayError, SuspiciousScan."""
    answers = [run.fetch(run.request("desc")) for _ in range(2)]
    for rows in answers:
        run.distrust(rows)
    times = [created(rows) for rows in answers]
    if not all(times) or any(rows.rejects for rows in answers):
        return  # an item that is no job may be one that was
    # `full` is set where the list is known to say so of each page.
    whole = all(r.page.has_more is False and r.page.full is None and _shows_all(r) for r in answers)
    low: datetime | None = None if whole else max(map(min, times))
    run.flush()
    shown = {row.job_id for rows in answers for row in rows.jobs}
    source_id, most = run.store.source_id, len(shown) + 1000
    known = run.store.read(lambda conn: listed_between(conn, source_id, low, min(map(max, times)), most))
    absent = [job_id for job_id in known if job_id not in shown]
    if len(absent) > MANY and len(absent) > SHARE * len(known) and not run.accept_suspicious:
        raise SuspiciousScan(
            f"{len(absent)} of {len(known)} jobs are missing between those that the list's one page shows;"
            " nothing was marked as unlisted",
            hint="if this is right, run `bifrost-etl reconcile SOURCE --accept-suspicious`",
        )
    run.batch.missing += absent


def _gap(rows: PageRows, newest: tuple[str, object] | None, *, met_before: bool) -> Gap:
    """Below the page. What a first load cannot see is known to be so, and no alarm."""
    oldest = rows.jobs[-1] if rows.jobs else None
    return Gap(
        gap_from=newest[1] if newest else None,  # type: ignore[arg-type]
        gap_until=oldest.created_at if oldest else None,
        last_known_job_id=newest[0] if newest else None,
        oldest_listed_job_id=oldest.job_id if oldest else None,
        reason=(_MOVED_ON if met_before else _NEVER_SHOWN) + other_paging(rows.page),
    )
