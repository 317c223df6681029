"""What is known of a batch is what is stored, to the last digit, however its rows were made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load.job_rows import ready_rows
from etl.load.lookup import Known, known_jobs, known_on_the_way
from etl.load.unlisting import unlist_jobs
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts, JobRow, Order, PageFacts, PageRequest, PageRows, RawPage
from etl.schema.tables import video_jobs
from tests.load.test_jobs import _NOW, _TEXTS, _job, _stored, run

__all__ = ["run"]

_PROGRESS = (None, 0.0, 100.0, 50.0, 1 / 7, 100 / 3, 99.99999999999999, 0.1 + 0.2, 1e-300)
_PLACES = (0, 1, -1, 2**62, -(2**62), 2**53 + 1)


def _page(jobs: list[JobRow]) -> PageRows:
    raw = RawPage(PageRequest(), (b"{}",) * len(jobs), None, None, True, None, _NOW)
    return PageRows(raw, tuple(jobs), (), {}, None, PageFacts(), 0)


def test_every_digit_and_letter_comes_back(engine: sa.Engine, run: int) -> None:
    ids = [f"{n} {text}" for n, text in enumerate(_TEXTS.values())]
    jobs = [_job(key, None, progress=_PROGRESS[n % len(_PROGRESS)]) for n, key in enumerate(ids)]
    places = [_PLACES[n % len(_PLACES)] for n in range(len(ids))]
    with write_transaction(engine) as conn:
        writer = JobWriter(conn, 1, run)
        writer.write([Seen(job, p, _NOW, None) for job, p in zip(jobs, places, strict=True)], Counts())
        unlist_jobs(conn, 1, run, [(ids[0], "missing")], _NOW)
        found = known_jobs(conn, 1, [*ids, "nobody"])
    expected = {
        job.job_id: Known(job.job_id, "x" * 32, 1, job.progress, place, False, False, run, None)
        for job, place in zip(jobs, places, strict=True)
    }
    expected[ids[0]] = expected[ids[0]]._replace(version=2, unlisted=True)
    assert found == expected


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("edge", [-1, 0, 5, 17, 29, 30])
@pytest.mark.parametrize("shown", [1, 4, 40])
def test_what_a_walk_meets_is_what_its_ids_would_find(
    engine: sa.Engine, run: int, order: Order, edge: int, shown: int
) -> None:
    """Jobs at 0 to 29, of which every third is unlisted; the walk shows others too, near and far."""
    ids = [f"job {n:02}" for n in range(30)]
    asked = [*ids[::3], *ids[1::3], "nobody", *ids[2::3]][:shown]
    with write_transaction(engine) as conn:
        writer = JobWriter(conn, 1, run)
        writer.write([Seen(_job(key, None), n, _NOW, None) for n, key in enumerate(ids)], Counts())
        unlist_jobs(conn, 1, run, [(key, "missing") for key in ids[::3]], _NOW)
        found = known_on_the_way(conn, 1, edge, order, asked)
        known = known_jobs(conn, 1, [*ids, "nobody"])
    assert {key: job for key, job in found.jobs.items() if key in asked} == {
        key: known[key] for key in asked if key in known
    }
    assert found.jobs.items() <= known.items()
    for low in range(-2, 32):
        for high in range(low, 32):
            between = {key for key, job in known.items() if low < job.list_position <= high}
            assert not found.covers(low, high) or between <= found.jobs.keys()
    reach = min(shown, 30)
    low, high = (edge, edge + reach) if order == "asc" else (edge - 1 - reach, edge - 1)
    assert found.covers(low, high)
    assert not found.covers(low, None)


def test_rows_made_ready_ahead_are_the_same(engine: sa.Engine, run: int) -> None:
    """By the thread that read the page, or in the transaction; in one write of both."""
    times = [None, datetime(1970, 1, 1, tzinfo=UTC), _NOW, datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)]
    many = [
        _job(
            f"{made} {n:02}",
            text,
            model=text,
            extra='{"a":[1,"\\\\ü"]}',
            created_at=times[n % 4],
            settled=True,
        )
        for made in ("ahead", "late")
        for n, text in enumerate(_TEXTS.values())
    ]
    half = len(many) // 2
    with write_transaction(engine) as conn:
        ahead = ready_rows(conn.dialect.name, 1, _page(many[:half]))
        seen = [Seen(job, n, _NOW, None, ready=ahead.get(job.job_id)) for n, job in enumerate(many)]
        JobWriter(conn, 1, run).write(seen, Counts())
    names = [c.name for c in video_jobs.columns if c.name not in ("job_id", "list_position")]
    rows = _stored(engine, video_jobs, *names)
    assert len(rows) == 2 * half and rows[:half] == rows[half:]
    assert [row[names.index("created_at")] for row in rows[:4]] == times
