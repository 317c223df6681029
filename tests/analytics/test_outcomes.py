"""What became of jobs: nothing that has ended, or has left the list, counts as unfinished.

The expected numbers are written by hand, from gateway.md's statuses.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.load.lookup import known_jobs
from etl.load.totals import recount_all
from etl.load.unlisting import unlist_jobs
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts, JobRow, decide_outcome, is_settled
from etl.schema.tables import sources, video_jobs
from etl.transform.jobs import PageContext, job_row
from etl.transform.privacy import Options
from tests.support.world import NOW

#: Items as gateways list them: (more members, settled, outcome).
ITEMS = [
    ({"status": "queued"}, False, "open"),
    ({"status": "in_progress", "progress": 40}, False, "open"),
    ({"status": "throttled"}, False, "open"),
    ({"status": "completed"}, True, "completed"),
    ({"status": "failed", "error": {"code": "x"}}, True, "failed"),
    ({"status": "cancelled"}, True, "stopped"),
    ({"status": "canceled"}, True, "stopped"),
    ({"status": "expired"}, True, "stopped"),
    ({"status": "rejected", "error": {"code": "policy"}}, True, "stopped"),
    ({"status": "archived", "completed_at": 1_777_777_777}, True, "stopped"),
]


def _rows() -> list[JobRow]:
    made = int((NOW - timedelta(days=1)).timestamp())
    context = PageContext(Options(), "openai")
    return [
        job_row({"id": f"v{n}:openai", "model": "sora-2", "created_at": made, **more}, context)
        for n, (more, _, _) in enumerate(ITEMS)
    ]


@pytest.mark.parametrize(("more", "settled", "end"), ITEMS)
def test_one_rule(more, settled, end):
    [row] = [r for r, item in zip(_rows(), ITEMS, strict=True) if item[0] is more]
    assert row.settled is settled
    assert is_settled(row.status, ended="error" in more or "completed_at" in more) is settled
    assert decide_outcome(row.status, settled=settled, unlisted=False) == end


def _counts(engine: sa.Engine, **more: object) -> dict[str, int]:
    names = ("jobs", "completed", "failed", "stopped", "unfinished", "vanished")
    table = run_report(engine, "totals", Filter(NOW, **more))
    [row] = [dict(zip((c.name for c in table.columns), row, strict=True)) for row in table.rows]
    return {name: row[name] for name in names}


def _views(engine: sa.Engine) -> tuple[Counter[str], Counter[str]]:
    with engine.connect() as conn:
        facts = Counter(conn.scalars(sa.text("SELECT outcome FROM job_facts")))
        days = conn.execute(sa.text("SELECT outcome, SUM(jobs) FROM daily_jobs GROUP BY outcome")).all()
    return facts, Counter({end: int(jobs) for end, jobs in days})


def _write(engine: sa.Engine, rows: list[JobRow], source: int = 1) -> None:
    with engine.begin() as conn:
        found = known_jobs(conn, source, [row.job_id for row in rows])
        seen = [Seen(row, n, NOW, found.get(row.job_id)) for n, row in enumerate(rows)]
        JobWriter(conn, source, 1).write(seen, Counts())


def test_totals_views_and_ranges_agree(engine):
    """Ten listed; then the throttled and a cancelled one leave the list, and the throttled one comes back."""
    with engine.begin() as conn:
        conn.execute(sa.insert(sources).values(id=1, name="a", base_url="http://x", created_at=NOW))
    _write(engine, _rows())
    listed = {"jobs": 10, "completed": 1, "failed": 1, "stopped": 5, "unfinished": 3, "vanished": 0}
    assert _counts(engine) == _counts(engine, since=NOW - timedelta(days=3)) == listed
    with engine.begin() as conn:
        unlist_jobs(conn, 1, 1, [("v2:openai", "missing"), ("v5:openai", "missing")], NOW)
    gone = listed | {"unfinished": 2, "vanished": 1}
    assert _counts(engine) == _counts(engine, since=NOW - timedelta(days=3)) == gone
    by_hand = Counter(completed=1, failed=1, stopped=5, open=2, vanished=1)
    assert _views(engine) == (by_hand, by_hand)
    _write(engine, _rows()[2:3])
    assert _counts(engine) == _counts(engine, since=NOW - timedelta(days=3)) == listed
    assert recount_all(engine) == 10 and _counts(engine) == listed


def test_a_total_below_zero_is_not_believed(engine):
    """Somebody changed a status by hand; the sync that changes it back takes away what was never counted."""
    with engine.begin() as conn:
        conn.execute(sa.insert(sources).values(id=1, name="a", base_url="http://x", created_at=NOW))
    _write(engine, _rows())
    with engine.begin() as conn:
        conn.execute(sa.update(video_jobs).values(status="lost", content_hash="").where(_is("v0:openai")))
    _write(engine, _rows())
    assert _counts(engine)["unfinished"] == 3
    with engine.connect() as conn:
        assert conn.scalar(sa.text("SELECT MIN(jobs) FROM daily_jobs")) == 1


def _is(job_id: str) -> sa.ColumnElement[bool]:
    return video_jobs.c.job_id == job_id
