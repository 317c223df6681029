"""Jobs read one by one: those that stayed open too long to wait for, and those a walk missed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from etl.errors import DeadCursor, Fatal, GarbledAnswer, GatewayError, NotFound, Unparseable
from etl.load import Candidate, count_listed, reread_candidates
from etl.pipeline.poison_proof import record
from etl.pipeline.run import Run
from etl.pipeline.trouble import POISON
from etl.pipeline.turns import look_for_turns
from etl.records import Order, PageRequest, PageRows

#: Jobs of a page that should show one of them: some in between may be new to us.
NEAR = 10
#: Known jobs before it that are tried as a cursor.
CURSORS = 3
#: A job that the list has shown open for so long is read by id, so many in a run, each as seldom.
STUCK, SAMPLE = timedelta(minutes=10), 2
#: Of so many known jobs that a page shows, one may be missing besides.
MISSING = 10


def reread(run: Run) -> None:
    """Read a bounded number of open or missed jobs that this run's walk did not show: by id, or in the list
    where the gateway cannot read by id."""
    limit, store = run.source.rereads_per_run, run.store
    if limit == 0 or not run.met_known:  # perhaps another account answers: its 404 says nothing
        return
    shown = set() if run.source.asked_as.polled else set(run.shown)
    most = max(limit, SAMPLE) + len(run.shown)
    found = store.read(lambda conn: reread_candidates(conn, store.source_id, most))
    candidates = list(dict.fromkeys(each.job_id for each in found))
    if not run.state.learned.moves_by_id:
        candidates = [*_stuck(run, found), *(i for i in candidates if i not in shown)]
    by_id = True
    run.wanted = set(candidates[:limit])
    for job_id in candidates[:limit]:
        if job_id not in run.wanted:
            continue  # a page that was asked for another one has shown it
        run.wanted.discard(job_id)
        by_id = by_id and _read_by_id(run, job_id)
        if not by_id and not _read_in_list(run, job_id):
            break
        run.batch.reread.append(job_id)
    if run.batch.gone and run.state.learned.several is None:
        look_for_turns(run)  # another account's 404 says nothing


def _stuck(run: Run, candidates: Sequence[Candidate]) -> list[str]:
    """Shown open for long: perhaps this list's statuses move only when a job is read by id."""
    since = run.now() - STUCK
    old = (each.job_id for each in candidates if each.open and each.read_at < since)
    return [job_id for job_id in old if job_id in run.open_shown][:SAMPLE]


def _read_by_id(run: Run, job_id: str) -> bool:
    """False when this gateway reads no jobs by id."""
    try:
        rows = run.read_job(job_id)
    except NotFound as error:
        if not error.json_body:
            return False  # a web server's 404
        if list_denies(run, job_id) and not run.by_id_lies:
            run.batch.gone.append(job_id)
    except (Fatal, GarbledAnswer):
        return False  # barred, or a web page
    except Unparseable:
        _read_in_list(run, job_id)  # only there can be told whether it is unreadable, or all jobs by id
    except GatewayError:
        pass  # this job's trouble; its turn comes again
    else:
        if rows.stale or not run.accounts.accept(rows):
            run.distrust(rows)  # the gateway's cache, another account: logged, not believed
        else:
            found = _named(rows, job_id)
            if job_id in run.open_shown and any(row.settled for row in found.jobs):
                run.learn(moves_by_id=True)  # the list said otherwise a moment ago, and for long
            run.batch.by_id.append(found)
            if not found.jobs:
                _read_in_list(run, job_id)  # an answer without the job
    return True


def _read_in_list(run: Run, job_id: str) -> bool:
    """The page behind its neighbour shows it; one that does not proves nothing, and where the neighbours are
    gone, its turn comes again. False when the list cannot be asked either."""
    edge = place = run.store.known([job_id])[job_id].list_position
    if _is_in_gap(run, place):
        return True  # known to be unreadable, and asked for already
    for _ in range(CURSORS):
        beside = _neighbour(run, edge)
        try:
            rows = run.fetch(PageRequest(None if beside is None else beside[0], _order(run), NEAR))
        except (DeadCursor, NotFound):
            if beside is None:
                return False
            edge = beside[1]
        except Unparseable as error:
            _record_unreadable(run, place, error)
            return True
        except GatewayError:
            return False
        else:
            _take_from_page(run, job_id, rows)
            return True
    return True


