"""Is the verdict worth anything? Rows are damaged behind its back; each damage must be told."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

_ANY_JOB = "(SELECT job_id FROM (SELECT min(job_id) AS job_id FROM video_jobs WHERE unlisted_at IS NULL) x)"
_OLD = "(SELECT seq FROM (SELECT min(change_seq) AS seq FROM video_job_versions) x)"
_LAST_RUN = "(SELECT id FROM (SELECT max(id) AS id FROM sync_runs) x)"
_ANY_TOTAL = "(SELECT digest FROM (SELECT min(digest) AS digest FROM daily_totals) x)"
#: In this order; each one alone must add to what the verdict finds.
DEEDS = {
    "a job's prompt altered": f"UPDATE video_jobs SET prompt = 'sabotage' WHERE job_id = {_ANY_JOB}",
    "a version deleted": f"DELETE FROM video_job_versions WHERE change_seq = {_OLD}",
    "a version altered": f"UPDATE video_job_versions SET size = '1x1' WHERE change_seq = {_OLD}",
    "a run's count altered": f"UPDATE sync_runs SET jobs_seen = jobs_seen + 1 WHERE id = {_LAST_RUN}",
    "a run left running": f"UPDATE sync_runs SET status = 'running' WHERE id = {_LAST_RUN}",
    "a total altered": f"UPDATE daily_totals SET jobs = jobs + 1 WHERE digest = {_ANY_TOTAL}",
    "a job deleted": f"DELETE FROM video_jobs WHERE job_id = {_ANY_JOB}",
}


def unnoticed(engine: sa.Engine, verdict: Callable[[], list[str]]) -> list[str]:
    """The damages that did not add to the verdict's findings."""
    before, said = set(verdict()), []
    for name, statement in DEEDS.items():
        with engine.begin() as conn:
            conn.execute(sa.text(statement))
        now = set(verdict())
        said += [] if now - before else [f"sabotage went unnoticed: {name}"]
        before = now
    return said
