"""A world of texts that nearly equal each other: every view and report tells them apart, on every database.

Each variant has a number of its own, so a mixture shows in the sums. Expected values are counted by hand.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.jobs import Choice, count_jobs, every_job, list_jobs
from etl.analytics.prices import import_prices, unpriced_jobs
from etl.analytics.queries import run_report
from etl.analytics.reports import REPORTS
from etl.config import Price
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts, JobRow
from etl.schema.tables import sources
from etl.schema.views.create import VIEWS

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)
MADE = datetime(2026, 5, 7, 9, tzinfo=UTC)
#: Case, accents (one letter, and a letter with a mark), blanks behind, wildcards, nothing.
TEXTS = [
    "sora",
    "Sora",
    "SORA",
    "sóra",
    "so\u0301ra",
    "sora ",
    "sora  ",
    "s_ra",
    "s%ra",
    "so\\ra",
    "-",
    "",
    None,
]
#: How many jobs of each.
JOBS = {text: n for n, text in enumerate(TEXTS, 1)}
ALL = sum(JOBS.values())


def _job(number: int, text: str | None, which: int) -> JobRow:
    """Of two jobs one is completed after 10 s and one has failed; every text column holds the text."""
    done = which % 2 == 0
    row: dict[str, Any] = dict.fromkeys(JobRow._fields)
    row |= dict.fromkeys(("provider", "model", "prompt", "size", "error_message"), text)
    row |= {
        "job_id": f"{text or number}|{which}",
        "status": "completed" if done else "failed",
        "settled": True,
    }
    row |= {
        "error_code": None if done else text,
        "seconds": 2.0,
        "created_at": MADE,
        "content_hash": "x" * 32,
    }
    row |= {"completed_at": MADE + timedelta(seconds=10) if done else None}
    row |= {"remixed_from_job_id": f"{text or number}|0" if which else None}
    return JobRow(**row)


@pytest.fixture
def near(engine: sa.Engine) -> sa.Engine:
    with engine.begin() as conn:
        for number, name in enumerate(("a", "A", "á", "a "), 1):
            conn.execute(sa.insert(sources).values(id=number, name=name, base_url="http://x", created_at=NOW))
        made = [_job(n, text, which) for text, n in JOBS.items() for which in range(n)]
        JobWriter(conn, 1, 1).write([Seen(row, n, NOW, None) for n, row in enumerate(made)], Counts())
    import_prices(
        engine,
        [
            Price(model=text, price=Decimal(n), valid_from=date(2026, 1, 1))
            for text, n in JOBS.items()
            if text
        ],
    )
    return engine


def _completed(number: int) -> int:
    return (number + 1) // 2


def _column(engine: sa.Engine, sql: str) -> dict[Any, Any]:
    with engine.connect() as conn:
        rows = conn.exec_driver_sql(sql).all()
    assert len({row[0] for row in rows}) == len(rows), rows
    return dict(map(tuple, rows))


def test_each_job_is_one_row_with_its_own_price(near):
    sql = "SELECT model, COUNT(*) FROM job_facts GROUP BY model"
    assert _column(near, sql) == JOBS
    cost = _column(near, "SELECT model, SUM(cost) FROM job_facts GROUP BY model")
    by_hand = {text: 2 * n * _completed(n) if text else None for text, n in JOBS.items()}
    assert {model: amount and int(amount) for model, amount in cost.items()} == by_hand


@pytest.mark.parametrize("since", [None, MADE])
def test_reports_keep_them_apart(near, since):
    chosen = Filter(NOW, since=since)
    names = {name: [c.name for c in REPORTS[name].columns] for name in REPORTS}
    for name in ("models", "usage", "cost"):
        rows = [dict(zip(names[name], row, strict=True)) for row in run_report(near, name, chosen).rows]
        jobs = {row["model"]: row["jobs"] for row in rows}
        assert len(rows) == len(TEXTS), name
        assert jobs == {text: _completed(n) if name == "cost" else n for text, n in JOBS.items()}, name
        assert all(row["cost"] == 2 * JOBS[row["model"]] * _completed(JOBS[row["model"]])
                   for row in rows if row["model"])  # fmt: skip
    failed = run_report(near, "failures", chosen).rows
    assert Counter({row[1]: row[3] for row in failed}) == Counter(
        {t: n // 2 for t, n in JOBS.items() if n > 1}
    )
    latency = run_report(near, "latency", chosen).rows
    assert {row[2]: row[3] for row in latency} == {t: _completed(n) for t, n in JOBS.items()}
    assert run_report(near, "totals", chosen).rows[0][:3] == (ALL, sum(map(_completed, JOBS.values())),
                                                      sum(n // 2 for n in JOBS.values()))  # fmt: skip


def test_families_and_repeats(near):
    """A prompt of its own each, asked for as often as it has jobs; an empty one or none is no request."""
    repeats = _column(near, "SELECT prompt, jobs FROM duplicate_requests")
    assert repeats == {text: n for text, n in JOBS.items() if text and n > 1}
    trees = _column(near, "SELECT root_job_id, jobs FROM remix_trees")
    assert trees == {f"{text or n}|0": n for text, n in JOBS.items() if n > 1}


def test_lists_of_jobs(near):
    everything = Choice(Filter(NOW))
    ids = [row[1] for table in every_job(near, everything) for row in table.rows]
    assert len(ids) == len(set(ids)) == ALL == count_jobs(near, everything)
    assert len(list_jobs(near, everything, 0, 500).rows) == ALL
    for text, number in JOBS.items():
        if text:
            assert count_jobs(near, Choice(Filter(NOW, models=(text,)))) == number, text
    missing = Choice(Filter(NOW), only="unpriced")
    assert count_jobs(near, missing) == _completed(JOBS[""]) + _completed(JOBS[None])
    assert {(row[1][0], row[3][0]) for row in unpriced_jobs(near)} == {("", 6), (None, 7)}


def test_every_view_and_report_runs(near):
    for report in REPORTS:
        for source in ((), ("a",), ("A", "á")):
            run_report(near, report, Filter(NOW, sources=source))
    with near.connect() as conn:
        for view in VIEWS:
            conn.exec_driver_sql(f"SELECT * FROM {view.name}").all()
        for name, jobs in (("a", ALL), ("A", 0), ("á", 0), ("a ", 0)):
            found = conn.execute(sa.text("SELECT COUNT(*) FROM job_facts WHERE source = :s"), {"s": name})
            assert found.scalar() == jobs
