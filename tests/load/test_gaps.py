"""Stretches that nobody has read: which of two sights is one gap, and what closes it. Worked out by hand.

Jobs j0 to j9 stand at the places 0 to 9; each was made so many minutes after the first moment.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load.gaps import Gap, GapBook, GapKind, OpenGap, accept_gaps, read_open, with_holes
from etl.load.placing import Lane
from etl.load.source_health import retire_source, revive_source
from etl.load.unlisting import unlist_jobs
from etl.load.upsert import Seen
from etl.records import Order
from etl.schema.tables import coverage_gaps, sources, sync_state
from tests.load.test_jobs import _NOW, _job, _write, run

__all__ = ["run"]

LATER = _NOW + timedelta(hours=1)


def made(number: int) -> datetime:
    return _NOW + timedelta(minutes=number)


@pytest.fixture
def jobs(engine: sa.Engine, run: int) -> int:
    """The run that saw them."""
    _write(engine, run, [Seen(_job(f"j{n}", None, created_at=made(n)), n, _NOW, None) for n in range(10)])
    return run


def gap(below: str | None, above: str | None, kind: GapKind = "unreadable", reason: str = "why") -> Gap:
    return Gap(None, None, below, above, reason, kind)


def stretch(low: int | None, high: int | None, below: str | None = "a", above: str | None = "b") -> OpenGap:
    return OpenGap(1, "unreadable", below, above, low, high, None, False)


class Book:
    """One transaction after the other; `met` is one run's."""

    def __init__(self, engine: sa.Engine, run: int) -> None:
        self.engine, self.run = engine, run
        self.met: set[int] = set()

    def note(self, *gaps: Gap, probed: tuple[int, ...] = (), at: datetime = _NOW) -> list[OpenGap]:
        with write_transaction(self.engine) as conn:
            book = GapBook(conn, 1, self.run, at, read_open(conn, 1), self.met)
            book.note(gaps, probed)
            assert book.present() == read_open(conn, 1)
            return book.present()

    def joined(self, *, everything: bool) -> list[tuple[str | None, str | None]]:
        with write_transaction(self.engine) as conn:
            book = GapBook(conn, 1, self.run, _NOW, read_open(conn, 1), self.met)
            book.joined(everything=everything)
            return ends(book.present())


def ends(gaps: list[OpenGap]) -> list[tuple[str | None, str | None]]:
    return [(found.below, found.above) for found in gaps]


@pytest.mark.parametrize(
    ("low", "high", "overlaps"),
    [
        (3, 5, True),
        (4, 6, True),
        (2, 4, True),
        (0, 9, True),
        (5, 7, False),  # they touch in one job, which was read
        (1, 3, False),
        (None, 3, False),
        (None, 4, True),
        (5, None, False),
        (4, None, True),
        (None, None, True),
    ],
)
def test_which_stretches_overlap_the_one_from_3_to_5(
    low: int | None, high: int | None, overlaps: bool
) -> None:
    assert stretch(3, 5).overlaps(low, high) is overlaps
    assert stretch(low, high).overlaps(3, 5) is overlaps