def _is_in_gap(run: Run, place: int) -> bool:
    gaps = (gap for gap in run.store.committed.gaps if gap.kind == "unreadable")
    return any(
        (gap.low is None or gap.low < place) and (gap.high is None or place < gap.high) for gap in gaps
    )


def _record_unreadable(run: Run, place: int, error: Unparseable) -> None:
    """Neither by id nor in the list: what became of it is not known, and no walk would meet it. Without
    proof its turn comes again."""
    low, high = (run.store.listed_beside(place, above=above) for above in (False, True))
    with suppress(*POISON):
        record(run, low and low[0], high and high[0], error)


def list_denies(run: Run, job_id: str) -> bool:
    """The list shows the place where the job stood, and not the job. Where it shows the job, that is stored:
    the list outweighs a 404 by id, which may be another account's, or a hiccup."""
    job = run.store.known([job_id])[job_id]
    sign = -1 if run.lists_newest_first else 1
    edge: int | None = job.list_position
    for skip in (run.source.page_size // 2, *[0] * CURSORS):
        beside = None if edge is None else _neighbour(run, edge, skip)
        edge = None if beside is None else beside[1]
        try:
            rows = run.fetch(
                PageRequest(None if beside is None else beside[0], _order(run), run.source.page_size)
            )
        except (DeadCursor, NotFound):
            continue
        except GatewayError:
            return False
        if job_id in [row.job_id for row in rows.jobs]:
            _take_from_page(run, job_id, rows)
            _disbelieve(run)
            return False
        known = run.store.known([row.job_id for row in rows.jobs])
        places = [sign * each.list_position for each in known.values() if not each.unlisted]
        start = None if edge is None else sign * edge
        return _passes(places, start, sign * job.list_position, ends=rows.page.ends) and (
            bool(run.accounts.own) or _is_whole(run, [*places, sign * job.list_position], sign)
        )
    return False


def _disbelieve(run: Run) -> None:
    """The list shows a job that is not there by id: where nobody says which account answers, no other 404 of
    this run counts."""
    if not run.accounts.own:
        run.by_id_lies = True
        run.batch.gone.clear()


def _passes(places: list[int], start: int | None, place: int, *, ends: bool) -> bool:
    """The page with known jobs at `places` begins behind `start`, and leads past `place`."""
    if not places or (start is not None and min(places) <= start):
        return False
    return max(places) > place or ends


def _is_whole(run: Run, places: list[int], sign: int) -> bool:
    """Nobody says which account answers: the page must show nearly all that is known to stand there, and not
    only lack the job. Of another account it would lack many."""
    low, high = sorted((sign * min(places), sign * max(places)))
    expected = run.store.read(lambda conn: count_listed(conn, run.store.source_id, low, high))
    shown = len(places) - 1
    return shown > 0 and (expected - shown) <= max(1, shown // MISSING)


def _order(run: Run) -> Order:
    return "desc" if run.lists_newest_first else "asc"


def _neighbour(run: Run, place: int, skip: int = 0) -> tuple[str, int] | None:
    return run.store.listed_beside(place, above=run.lists_newest_first, skip=skip)


def _take_from_page(run: Run, job_id: str, rows: PageRows) -> None:
    """The job, and every other one on the page whose turn would have come."""
    taken = {row.job_id for row in rows.jobs} & run.wanted
    jobs = tuple(row for row in rows.jobs if row.job_id == job_id or row.job_id in taken)
    run.wanted -= taken
    run.batch.reread.extend(taken)
    if jobs:
        run.batch.by_id.append(replace(rows, jobs=jobs, rejects=(), duplicates=0))


def _named(rows: PageRows, job_id: str) -> PageRows:
    """The answer under the id that was asked for: some gateways answer with the provider's own."""
    jobs = tuple(row._replace(job_id=job_id) for row in rows.jobs[:1] if job_id.startswith(row.job_id))
    return replace(rows, jobs=jobs)
