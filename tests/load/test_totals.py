"""Totals are what the jobs say, whatever became of them; where somebody interfered, views count jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.load import lookup
from etl.load.totals import recount_all, recount_totals
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts, JobRow
from etl.schema import migrate
from etl.schema.tables import daily_totals, sources, video_jobs
from harness.truth import Tables, kept
from tests.load.test_jobs import _job
from tests.support.command import Command

_NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def _made(number: int, **given: object) -> JobRow:
    """Jobs around midnight, of two sizes, some without what they are counted by."""
    created = datetime(2026, 3, 3, 23, 59, 50, tzinfo=UTC) + timedelta(seconds=number)
    size = {"size": "1280x720", "width": 1280, "height": 720} if number % 2 else {}
    values = {"status": "queued", "model": "sora-2" if number % 3 else None, "seconds": number % 4 or None}
    values |= {"created_at": created if number % 5 else None, "content_hash": f"{number}{given}"[:32]}
    return _job(f"job {number}", None, **(values | size | given))


def _write(engine: sa.Engine, *rows: JobRow, partial: bool = False) -> None:
    with engine.begin() as conn:
        found = lookup.known_jobs(conn, 1, [row.job_id for row in rows])
        seen = [Seen(row, n, _NOW, found.get(row.job_id), partial) for n, row in enumerate(rows)]
        JobWriter(conn, 1, 1).write(seen, Counts())


@pytest.fixture
def loaded(engine: sa.Engine) -> sa.Engine:
    with engine.begin() as conn:
        conn.execute(sa.insert(sources).values(id=1, name="main", base_url="http://x", created_at=_NOW))
    _write(engine, *(_made(n) for n in range(30)))
    return engine


def _wrong(engine: sa.Engine) -> list[str]:
    return kept(Tables(engine, "main"))


def _totals(engine: sa.Engine, **chosen: object) -> list[tuple[object, ...]]:
    names = ("totals", "daily", "models", "latency")
    return [row for name in names for row in run_report(engine, name, Filter(_NOW, **chosen)).rows]


def _done(number: int, took: timedelta) -> JobRow:
    created = _made(number).created_at
    return _made(number, status="completed", completed_at=created and created + took)


def test_jobs_that_come_change_and_stay(loaded: sa.Engine) -> None:
    assert not _wrong(loaded)
    lengths = (timedelta(seconds=90), timedelta(milliseconds=1500), timedelta(0), -timedelta(seconds=3))
    _write(loaded, *(_done(n, lengths[n % 4]) for n in range(20)))
    assert not _wrong(loaded)
    _write(loaded, *(_done(n, timedelta(seconds=91)) for n in range(5)), _made(3_000_000))
    _write(loaded, _done(7, timedelta(seconds=9))._replace(seconds=None, size=None), partial=True)
    assert not _wrong(loaded)


def test_another_source_is_counted_apart(loaded: sa.Engine) -> None:
    with loaded.begin() as conn:
        conn.execute(sa.insert(sources).values(id=2, name="other", base_url="http://y", created_at=_NOW))
        seen = [Seen(_made(n), n, _NOW, None) for n in range(3)]
        JobWriter(conn, 2, 1).write(seen, Counts())
    assert not _wrong(loaded) and not kept(Tables(loaded, "other"))
    assert run_report(loaded, "totals", Filter(_NOW)).rows[0][0] == 33


def test_views_say_the_same_either_way(loaded: sa.Engine) -> None:
    _write(loaded, *(_done(n, timedelta(seconds=n, milliseconds=n)) for n in range(20)))
    told = _totals(loaded)
    assert told[0][0] == 30
    with loaded.begin() as conn:
        conn.execute(sa.delete(daily_totals))
    assert _totals(loaded) == told
    assert _totals(loaded, models=("sora-2",)) != told
    filtered = _totals(loaded, models=("sora-2",), sources=("main",), statuses=("completed",))
    assert recount_all(loaded) == 30
    assert _totals(loaded) == told and not _wrong(loaded)
    assert _totals(loaded, models=("sora-2",), sources=("main",), statuses=("completed",)) == filtered


def test_a_hand_that_deletes_jobs_is_noticed(loaded: sa.Engine) -> None:
    with loaded.begin() as conn:
        conn.execute(sa.delete(video_jobs).where(video_jobs.c.job_id == "job 7"))
    assert run_report(loaded, "totals", Filter(_NOW)).rows[0][0] == 29
    assert recount_all(loaded) == 29
    assert not _wrong(loaded)
    assert run_report(loaded, "totals", Filter(_NOW)).rows[0][0] == 29


def test_an_upgrade_counts_what_is_there(loaded: sa.Engine) -> None:
    migrate.downgrade_schema(loaded, "0004")
    migrate.upgrade_schema(loaded, recount_totals)
    assert not _wrong(loaded)


def test_the_command(loaded: sa.Engine, engine_url: str, tmp_path: Path) -> None:
    with loaded.begin() as conn:
        conn.execute(sa.delete(daily_totals))
    assert _wrong(loaded)
    checked = Command(tmp_path, DATABASE_URL=engine_url)("db", "check")
    assert (
        checked.code == 1 and "bifrost-etl db recount" in checked.err and "daily_totals has 0" in checked.out
    )
    assert "ok" not in checked.out, "it is not said before everything was compared"
    done = Command(tmp_path, DATABASE_URL=engine_url)("db", "recount")
    assert (done.code, done.out) == (0, "30 jobs counted\n"), done.all
    assert not _wrong(loaded)


def test_the_command_on_an_empty_database(tmp_path: Path) -> None:
    done = Command(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/new.db")("db", "recount")
    assert done.code == 1 and "db upgrade" in done.err
