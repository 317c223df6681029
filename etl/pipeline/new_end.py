"""Jobs missing from the list's new end. A list forgets at its old end; from the new one only a deletion takes
jobs, or the list that is shown is older than what is known: a copy of the gateway's database that lags, a
cache that does not say so. One of them that can be read by id tells: then nothing is said against any.
"""

from __future__ import annotations

from etl.errors import Fatal, GarbledAnswer, GatewayError, NotFound
from etl.load import unlisting
from etl.pipeline.run import Run

#: So many of them are read by id: the newest, and what lies between; each may have been deleted besides.
ASKED = 3


def trust_new_end(run: Run) -> int:
    """Suspects newer than all that the scan has shown are suspects no more where one of them is still there.
    Returns how many those are."""
    store, run_id = run.store, run.store.committed.run_id or 0
    newest = store.read(lambda conn: unlisting.suspects_at_new_end(conn, store.source_id, run_id))
    step = max(1, (len(newest) - 1) // (ASKED - 1))
    if not any(_is_there(run, job_id) for job_id in newest[::step][:ASKED]):
        return 0
    store.suspect(newest, again=False)
    return len(newest)


def _is_there(run: Run, job_id: str) -> bool:
    """It is, or nothing can be said for now; where no job can be read by id, the list's word counts."""
    try:
        rows = run.read_job(job_id)
    except (NotFound, Fatal, GarbledAnswer):
        return False
    except GatewayError:
        return True
    return any(row.job_id == job_id for row in rows.jobs)
