"""Two keys of one account list the same jobs: each counts once, whoever saw it, and everybody is told.

Two sources of one gateway list the same 20 jobs of 4 s at 0.10 a second: 20 jobs and 8 dollars, by hand, not
40 and 16. A third source, of another gateway, lists jobs of the same ids: those are others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.grouped import GROUPED
from etl.analytics.jobs import Choice, count_jobs, list_jobs
from etl.analytics.queries import run_report
from etl.analytics.status import read_status, seen_twice
from etl.load.lookup import known_jobs
from etl.load.totals import recount_all
from etl.load.twins import look_again
from etl.load.unlisting import unlist_jobs
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts, JobRow
from etl.schema import migrate
from etl.schema.tables import leases, sources, sync_state, video_jobs

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)
JOBS = range(20)
PLACES = {1: ("first", "http://gw"), 2: ("second", "http://gw"), 3: ("elsewhere", "http://other")}
#: Reports in which every job stands once, by themselves and added up by something.
PLAIN = ("totals", "daily", "hourly", "minutely", "monthly", "models", "cost")
BYS = ("model", "day", "hour", "team", "week,status")


def _job(number: int, **more: Any) -> JobRow:
    row: dict[str, Any] = dict.fromkeys(JobRow._fields) | {
        "job_id": f"v{number}:openai",
        "status": "completed",
    }
    row |= {"provider": "openai", "model": "sora-2", "size": "720x1280", "width": 720, "height": 1280}
    row |= {"seconds": 4.0, "settled": True, "content_hash": "x", "created_at": NOW, "completed_at": NOW}
    return JobRow(**(row | more))


def _write(engine: sa.Engine, source: int, rows: list[JobRow]) -> None:
    with engine.begin() as conn:
        known = known_jobs(conn, source, [row.job_id for row in rows])
        seen = [Seen(row, n, NOW, known.get(row.job_id)) for n, row in enumerate(rows)]
        JobWriter(conn, source, source).write(seen, Counts())


@pytest.fixture
def doubled(engine: sa.Engine) -> sa.Engine:
    with engine.begin() as conn:
        for number, (name, url) in PLACES.items():
            conn.execute(sa.insert(sources).values(id=number, name=name, base_url=url, created_at=NOW))
            conn.execute(sa.insert(sync_state).values(source_id=number))
    _write(engine, 1, [_job(n) for n in JOBS])
    _write(engine, 2, [_job(n) for n in JOBS])
    return engine


def _counted(engine: sa.Engine) -> tuple[int, Decimal]:
    """Jobs and dollars, which everything that counts agrees on."""
    answers = set()
    for since in (None, NOW):
        for name, by in (*((name, "") for name in PLAIN), *((name, by) for name in GROUPED for by in BYS)):
            table = run_report(engine, name, Filter(NOW, since=since, by=by, zone="Pacific/Auckland"))
            columns = [column.name for column in table.columns]
            if "cost" in columns:
                jobs, cost = columns.index("jobs"), columns.index("cost")
                answers.add((sum(row[jobs] for row in table.rows), sum(row[cost] for row in table.rows)))
    with engine.connect() as conn:
        for view in (
            "SELECT COUNT(*), SUM(cost) FROM job_facts",
            "SELECT SUM(jobs), SUM(cost) FROM daily_jobs",
        ):
            jobs, cost = conn.exec_driver_sql(view).one()
            answers.add((int(jobs), round(Decimal(str(cost)), 6).normalize()))
    everything = Choice(Filter(NOW))
    assert count_jobs(engine, everything) == len(list_jobs(engine, everything, 0, 1000).rows)
    assert {count_jobs(engine, everything)} == {jobs for jobs, _ in answers}
    [answer] = answers
    return answer


def test_each_job_counts_once(doubled):
    assert _counted(doubled) == (20, 8)
    assert recount_all(doubled) == 20 and _counted(doubled) == (20, 8)
    latency = run_report(doubled, "latency", Filter(NOW)).rows
    assert [(row[0], row[3]) for row in latency] == [("first", 20)]


def test_it_is_said(doubled):
    assert seen_twice(doubled) == [("second", "first", 20)]
    status = {each.source: each for each in read_status(doubled, NOW)}
    assert (status["second"].twins, status["first"].twins) == ({"first": 20}, {})


@pytest.mark.parametrize("since", [None, NOW])
def test_a_family_that_two_sources_saw_first_is_one(doubled, since):
    """Of v0 two remixes: one that the first source stored first, and one that the second did."""
    of_v0 = [_job(n, remixed_from_job_id="v0:openai", created_at=NOW) for n in (30, 31)]
    for source, rows in ((1, of_v0[:1]), (2, of_v0), (1, of_v0[1:])):
        _write(doubled, source, rows)
    _write(doubled, 3, [_job(0), _job(31, remixed_from_job_id="v0:openai")])
    table = run_report(doubled, "remixes", Filter(NOW, since=since))
    places = [[column.name for column in table.columns].index(n) for n in ("source", "jobs", "depth", "cost")]
    found = sorted(tuple(row[place] for place in places) for row in table.rows)
    assert found == [("elsewhere", 2, 1, Decimal("0.8")), ("first", 3, 1, Decimal("1.2"))]
    with doubled.connect() as conn:
        [(jobs, different)] = conn.exec_driver_sql(
            "SELECT COUNT(*), COUNT(DISTINCT job_id) FROM remix_jobs WHERE source = 'first'"
        )
    assert (jobs, different) == (3, 3)


def test_another_gateway_s_jobs_of_the_same_ids_are_others(doubled):
    _write(doubled, 3, [_job(n) for n in JOBS])
    assert _counted(doubled) == (40, 16)


def test_changes_of_a_twin_change_no_total(doubled):
    _write(doubled, 2, [_job(0, content_hash="y", seconds=8.0)])
    with doubled.begin() as conn:
        unlist_jobs(conn, 2, 2, [("v1:openai", "missing")], NOW)
    assert _counted(doubled) == (20, 8)
    _write(doubled, 1, [_job(0, content_hash="y", seconds=8.0)])
    assert _counted(doubled) == (20, Decimal("8.4"))


def test_two_that_store_at_the_same_moment_look_again(doubled):
    """Neither saw the other's row; both counted it."""
    with doubled.begin() as conn:
        conn.execute(sa.update(video_jobs).values(twin_source_id=None))
    recount_all(doubled)
    assert _counted(doubled) == (40, 16)
    with doubled.begin() as conn:
        look_again(conn, 2)
        look_again(conn, 1)
    assert _counted(doubled) == (20, 8)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_two_that_store_at_the_same_moment_count_it_once(doubled):
    """The second one looks while the first has not committed yet: it waits, and then sees the job. SQLite has
    one writer at a time."""
    with doubled.begin() as conn:
        for source in (1, 2):
            conn.execute(sa.insert(leases).values(source_id=source, token=0))
    looked = threading.Event()

    def store(source: int, before_commit: Callable[[], object]) -> None:
        with doubled.begin() as conn:
            conn.execute(sa.select(leases).where(leases.c.source_id == source).with_for_update()).one()
            if source == 2:
                sa.event.listen(conn, "before_cursor_execute", lambda *given: note(given[2]))
            JobWriter(conn, source, source).write([Seen(_job(50), 50, NOW, None)], Counts())
            before_commit()

    def note(statement: str) -> None:
        if "leases" in statement and "FOR UPDATE" in statement.upper():
            looked.set()

    with ThreadPoolExecutor(1) as pool:
        others = []

        def meanwhile() -> None:
            others.append(pool.submit(store, 2, looked.set))
            assert looked.wait(60)

        store(1, meanwhile)
        others[0].result(60)
    assert _counted(doubled) == (21, Decimal("8.4"))


