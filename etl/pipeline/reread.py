"""Jobs read one by one: those that stayed open too long to wait for, and those a walk missed."""

from __future__ import annotations

from dataclasses import replace

from etl.errors import Fatal, GatewayError, NotFound
from etl.load import rereadable
from etl.pipeline.run import Run
from etl.records import PageRows


def reread(run: Run) -> None:
    """Read a bounded number of open or missed jobs by id that this run's walk did not show."""
    limit, store = run.source.rereads_per_run, run.store
    if limit == 0:
        return
    shown = set(run.shown)
    candidates = store.read(lambda conn: rereadable(conn, store.source_id, limit + len(shown)))
    for job_id in [i for i in candidates if i not in shown][:limit]:
        if not _read_one(run, job_id):
            return


def _read_one(run: Run, job_id: str) -> bool:
    """False when going on would be pointless."""
    try:
        rows = run.read_job(job_id)
    except NotFound as error:
        if not error.json_body:
            return False  # a web server's 404: this gateway cannot read jobs by id
        run.batch.gone.append(job_id)
    except Fatal:
        return False  # listing works, reading by id is barred
    except GatewayError:
        pass  # this job's trouble; its turn comes again
    else:
        if rows.stale:
            run.distrust(rows)  # the gateway's cache: logged, not believed
        else:
            run.batch.by_id.append(_named(rows, job_id))
    run.batch.reread.append(job_id)
    return True


def _named(rows: PageRows, job_id: str) -> PageRows:
    """The answer under the id that was asked for: some gateways answer with the provider's own."""
    jobs = tuple(row._replace(job_id=job_id) for row in rows.jobs[:1] if job_id.startswith(row.job_id))
    return replace(rows, jobs=jobs)
