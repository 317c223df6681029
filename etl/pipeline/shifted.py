"""Lists whose cursors are no ids: they may count jobs. Then a job that is deleted while a walk goes on moves
all that stand behind it up by one, the next page begins one too far on, and listed jobs were on no page.

Nobody can tell such a cursor from one that names a job. So what a walk has passed is looked over once more.
"""

from __future__ import annotations

from etl.errors import DeadCursor, NotFound
from etl.load.positions import UNPLACED
from etl.pipeline.page_checks import Guard
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON
from etl.records import Order, PageRequest, PageRows

#: Looks at the same pages, until one shows nothing that was passed over.
LOOKS = 3


def look_over(run: Run, until: str | None = None) -> int | None:
    """Store what pages down to the job `until` show (None: to the list's end); returns the oldest place of a
    stored job that they show. Nothing of a page that cannot be read: the walk has said what of it."""
    look = _Glance(run, until)
    if run.gateway.cursors.apart:
        run.flush()
        for _ in range(LOOKS):
            if not look.finds_more():
                break
    return look.oldest


class _Glance:
    def __init__(self, run: Run, until: str | None) -> None:
        self._run, self._until = run, until
        self.oldest: int | None = None

    def finds_more(self) -> bool:
        """Whether a job that was on no page stands behind a known one; before it there are only new ones."""
        run, more, behind_known = self._run, False, False
        order: Order = "asc" if run.lists_oldest_first else "desc"
        request: PageRequest | None = run.request(order)
        guard = Guard(order)
        while request is not None:
            try:
                rows = run.fetch(request)
            except (*POISON, DeadCursor, NotFound):
                break
            guard.check(rows, by_time=False)
            for is_known in self._take(rows):
                more = more or (behind_known and not is_known)
                behind_known = behind_known or is_known
            shown = {row.job_id for row in rows.jobs}
            request = None if self._until in shown else rows.page.following
        run.flush()
        return more

    def _take(self, rows: PageRows) -> list[bool]:
        known = self._run.store.known([row.job_id for row in rows.jobs])
        places = [job.list_position for job in known.values() if job.list_position > UNPLACED]
        self.oldest = min([*places, *([] if self.oldest is None else [self.oldest])], default=None)
        self._run.batch.glanced.append(rows)
        self._run.commit_if_due()
        return [row.job_id in known for row in rows.jobs]
