"""What only a read by id tells, asked once of each job that has ended (`details: true`).

Bounded as re-reads are, and patient: jobs that a run saw end are read in that run, older ones a few at a
time, the last that ended first. What is asked stands in the database before it is asked, and what was told is
committed with its mark: a run that is killed in between asks for some jobs again, which changes nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from etl.errors import BadRequest, Fatal, GatewayError, NotFound, Unparseable
from etl.load.job_details import (
    DetailMarks,
    DetailsBatch,
    DetailsRead,
    ended_jobs,
    jobs_without_details,
    newest_change,
)
from etl.log import get_logger
from etl.pipeline.run import Run
from etl.transform import Unusable
from etl.transform.job_details import read_details

#: Jobs that one run reads at most, however many it saw end.
AT_MOST = 500
#: Jobs per transaction.
AT_ONCE = 50


def read_ended_jobs(run: Run) -> None:
    """A refusal, or an outage, ends it until the next run; the run itself goes on.

    Raises StorageError, LeaseLost, Stopped."""
    if not run.source.details:
        return
    store, limit = run.store, max(run.source.rereads_per_run, min(_queue(run), AT_MOST))
    ids = store.read(lambda conn: jobs_without_details(conn, store.source_id, limit))
    for start in range(0, len(ids), AT_ONCE):
        run.obey()
        chunk = ids[start : start + AT_ONCE]
        with ThreadPoolExecutor(max_workers=min(run.source.concurrency, len(chunk))) as pool:
            answers = list(pool.map(lambda job_id: _ask(run, job_id), chunk))
        run.batch.details = DetailsBatch(read=[each for each in answers if each is not None])
        run.flush()
        if None in answers:
            return


def _queue(run: Run) -> int:
    """Rows for jobs that have ended since, and for some of those that had before. How many ended since."""
    store, marks = run.store, run.state.learned.details
    if _shows_an_end(run):
        run.flush()  # now it is in the history
    if marks is None:
        newest = store.read(lambda conn: newest_change(conn, store.source_id))
        marks = (newest + 1, newest)
    after, ended = store.read(lambda conn: ended_jobs(conn, store.source_id, DetailMarks(*marks)))
    if tuple(after) == run.state.learned.details:
        return 0
    run.learn(details=tuple(after))
    run.batch.details = DetailsBatch(ended=ended)
    run.flush()
    return len(ended) if after.newest > marks[1] else 0


def _shows_an_end(run: Run) -> bool:
    """What is not yet committed holds a job that has ended, and of which that is not stored."""
    pages = [*(rows for _, rows in run.batch.pages), *run.batch.by_id]
    ids = [row.job_id for rows in pages for row in rows.jobs if row.settled]
    known = run.store.known(ids) if ids else {}
    return any(each not in known or not known[each].settled for each in ids)


def _ask(run: Run, job_id: str) -> DetailsRead | None:
    """None: nothing was learned of this job, and nothing can be of the others."""
    try:
        body = run.wait_for(lambda: run.accounts.ask(lambda key: run.gateway.whole_job(job_id, key=key)))
        return DetailsRead(job_id, "read", read_details(body, run.options))
    except NotFound as error:
        return DetailsRead(job_id, "gone") if error.json_body else None
    except (BadRequest, Unparseable, Unusable):
        return DetailsRead(job_id, "unreadable")
    except (Fatal, GatewayError) as error:
        get_logger("pipeline").warning("details_unread", source=run.source.name, error=str(error))
        return None
