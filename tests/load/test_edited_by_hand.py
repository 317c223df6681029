"""Rows that somebody took away by hand: what the list shows comes back, and its history goes on."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load.totals import recount_all
from etl.schema.tables import video_job_versions, video_jobs
from tests.reliability.test_strange_lists import List, jobs, reading


@pytest.mark.parametrize("also", [[], [video_job_versions]], ids=["the job", "and its history"])
def test_a_job_removed_by_hand_comes_back(url_by_turns: str, also: list[sa.Table]) -> None:
    """Its first version was numbered 1 again: every run that met it failed from then on."""
    listed = List(jobs(0, 250))
    taken = (listed.jobs[120]["id"], listed.jobs[249]["id"])
    with reading(listed, url_by_turns) as rig:
        rig.ok()
        listed.jobs[120]["prompt"] = "another"
        assert rig.reconcile().counts.jobs_updated == 1
        with write_transaction(rig.app.engine) as conn:
            for table in (video_jobs, *also):
                conn.execute(sa.delete(table).where(table.c.job_id.in_(taken)))
        recount_all(rig.app.engine)
        listed.jobs += jobs(250, 253)
        rig.ok()
        result = rig.reconcile()
        assert result.status == "ok", result.error
        found = {job_id: row["version"] for job_id, row in rig.jobs().items()}
        assert len(found) == 253
        assert [found[job_id] for job_id in taken] == ([1, 1] if also else [3, 2])
        rig.assert_accounts()