@pytest.mark.parametrize(
    ("order", "near", "edge", "read"),
    [
        ("asc", 3, 5, True),
        ("asc", 2, 6, True),
        ("asc", 4, 5, False),  # it began behind the lower end
        ("asc", 3, 4, False),  # it has not come to the upper one
        ("asc", None, 5, False),
        ("asc", 3, None, False),
        ("desc", 5, 3, True),
        ("desc", 6, 2, True),
        ("desc", 4, 3, False),
        ("desc", 5, 4, False),
        ("desc", None, 3, False),
    ],
)
def test_a_lane_that_passes_both_ends_has_read_what_lies_between(
    order: Order, near: int | None, edge: int | None, read: bool
) -> None:
    assert stretch(3, 5).is_read_by(Lane(order, near=near, edge=edge)) is read


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("side", ["below", "above"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_stretch_to_the_lists_own_end_is_read_by_who_was_there(
    order: Order, side: str, whole: bool
) -> None:
    open_below = side == "below"
    found = stretch(None, 5, None, "b") if open_below else stretch(3, None, "a", None)
    begins_there = (order == "asc") == open_below
    lane = Lane(order, from_end=whole and begins_there, ended=whole and not begins_there)
    lane.near, lane.edge = (0, 9) if order == "asc" else (9, 0)
    assert found.is_read_by(lane) is whole


def test_a_gap_is_recorded_with_the_creation_of_its_ends(engine: sa.Engine, jobs: int) -> None:
    [found] = Book(engine, jobs).note(gap("j3", "j6"), at=LATER)
    assert (found.low, found.high, found.probed_at, found.accepted) == (3, 6, LATER, False)
    with engine.connect() as conn:
        row = conn.execute(sa.select(coverage_gaps)).one()
    assert (row.source_id, row.run_id, row.detected_at, row.kind) == (1, jobs, LATER, "unreadable")
    assert (row.gap_from, row.gap_until, row.reason) == (made(3), made(6), "why")
    assert row.accepted_at is None


def test_another_sight_of_an_unreadable_stretch_moves_its_ends(engine: sa.Engine, jobs: int) -> None:
    book = Book(engine, jobs)
    book.note(gap("j1", "j3"), gap("j5", "j8"))
    assert ends(book.note(gap("j6", "j7"))) == [("j1", "j3"), ("j6", "j7")]
    assert ends(book.note(gap("j3", "j5"))) == [("j1", "j3"), ("j3", "j5"), ("j6", "j7")]
    assert ends(book.note(gap("j2", "j7", reason="wide"))) == [("j2", "j7")]  # all of them are one
    with engine.connect() as conn:
        assert conn.scalar(sa.select(coverage_gaps.c.reason)) == "wide"


def test_what_several_were_joined_to_is_the_one_that_was_met(engine: sa.Engine, jobs: int) -> None:
    Book(engine, jobs).note(gap("j1", "j3"), gap("j5", "j6"), gap("j7", "j8"))
    book = Book(engine, jobs)
    book.note(gap("j2", "j9"))
    assert book.joined(everything=True) == [("j2", "j9")]


def test_kinds_are_never_mixed_and_a_walk_has_one_hole(engine: sa.Engine, jobs: int) -> None:
    book = Book(engine, jobs)
    book.note(gap("j1", "j3", "interrupted"))
    book.note(gap("j1", "j3", "window"))
    assert ends(book.note(gap("j7", "j8", "interrupted"))) == [("j1", "j3"), ("j7", "j8")]
    with engine.connect() as conn:
        assert sorted(conn.scalars(sa.select(coverage_gaps.c.kind))) == ["interrupted", "window"]


def test_a_window_that_shows_nothing_known_is_one_gap_while_nothing_was_listed_after_it(
    engine: sa.Engine, jobs: int
) -> None:
    book = Book(engine, jobs)
    book.note(gap("j2", None, "window"))
    assert ends(book.note(gap("j2", "j5", "window"))) == [("j2", "j5")]
    assert len(book.note(gap("j2", "j7", "window"))) == 2  # that one had its end
    assert len(book.note(gap(None, "j8", "window"))) == 3
    assert len(book.note(gap(None, "j9", "window"))) == 4


def test_what_was_asked_for_in_vain_is_noted_and_no_longer_taken_for_gone(
    engine: sa.Engine, jobs: int
) -> None:
    [first, second] = Book(engine, jobs).note(gap("j1", "j3"), gap("j5", "j8"))
    book = Book(engine, jobs)
    told = book.note(probed=(second.id,), at=LATER)
    assert [found.probed_at for found in told] == [_NOW, LATER]
    assert book.joined(everything=True) == [("j5", "j8")]
    assert first.probed_at == _NOW


def test_only_who_has_read_everything_forgets_what_it_did_not_meet(engine: sa.Engine, jobs: int) -> None:
    Book(engine, jobs).note(
        gap("j1", "j2"),
        gap("j3", "j4", "interrupted"),
        gap("j5", "j6", "window"),
        gap("gone", "j8", "window"),
    )
    Book(engine, jobs).note(gap("j8", None, "window"))
    left = [("j1", "j2"), ("j5", "j6"), ("gone", "j8"), ("j8", None)]
    assert sorted(map(str, Book(engine, jobs).joined(everything=False))) == sorted(map(str, left))
    # A window's gap is read with everything where both of its ends are still listed.
    assert sorted(map(str, Book(engine, jobs).joined(everything=True))) == sorted(map(str, left[2:]))


def test_a_windows_gap_stays_when_one_of_its_ends_is_no_longer_listed(engine: sa.Engine, jobs: int) -> None:
    Book(engine, jobs).note(gap("j5", "j6", "window"))
    with write_transaction(engine) as conn:
        unlist_jobs(conn, 1, jobs, [("j5", "aged_out")], LATER)
    assert Book(engine, jobs).joined(everything=True) == [("j5", "j6")]


def test_what_a_lane_has_read_is_no_gap(engine: sa.Engine, jobs: int) -> None:
    Book(engine, jobs).note(gap("j1", "j3"), gap("j5", "j8"))
    with write_transaction(engine) as conn:
        book = GapBook(conn, 1, jobs, _NOW, read_open(conn, 1), set())
        book.close_read([Lane("asc", near=2, edge=9), Lane("desc", near=4, edge=2)])
        assert ends(book.present()) == [("j1", "j3")]


def test_a_walk_that_has_not_come_down_holds_a_gap_to_the_newest_known_job(
    engine: sa.Engine, jobs: int
) -> None:
    for below, above, until in ((["j9", "j7"], "j7", made(7)), ([], None, None)):
        with write_transaction(engine) as conn:
            book = GapBook(conn, 1, jobs, _NOW, read_open(conn, 1), set())
            book.hold(below, jobs)
            [found] = book.present()
            assert (found.kind, found.below, found.above) == ("interrupted", "j9", above)
            row = conn.execute(sa.select(coverage_gaps)).one()
            assert (row.gap_from, row.gap_until) == (made(9), until)
            book.hold(below, jobs - 1)  # nothing was known before
            assert ends(book.present()) == [(None, above)]


def test_accepted_is_what_was_open_and_is_no_walks_hole(engine: sa.Engine, jobs: int) -> None:
    told = Book(engine, jobs).note(gap("j1", "j2"), gap("j3", "j4", "interrupted"), gap("j5", "j6", "window"))
    ids = [found.id for found in told]
    assert accept_gaps(engine, ids[:2], _NOW) == 1
    assert accept_gaps(engine, ids, _NOW) == 1
    with engine.connect() as conn:
        assert [found.accepted for found in read_open(conn, 1)] == [True, False, True]


def test_what_a_walk_has_left_of_an_archive_is_lost(engine: sa.Engine, jobs: int) -> None:
    """Nobody will go on there; and when somebody does after all, it counts again."""
    [told] = Book(engine, jobs).note(gap("j3", "j4", "interrupted"))
    with engine.begin() as conn:
        name = conn.scalar(sa.select(sources.c.name).where(sources.c.id == 1))
        if conn.scalar(sa.select(sync_state.c.source_id)) is None:
            conn.execute(sa.insert(sync_state).values(source_id=1))
    retire_source(engine, name, now=_NOW, reason="ended")
    assert accept_gaps(engine, [told.id], _NOW) == 1
    revive_source(engine, name)
    with engine.connect() as conn:
        assert [found.accepted for found in read_open(conn, 1)] == [False]


def test_where_walks_have_stopped_stands_in_the_checkpoint() -> None:
    lane = Lane("desc", cursor="m")
    assert with_holes(None, []) is None
    noted = with_holes(None, [lane])
    assert noted == {"below": ["m"]} and lane.noted == "m"
    lane.cursor = "k"
    assert with_holes({"below": ["m", "c"], "x": 1}, [lane]) == {"below": ["k", "c"], "x": 1}
    assert with_holes({"below": ["k", "c"]}, [lane]) == {"below": ["k", "c"]}
