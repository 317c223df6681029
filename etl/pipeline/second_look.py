"""Jobs of one second: a gateway may give them another order at each request, and then a scan that turns a
page among them passes one unseen. It is looked for once more, on one page that shows its whole second."""

from __future__ import annotations

from datetime import datetime

from etl.errors import DeadCursor, GatewayError, NotFound
from etl.load import ties
from etl.pipeline.run import Run
from etl.records import PageRequest, PageRows

#: Jobs that a page may hold; known jobs beside a second that are tried as a cursor.
MOST, CURSORS = 100, 3
#: Pages of one second, where they are capped.
PAGES = 20
#: Seconds that one scan looks at again.
SECONDS = 200


def look_again(run: Run, oldest: int | None) -> tuple[int | None, int]:
    """Take back what was suspected and is shown, or cannot be said; returns how many cannot be said. They are
    not concluded upon, and speak against a scan that looks wrong all the same.

    Before it stands the position below which all has aged out: jobs of the oldest one's own second are
    looked for as well.
    """
    store, run_id = run.store, run.store.committed.run_id or 0
    place = _suspect_below(run, oldest)
    found = store.read(lambda conn: ties.suspected_seconds(conn, store.source_id, run_id, SECONDS))
    unsaid = sum(_look_at(run, run_id, moment) for moment in found)
    if found:
        run.flush()
    return place, unsaid


def _suspect_below(run: Run, oldest: int | None) -> int | None:
    if oldest is None:
        return None
    store = run.store
    below = store.read(lambda conn: ties.below_in_its_second(conn, store.source_id, oldest))
    if below:
        store.suspect([job_id for job_id, _ in below])
    return min((place for _, place in below), default=oldest)


def _look_at(run: Run, run_id: int, moment: datetime) -> int:
    """How many of the second's suspects it cannot say anything of."""
    store = run.store
    suspects = set(store.read(lambda conn: ties.suspects_of(conn, store.source_id, run_id, moment)))
    rows, pages = _page_around(run, moment), 1
    while rows is not None:
        run.batch.glanced.append(rows)
        suspects.difference_update(row.job_id for row in rows.jobs)
        if _passes(rows, moment, newest_first=run.lists_newest_first):
            return 0
        rows, pages = _next_page(run, rows) if pages < PAGES else None, pages + 1
    store.suspect(list(suspects), again=False)
    return len(suspects)


def _next_page(run: Run, rows: PageRows) -> PageRows | None:
    """Of a second that a capped page does not show whole."""
    try:
        return None if rows.page.following is None else run.pages.fetch(rows.page.following)
    except GatewayError:
        return None


def _page_around(run: Run, moment: datetime) -> PageRows | None:
    """The page that begins with this second; None where it cannot be had."""
    store, down = run.store, run.lists_newest_first
    beside = store.read(
        lambda conn: ties.jobs_beside(conn, store.source_id, moment, newer=down, limit=CURSORS)
    )
    cursors: list[str | None] = [*beside]
    for cursor in cursors or [None]:
        try:
            return run.pages.fetch(PageRequest(cursor, "desc" if down else "asc", MOST))
        except (DeadCursor, NotFound):
            continue
        except GatewayError:
            return None
    return None


def _passes(rows: PageRows, moment: datetime, *, newest_first: bool) -> bool:
    """The page shows what stands behind the whole second."""
    times = [row.created_at for row in rows.jobs if row.created_at is not None]
    beyond = any(time < moment for time in times) if newest_first else any(time > moment for time in times)
    return beyond or rows.page.ends
