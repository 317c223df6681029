"""How far a source is known, and from where the next walk begins. Worked out by hand.

Jobs j0 to j9 stand at the places 0 to 9, made a minute apart; all are settled unless a test says otherwise.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.errors import CommitLost
from etl.load.positions import UNPLACED
from etl.load.state import (
    LookBack,
    SyncState,
    Trouble,
    advance_frontier,
    find_source,
    last_commit,
    may_be_joined,
    read_state,
    register_source,
    write_state,
)
from etl.load.unlisting import suspect_jobs, unlist_jobs
from etl.load.upsert import Seen
from etl.schema.tables import sync_runs, sync_state
from tests.load.test_jobs import _NOW, _job, _write, run

__all__ = ["run"]

DAY = 86_400.0


def made(number: float) -> datetime:
    return _NOW + timedelta(minutes=number)


def store(engine: sa.Engine, run: int, *opened: int, **times: datetime | None) -> None:
    jobs = []
    for n in range(10):
        name = f"j{n}"
        state = {"status": "queued"} if n in opened else {"status": "completed", "settled": True}
        jobs.append(Seen(_job(name, None, created_at=times.get(name, made(n)), **state), n, made(n), None))
    _write(engine, run, jobs)


def advance(engine: sa.Engine, *, patience: float = DAY, since: datetime = _NOW, most: int = 100) -> Any:
    """(frontier, cursor, creation of the frontier) when the run began to read at `since`, 20 minutes on."""
    state = SyncState()
    with write_transaction(engine) as conn:
        told = advance_frontier(conn, 1, state, made(20), patience, LookBack(since, most))
    return state.frontier_id, state.cursor, told["frontier_created_at"]


def test_the_frontier_is_the_newest_job_below_every_open_one(engine: sa.Engine, run: int) -> None:
    store(engine, run, 6, 8)
    assert advance(engine) == ("j5", "j4", made(5))


def test_without_open_jobs_it_is_the_newest_job(engine: sa.Engine, run: int) -> None:
    store(engine, run)
    assert advance(engine) == ("j9", "j8", made(9))


def test_there_is_none_while_the_oldest_job_is_open_and_a_single_one_has_no_cursor(
    engine: sa.Engine, run: int
) -> None:
    assert advance(engine) == (None, None, None)
    store(engine, run, 0)
    assert advance(engine) == (None, None, None)


def test_one_job_below_the_open_ones_has_no_cursor(engine: sa.Engine, run: int) -> None:
    store(engine, run, 1)
    assert advance(engine) == ("j0", None, made(0))


def test_a_job_open_for_longer_than_patience_holds_nothing_back(engine: sa.Engine, run: int) -> None:
    store(engine, run, 2, 7)
    assert advance(engine, patience=17 * 60.0)[0] == "j6"  # of 20 minutes: j2 was made 18 minutes ago
    assert advance(engine, patience=18 * 60.0 + 1)[0] == "j1"
    assert advance(engine, patience=12 * 60.0)[0] == "j9"


def test_neither_unlisted_nor_suspected_nor_unplaced_jobs_are_frontiers(engine: sa.Engine, run: int) -> None:
    store(engine, run)
    _write(engine, run, [Seen(_job("logged", None, created_at=made(1)), UNPLACED, _NOW, None)])  # and open
    with write_transaction(engine) as conn:
        unlist_jobs(conn, 1, run, [("j9", "missing")], made(20))
        suspect_jobs(conn, 1, run, ["j8", "j6"])
    assert advance(engine) == ("j7", "j5", made(7))


def test_the_walk_begins_behind_a_job_more_than_ten_seconds_older(engine: sa.Engine, run: int) -> None:
    close = {"j8": made(9) - timedelta(seconds=10), "j7": made(9) - timedelta(seconds=11)}
    store(engine, run, **close)
    assert advance(engine) == ("j9", "j7", made(9))


def test_a_second_that_fills_a_page_is_looked_behind_while_more_may_come(engine: sa.Engine, run: int) -> None:
    """Of j3 to j9, all of one second, a page shows three; j2 is older."""
    store(engine, run, **{f"j{n}": made(9) for n in range(3, 10)})
    assert advance(engine, most=3, since=made(9)) == ("j9", "j2", made(9))
    assert advance(engine, most=3, since=made(14)) == ("j9", "j2", made(9))  # five minutes on, to the second
    assert advance(engine, most=3, since=made(14) + timedelta(seconds=1)) == ("j9", "j6", made(9))


def test_a_second_with_nothing_before_it_has_no_cursor_while_more_may_come(
    engine: sa.Engine, run: int
) -> None:
    store(engine, run, **{f"j{n}": made(9) for n in range(10)})
    assert advance(engine, since=made(9)) == ("j9", None, made(9))


def test_an_hour_ahead_is_still_credible(engine: sa.Engine, run: int) -> None:
    store(engine, run, j9=made(60), j8=made(60))
    assert advance(engine, since=made(0)) == ("j9", "j7", made(60))


def test_times_from_a_wrong_clock_count_for_nothing(engine: sa.Engine, run: int) -> None:
    """j9 says that it was made more than an hour after the run began; j8 says nothing."""
    store(engine, run, j9=made(61), j8=None)
    assert advance(engine, since=made(0)) == ("j9", "j6", made(61))  # j7 is the newest credible one


def test_without_any_time_the_cursor_is_the_job_before(engine: sa.Engine, run: int) -> None:
    store(engine, run, **{f"j{n}": None for n in range(10)})
    assert advance(engine) == ("j9", "j8", None)


def test_the_state_comes_back_as_it_was_stored(engine: sa.Engine, run: int) -> None:
    trouble = Trouble("c", "asc", "TimedOut", 3, _NOW)
    state = SyncState("f", "c", {"below": ["a\0", {"x": "b"}], "n": 5}, "asc", run, made(1), made(2))
    state.trouble = trouble
    with write_transaction(engine) as conn:
        write_state(conn, 1, state, mark="one", newest=made(5))
    with engine.connect() as conn:
        found, kept = read_state(conn, 1), conn.scalar(sa.select(sync_state.c.newest_job_at))
    assert found.checkpoint == {"below": ["a\ufffd", {"x": "b"}], "n": 5}
    assert (found.frontier_id, found.cursor, found.list_order, found.complete_run_id) == (
        "f",
        "c",
        "asc",
        run,
    )
    assert (found.complete_at, found.reconciled_at, found.trouble) == (made(1), made(2), trouble)
    assert (found.last_commit, kept) == ("one", made(5))


def test_the_newest_job_only_moves_forward(engine: sa.Engine, run: int) -> None:
    told = []
    for mark, newest in (("1", made(3)), ("2", made(1)), ("3", None), ("4", made(4))):
        with write_transaction(engine) as conn:
            write_state(conn, 1, read_state(conn, 1), mark=mark, newest=newest)
            told.append(conn.scalar(sa.select(sync_state.c.newest_job_at)))
            assert last_commit(conn, 1) == mark
    assert told == [made(3), made(3), made(3), made(4)]


def test_a_commit_over_another_is_refused(engine: sa.Engine, run: int) -> None:
    with engine.connect() as conn:
        mine, theirs = read_state(conn, 1), read_state(conn, 1)
    with write_transaction(engine) as conn:
        write_state(conn, 1, theirs, mark="theirs")
    with pytest.raises(CommitLost), write_transaction(engine) as conn:
        write_state(conn, 1, mine, mark="mine")
    with write_transaction(engine) as conn:
        assert last_commit(conn, 1) == "theirs"
        write_state(conn, 1, theirs, mark="on")


def test_a_job_may_still_join_a_second_that_was_young_when_the_last_complete_run_began(
    engine: sa.Engine, run: int
) -> None:
    began = {"started_at": made(10)}
    with write_transaction(engine) as conn:
        conn.execute(sa.update(sync_runs).values(**began))
        assert may_be_joined(conn, run, made(5))  # five minutes before
        assert not may_be_joined(conn, run, made(5) - timedelta(seconds=1))
        assert may_be_joined(conn, None, made(0)) and may_be_joined(conn, run + 1, made(0))


def test_a_source_that_moved_forgets_how_its_own_list_runs(engine: sa.Engine, run: int) -> None:
    with write_transaction(engine) as conn:
        other = register_source(conn, "other", "http://y", "openai", None, _NOW)
        conn.execute(sa.update(sync_state).values(list_order="asc"))
        for address, provider in (("http://y", "azure"), ("http://z", "azure")):
            orders = dict(conn.execute(sa.select(sync_state.c.source_id, sync_state.c.list_order)).all())
            assert orders == {1: "asc", other: "asc"}
            assert find_source(conn, "other", address, provider, None) is None
            assert register_source(conn, "other", address, provider, None, _NOW) == other
            assert find_source(conn, "other", address, provider, None) == other
        orders = dict(conn.execute(sa.select(sync_state.c.source_id, sync_state.c.list_order)).all())
        assert orders == {1: "asc", other: None}
        assert find_source(conn, "main", "http://x", "openai", None) == 1
