"""Does a list end where the gateway says so? A page may lie, and so may a cursor whose job is gone.

An end is believed when the list, asked from one job before its last one, shows that last one again and
nothing after it; or time and again only jobs that were created since the walk came there. Where it shows the
job that it was asked behind as well, it ignores the cursor: then only a page that could have held more, or
more than were asked for, proves that there is no more, whatever it says.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from etl.errors import RepeatedPage
from etl.records import PageRows

#: So often an end is doubted while the list shows nothing at all; then it is taken as it is, and said so.
CLAIMS = 6
#: The exactness of times of creation, and of the gateway's Date.
SECOND = timedelta(seconds=1)


class Ending:
    """The far end of one walk. `anchor`: the job that it began behind, where the list cannot be asked from
    before that one."""

    def __init__(self, anchor: str | None = None) -> None:
        self.tail = [] if anchor is None else [anchor]  # the ids of the last two jobs seen
        self._anchor = anchor
        self.proved = False
        self._claims = 0
        self._apart = False
        self._after: str | None = None
        self._beyond: str | None = None  # the last job of a page on which items that are no jobs follow it
        self._again = False  # the last page with jobs ended with the job that was the last one before
        self._ignored: str | None = None  # the cursor that the last page did not heed
        self._doubted = False
        self._began: datetime | None = None  # when the first page came, by the gateway's clock
        self._grew = 0  # pages that showed the last job again, and behind it only what has come since
        self._shown = set[int]()  # hashes of the jobs that pages ended with since an end was doubted

    def saw(self, rows: PageRows) -> bool:
        """True when the page shows a job that is new to the walk's end: so the list goes on."""
        ids = [row.job_id for row in rows.jobs]
        self._apart, self._after = rows.page.apart, rows.page.request.after if ids else self._after
        room = rows.page.has_room  # has_more may say so for ever
        if not ids:  # pages of items that are no jobs may stand behind it
            self.proved |= self._again and bool(rows.page.items) and (room or rows.page.ends)
            # Where a page does not say whether more follows, nothing behind the job shown again says it.
            self.proved |= self._again and not rows.page.items and rows.page.request.after in self.tail[-1:]
            # Nothing but the anchor can be shown: that nothing follows it is said twice.
            anchored = self._anchor is not None and self.cursor == self._anchor
            self.proved |= anchored and self._claims > 0 and rows.page.request.after == self._anchor
            return False
        self._again = ids[-1:] == self.tail[-1:]
        self._beyond = ids[-1] if _ends_oddly(rows) else None
        after = rows.page.request.after
        ignored = after in ids and rows.page.heeds_limit  # else a page's length says nothing
        self._ignored = after if ignored and after in ids[1:] else None
        closed = rows.page.ends and self._beyond is None and not ignored
        self._began = self._began or _came(rows)
        self._grew += not ignored and self._only_grew(rows)
        self.proved = (self._again and (room or closed)) or self._grew >= CLAIMS
        if ids[-1] in self.tail:
            return False
        if not self._was_shown(ids[-1]):
            self._claims = 0
        self.tail = (self.tail + ids)[-2:]
        return True

    def _only_grew(self, rows: PageRows) -> bool:
        """Where jobs come as fast as pages, no page ever ends with the job that was the last one before."""
        ids = [row.job_id for row in rows.jobs]
        if self._began is None or not self.tail or self.tail[-1] not in ids[:-1]:
            return False
        since = [row.created_at for row in rows.jobs[ids.index(self.tail[-1]) + 1 :]]
        began, now = self._began.replace(microsecond=0), _came(rows) + SECOND
        return all(moment is not None and began <= moment <= now for moment in since)

    def _was_shown(self, last: str) -> bool:
        """By an earlier page: lists of two accounts that take turns seem to go on for ever."""
        if not self._doubted:
            return False
        shown = hash(last) in self._shown
        self._shown.add(hash(last))
        return shown

    @property
    def cursor(self) -> str | None:
        """Shows the last job once more, and what follows it. That job may itself be gone, and then the list
        seems to end; its neighbour is not likely to be gone as well."""
        if self._apart:  # an item's id is no cursor; what led to the last page is one
            return self._after
        if self._beyond is not None and self._again:  # asked from before it, the list would show no more
            return self._beyond
        return self.tail[-2] if len(self.tail) > 1 else self._anchor

    @property
    def unproved(self) -> str | None:
        """The last job, when the list did not show it again."""
        return None if self.proved or not self.tail else self.tail[-1]

    def doubt(self) -> bool:
        """Ask once more; False when it is proved, or was asked often enough. Raises RepeatedPage where the
        list has ignored the cursor to the end."""
        if not self.proved and self._claims == CLAIMS and self._ignored is not None:
            raise RepeatedPage(
                f"the list, asked behind {self._ignored!r}, shows that job again: it ignores the cursor",
                hint="it can only be read as far as one page reaches",
            )
        if self.proved or self._claims == CLAIMS:
            return False
        self._claims += 1
        self._doubted = True
        return True


def _came(rows: PageRows) -> datetime:
    """When the page was sent, by the gateway's clock where it tells; times of creation are of that clock."""
    return rows.page.gateway_date or rows.page.received_at


def _ends_oddly(rows: PageRows) -> bool:
    """Its last item is no job."""
    return bool(rows.rejects) and rows.rejects[-1].position == len(rows.page.items) - 1
