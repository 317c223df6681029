"""Jobs read one by one: those that stayed open too long to wait for, and those a walk missed."""

from __future__ import annotations

from dataclasses import replace

from etl.errors import DeadCursor, Fatal, GarbledAnswer, GatewayError, NotFound, Unparseable
from etl.load import neighbour, rereadable
from etl.pipeline.run import Run
from etl.records import Order, PageRows, Request

#: Jobs of a page that should show one of them: some in between may be new to us.
NEAR = 10
#: Known jobs before it that are tried as a cursor.
CURSORS = 3


def reread(run: Run) -> None:
    """Read a bounded number of open or missed jobs that this run's walk did not show: by id, or in the list
    where the gateway cannot read by id."""
    limit, store = run.source.rereads_per_run, run.store
    if limit == 0 or not run.met_known:  # perhaps another account answers: its 404 says nothing
        return
    shown = set() if run.source.asked_as.polled else set(run.shown)
    candidates = store.read(lambda conn: rereadable(conn, store.source_id, limit + len(shown)))
    by_id = True
    for job_id in [i for i in candidates if i not in shown][:limit]:
        by_id = by_id and _read_by_id(run, job_id)
        if not by_id and not _read_in_list(run, job_id):
            return
        run.batch.reread.append(job_id)


def _read_by_id(run: Run, job_id: str) -> bool:
    """False when this gateway reads no jobs by id."""
    try:
        rows = run.read_job(job_id)
    except NotFound as error:
        if not error.json_body:
            return False  # a web server's 404
        run.batch.gone.append(job_id)
    except (Fatal, GarbledAnswer):
        return False  # barred, or a web page
    except GatewayError:
        pass  # this job's trouble; its turn comes again
    else:
        if rows.stale:
            run.distrust(rows)  # the gateway's cache: logged, not believed
        else:
            run.batch.by_id.append(_named(rows, job_id))
    return True


def _read_in_list(run: Run, job_id: str) -> bool:
    """The page behind its neighbour shows it; one that does not proves nothing, and where the neighbours are
    gone, its turn comes again. False when the list cannot be asked either."""
    place = run.store.known([job_id])[job_id].list_position
    for _ in range(CURSORS):
        beside = _neighbour(run, place)
        try:
            rows = run.fetch(Request(None if beside is None else beside[0], _order(run), NEAR))
        except (DeadCursor, NotFound):
            if beside is None:
                return False
            place = beside[1]
        except Unparseable:
            return True  # this page's trouble
        except GatewayError:
            return False
        else:
            _take_from_page(run, job_id, rows)
            return True
    return True


def _order(run: Run) -> Order:
    return "desc" if run.lists_newest_first else "asc"


def _neighbour(run: Run, place: int) -> tuple[str, int] | None:
    store, above = run.store, run.lists_newest_first
    return store.read(lambda conn: neighbour(conn, store.source_id, place, above=above, listed=True))


def _take_from_page(run: Run, job_id: str, rows: PageRows) -> None:
    jobs = tuple(row for row in rows.jobs if row.job_id == job_id)
    if jobs:
        run.batch.by_id.append(replace(rows, jobs=jobs, rejects=(), duplicates=0))


def _named(rows: PageRows, job_id: str) -> PageRows:
    """The answer under the id that was asked for: some gateways answer with the provider's own."""
    jobs = tuple(row._replace(job_id=job_id) for row in rows.jobs[:1] if job_id.startswith(row.job_id))
    return replace(rows, jobs=jobs)
