"""Jobs of one second: a gateway may give them another order at each request, and then a scan that turns a
page among them passes one unseen. They are looked for once more, on pages that show their whole second.

Only a page that leads there from a job which the scan has just shown, and shows that job's neighbour too,
says anything: a cursor that nobody knows may be answered by an empty page, or by the first one.
"""

from __future__ import annotations

from datetime import datetime

from etl.errors import DeadCursor, GatewayError, NotFound
from etl.load import ties
from etl.pipeline.page_fetcher import MOST
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON
from etl.records import PageRequest, PageRows

#: Listed jobs beside a second that are tried as a cursor; pages of one second, where they are capped.
CURSORS, PAGES = 3, 20
#: Jobs on a page: fewer, where a longer one reaches as far as a record that nobody can read.
LIMITS = (MOST, 20, 3)
#: Pages from the list's beginning, where no job's id is a cursor.
FAR = 1000
#: Seconds that one scan asks for; after so many in a row that nobody could say anything of, it asks no more.
SECONDS, IN_VAIN = 200, 3


def look_again(run: Run, oldest: int | None) -> tuple[int | None, int]:
    """Returns the position below which all has aged out, and of how many jobs nothing can be said.

    `oldest` is the position of the oldest job listed (None: unknown). Jobs of its own second below it are
    looked for as well. Suspects that are shown, or of which nothing can be said, are suspects no more; the
    latter still speak against a scan that looks wrong.
    """
    store, run_id = run.store, run.store.committed.run_id or 0
    suspects = store.read(lambda conn: ties.tied_suspects(conn, store.source_id, run_id))
    below = store.read(lambda conn: ties.below_in_its_second(conn, store.source_id, oldest))
    look = _Look(
        run, {moment: None for _, moment in [*suspects, *((b.job_id, b.moment) for b in below)]}, oldest
    )
    look.ask_for_seconds()
    unsaid = [job for job, moment in suspects if moment in look.pending and job not in look.shown]
    store.suspect(unsaid, again=False)
    place, vague = _oldest_place(run, look, oldest, below)
    return place, len(unsaid) + vague


def _oldest_place(
    run: Run, look: _Look, oldest: int | None, below: list[ties.Tied]
) -> tuple[int | None, int]:
    """All that is shown of the oldest second is listed; where that cannot be said, none of it aged out."""
    if run.sights is not None:
        look.shown |= run.sights.among([tied.job_id for tied in below])
    vague = [tied for tied in below if tied.moment in look.pending and tied.job_id not in look.shown]
    kept = [tied.position for tied in below if tied.job_id in look.shown or tied in vague]
    place = min(kept, default=oldest)
    amid = [tied for tied in below if tied.job_id not in look.shown and tied not in vague]
    run.store.suspect([tied.job_id for tied in amid if place is not None and tied.position > place])
    return place, len(vague)


class _Look:
    """`pending` are the seconds (UTC) of which nothing is said yet, `shown` the jobs on all its pages."""

    def __init__(self, run: Run, seconds: dict[datetime, None], floor: int | None) -> None:
        self._run, self._floor, self._down = run, floor, run.lists_newest_first
        self._apart = run.gateway.cursors.apart  # then all seconds are read from the list's beginning at once
        self.pending = dict.fromkeys(sorted(seconds, reverse=self._down != self._apart))
        self.shown: set[str] = set()

    def ask_for_seconds(self) -> None:
        asked = vain = 0
        for moment in list(self.pending):
            if moment not in self.pending:
                continue  # a page for another second has shown it whole
            if asked == SECONDS or vain == IN_VAIN:
                break
            asked += 1
            vain = 0 if self._ask_for(moment) else vain + 1
        if asked:
            self._run.flush()

    def _ask_for(self, moment: datetime) -> bool:
        """Whether pages have shown the whole second."""
        witness, cursors = self._way_to(moment)
        for cursor in cursors:
            try:
                said = self._read_twice(cursor, moment, witness)
            except (DeadCursor, NotFound):
                continue
            except GatewayError:
                return False
            if said and self._apart:
                self.pending.clear()  # the farthest one was asked for
            elif said:
                self.pending.pop(moment, None)
            return said
        return False

    def _read_twice(self, cursor: str | None, moment: datetime, witness: str | None) -> bool:
        """Whether the second was shown whole; behind it there may stand what nobody can read."""
        for limit in LIMITS:
            try:
                ended, said = self._read(cursor, moment, witness, limit)
                if ended and said:  # an end may be a lie: it is asked for twice
                    ended, said = self._read(cursor, moment, witness, limit)
            except POISON as error:
                if limit == LIMITS[-1]:
                    raise
                self._run.narrowing.spend(error)
            else:
                break
        return said

    def _way_to(self, moment: datetime) -> tuple[str | None, list[str | None]]:
        """The listed job next to this second, and those behind it as cursors: pages from there show it.
        None is the list's beginning."""
        near: list[str | None] = [*self._beside(moment)]
        if self._apart:
            return next(iter(near), None), [None]
        if len(near) <= CURSORS:
            near.append(None)
        return near[0], near[1:] or [None]

    def _beside(self, moment: datetime) -> list[str]:
        read, source_id, down = self._run.store.read, self._run.store.source_id, self._down
        edge = read(lambda conn: ties.edge_of_second(conn, source_id, moment, highest=down))
        if edge is None:
            return []
        near = read(lambda conn: ties.jobs_beside(conn, source_id, edge, above=down, limit=CURSORS + 1))
        return [job_id for job_id, place in near if down or self._floor is None or place >= self._floor]

    def _read(
        self, cursor: str | None, moment: datetime, witness: str | None, limit: int
    ) -> tuple[bool, bool]:
        """Whether the list's end was met, and whether the second was shown whole."""
        request, seen = PageRequest(cursor, "desc" if self._down else "asc", limit), set[str]()
        for _ in range(FAR if self._apart else PAGES):
            rows = self._run.fetch(request)
            self._take(rows, seen)
            told = bool(seen) and (witness is None or witness in seen)
            if (last := self._beyond(rows, moment)) is not None:
                if told:
                    self._conclude(moment, last)
                return False, told
            if rows.page.following is None:
                return True, told and rows.page.ends
            request = rows.page.following
        return False, False

    def _take(self, rows: PageRows, seen: set[str]) -> None:
        ids = [row.job_id for row in rows.jobs]
        seen.update(ids)
        self.shown.update(ids)
        self._run.batch.glanced.append(rows)
        self._run.commit_if_due()

    def _beyond(self, rows: PageRows, moment: datetime) -> datetime | None:
        """The page's last creation, where it lies behind the second."""
        times = [row.created_at for row in rows.jobs if row.created_at is not None]
        last = min(times, default=moment) if self._down else max(times, default=moment)
        return last if (last < moment if self._down else last > moment) else None

    def _conclude(self, moment: datetime, last: datetime) -> None:
        """All seconds between have been shown whole as well."""
        first, end = sorted((moment, last))
        for second in [second for second in self.pending if first <= second <= end and second != last]:
            del self.pending[second]