def test_an_upgrade_finds_what_was_counted_twice(doubled):
    migrate.downgrade_schema(doubled, "0011")
    migrate.upgrade_schema(doubled)
    assert _counted(doubled) == (20, 8)
    assert seen_twice(doubled) == [("second", "first", 20)]


@pytest.mark.parametrize("what", ["new jobs", "a first load's end"])
def test_as_many_statements_however_many_sources_the_gateway_has(doubled: sa.Engine, what: str) -> None:
    """Two hundred keys of one gateway are two hundred sources: none may ask for each of the others."""
    counted = [_statements(doubled, 100, what)]
    with doubled.begin() as conn:
        for number in range(200, 240):
            row = {"id": number, "name": f"s{number}", "base_url": "http://gw", "created_at": NOW}
            conn.execute(sa.insert(sources).values(**row))
    _write(doubled, 239, [_job(7, job_id="w1:openai"), _job(7, job_id="w2:openai")])
    counted.append(_statements(doubled, 101, what))
    assert counted[1] == counted[0] + 1 < 20, "one for each source that counts some: 1, and then 239 too"
    with doubled.connect() as conn:
        c = video_jobs.c
        twins = conn.execute(sa.select(c.job_id, c.twin_source_id).where(c.source_id == 101)).all()
    found = {row.job_id: row.twin_source_id for row in twins}
    assert found == {"v0:openai": 1, "v1:openai": 1, "w1:openai": 239, "new:openai": None}, (
        "the first counts it"
    )


def _statements(engine: sa.Engine, source: int, what: str) -> int:
    """How many it takes to store four jobs of a new source, or to look again at them."""
    with engine.begin() as conn:
        row = {"id": source, "name": f"n{source}", "base_url": "http://gw", "created_at": NOW}
        conn.execute(sa.insert(sources).values(**row))
    rows = [_job(n) for n in (0, 1)] + [_job(7, job_id="w1:openai"), _job(7, job_id="new:openai")]
    rows = rows if source == 101 else [*rows[:2], _job(7, job_id="a:openai"), _job(7, job_id="b:openai")]
    if what == "new jobs":
        return _counting(engine, lambda: _write(engine, source, rows))
    with engine.begin() as conn:  # stored while nobody looked
        for n, row in enumerate(rows):
            values = row._asdict() | {"source_id": source, "version": 1, "list_position": n}
            values |= dict.fromkeys(("first_seen_at", "last_changed_at"), NOW) | {"first_run_id": 1}
            conn.execute(sa.insert(video_jobs).values(**values))
    return _counting(engine, lambda: _look(engine, source))


def _look(engine: sa.Engine, source: int) -> None:
    with engine.begin() as conn:
        look_again(conn, source)


def _counting(engine: sa.Engine, work: Callable[[], None]) -> int:
    seen: list[str] = []

    def hear(*_: Any) -> None:
        seen.append("")

    sa.event.listen(engine, "before_cursor_execute", hear)
    try:
        work()
    finally:
        sa.event.remove(engine, "before_cursor_execute", hear)
    return len(seen)
