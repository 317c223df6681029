"""A list that only ever shows its newest page, whatever it is asked: read with overlap.

Each run reads that page. While it shows a job that was known, nothing was missed; when it shows none, what
lies between is a coverage gap. Nothing is unlisted because the window moved on: open jobs are read by id.
"""

from __future__ import annotations

from etl.errors import GatewayError, OrderIgnored
from etl.load import Gap, newest_known
from etl.log import get_logger
from etl.pipeline.page_checks import backwards
from etl.pipeline.run import Run
from etl.records import PageRows

_MOVED_ON = "the list shows its newest page only, and by now none of the jobs that were known"
_NEVER_SHOWN = "the list shows its newest page only; what is older was never listed"


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
    """Ask behind two jobs of the newest page: both times the same page comes again."""
    if run.source.window == "never":
        return False
    try:
        head = run.peek(run.request("desc"))
        ids = [row.job_id for row in head.jobs]
        cursors = [head.page.leads_to, *ids[:1]]
        window = len(ids) > 1 and all(
            _begins_again(ids, run.peek(run.request("desc", cursor))) for cursor in cursors
        )
    except GatewayError:
        return False
    if window:
        get_logger("pipeline").warning("window", source=run.source.name, jobs=len(ids))
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
    if backwards(rows, "desc"):
        raise OrderIgnored(
            "the list shows one page only, and that one begins with the oldest job",
            hint="new jobs never appear on it: this gateway cannot be mirrored by its list",
        )
    known = store.known([row.job_id for row in rows.jobs])
    met = any(ground is not None and job.first_run_id <= ground for job in known.values())
    run.met_known = met or newest is None
    run.lane("head", "desc", watch=False)
    run.add("head", rows)
    run.join("head")
    run.shown.update(row.job_id for row in rows.jobs)
    if not met and not _shows_all(rows):
        run.open_gap(_gap(rows, newest, met_before=newest is not None))
    run.commit_if_due(None)
    return True


def _shows_all(rows: PageRows) -> bool:
    """The page could have held more: there is nothing behind it."""
    return rows.page.has_room and not rows.page.has_more


def _gap(rows: PageRows, newest: tuple[str, object] | None, *, met_before: bool) -> Gap:
    """Below the page. What a first load cannot see is known to be so, and no alarm."""
    oldest = rows.jobs[-1] if rows.jobs else None
    return Gap(
        gap_from=newest[1] if newest else None,  # type: ignore[arg-type]
        gap_until=oldest.created_at if oldest else None,
        last_known_job_id=newest[0] if newest else None,
        oldest_listed_job_id=oldest.job_id if oldest else None,
        reason=_MOVED_ON if met_before else _NEVER_SHOWN,
        accepted=not met_before,
    )
