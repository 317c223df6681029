"""Where a list ends, as one walk's pages tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from etl.pipeline.ending import CLAIMS, Ending
from etl.records import PageRequest, PageRows, RawPage
from etl.transform import Options, transform_page


def page(after: str | None, *ids: str, more: bool = False) -> PageRows:
    items = tuple(f'{{"id":"{each}","object":"video"}}'.encode() for each in ids)
    raw = RawPage(
        PageRequest(after, "asc", 2), items, None, None, more, None, datetime(2026, 1, 1, tzinfo=UTC)
    )
    return transform_page(raw, Options(), source_provider=None)


def test_behind_an_anchor_a_single_job_is_shown_again_from_there() -> None:
    ending = Ending("b")
    ending.saw(page("b", "c"))
    assert ending.doubt() and ending.cursor == "b"
    ending.saw(page("b", "c"))
    assert ending.proved


def test_nothing_behind_an_anchor_is_said_twice() -> None:
    ending = Ending("b")
    ending.saw(page("b"))
    assert not ending.proved and ending.doubt() and ending.cursor == "b"
    ending.saw(page("b"))
    assert ending.proved and ending.unproved is None


def test_an_empty_list_without_an_anchor_is_asked_until_it_is_taken_as_it_is() -> None:
    ending = Ending()
    for _ in range(CLAIMS):
        ending.saw(page(None))
        assert ending.doubt()
    ending.saw(page(None))
    assert not ending.doubt() and not ending.proved


def full(after: str | None, *ids: str) -> PageRows:
    return page(after, *ids, more=True)


def test_the_last_two_jobs_are_remembered() -> None:
    ending = Ending()
    assert ending.saw(full(None, "a", "b"))
    assert ending.saw(full("b", "c", "d"))
    assert (ending.cursor, ending.unproved) == ("c", "d")
    assert ending.saw(page("d", "e"))
    assert (ending.cursor, ending.unproved) == ("d", "e")


def test_a_single_job_has_none_before_it() -> None:
    ending = Ending()
    assert ending.unproved is None
    assert ending.saw(page(None, "a"))
    assert (ending.cursor, ending.unproved) == (None, "a")


def test_the_last_job_shown_again_proves_the_end_of_a_page_with_room() -> None:
    ending = Ending()
    ending.saw(full(None, "a", "b"))
    assert not ending.proved
    assert not ending.saw(page("a", "b", more=True))
    assert ending.proved and ending.unproved is None and not ending.doubt()


def test_a_full_page_proves_an_end_only_where_it_says_so() -> None:
    ending = Ending()
    ending.saw(full(None, "a", "b"))
    assert not ending.saw(full("x", "a", "b"))
    assert not ending.proved and ending.unproved == "b"
    assert not ending.saw(page("x", "a", "b"))
    assert ending.proved


def test_nothing_behind_the_job_shown_again_proves_it() -> None:
    for after, proved in (("b", True), ("a", False)):
        ending = Ending()
        ending.saw(full(None, "a", "b"))
        ending.saw(full("x", "a", "b"))
        assert not ending.saw(page(after))
        assert ending.proved == proved


def test_nothing_behind_a_job_that_was_not_shown_again_proves_nothing() -> None:
    ending = Ending()
    ending.saw(full(None, "a", "b"))
    assert not ending.saw(page("b"))
    assert not ending.proved and ending.unproved == "b"


def test_a_job_before_the_last_one_shown_again_is_nothing_new() -> None:
    ending = Ending()
    ending.saw(full(None, "a", "b"))
    assert not ending.saw(page("x", "b", "a"))
    assert not ending.proved and (ending.cursor, ending.unproved) == ("a", "b")


def test_an_end_is_doubted_six_times_and_anew_behind_each_new_job() -> None:
    ending = Ending()
    ending.saw(full(None, "a", "b"))
    for _ in range(6):
        assert ending.doubt()
    assert not ending.doubt()
    ending.saw(page("b", "c"))
    for _ in range(6):
        assert ending.doubt()
    assert not ending.doubt()


def test_an_anchor_counts_once_it_was_doubted_and_only_from_itself() -> None:
    ending = Ending("z")
    assert ending.unproved == "z"
    assert ending.doubt()
    ending.saw(page("y"))
    assert not ending.proved
    ending.saw(page("z"))
    assert ending.proved


def test_items_that_are_no_jobs_behind_the_job_shown_again() -> None:
    def odd(more: bool, *items: bytes) -> PageRows:
        raw = RawPage(
            PageRequest("b", "asc", 2), items, None, None, more, None, datetime(2026, 1, 1, tzinfo=UTC)
        )
        return transform_page(raw, Options(), source_provider=None)

    for rows, again, proved in (
        (odd(True, b"5"), True, True),
        (odd(False, b"5", b"6"), True, True),
        (odd(True, b"5", b"6"), True, False),
        (odd(True, b"5"), False, False),
    ):
        ending = Ending()
        ending.saw(full(None, "a", "b"))
        if again:
            ending.saw(full("x", "a", "b"))
        assert not ending.saw(rows)
        assert ending.proved == proved


def test_where_ids_are_no_cursors_what_led_to_the_last_page_is_one() -> None:
    ending = Ending()
    ending.saw(replace(full("k1", "a", "b"), page=replace(full("k1", "a", "b").page, apart=True)))
    assert ending.cursor == "k1"
    ending.saw(replace(page("k2"), page=replace(page("k2").page, apart=True)))
    assert ending.cursor == "k1"
    ending.saw(full("b", "c", "d"))
    assert ending.cursor == "c"


def short(after: str | None, *ids: str, more: bool = False) -> PageRows:
    """A page of a limit of one job."""
    rows = page(after, *ids, more=more)
    request = replace(rows.page.request, limit=1)
    return replace(rows, page=replace(rows.page, request=request))


def test_of_a_list_of_one_job_the_end_is_that_job_shown_again() -> None:
    ending = Ending()
    assert ending.saw(page(None, "a"))
    assert not ending.saw(page(None, "a"))
    assert ending.proved


def test_nothing_behind_the_only_job_shown_again_proves_it() -> None:
    ending = Ending()
    ending.saw(short(None, "a", more=True))
    ending.saw(short(None, "a", more=True))
    assert not ending.proved
    assert not ending.saw(short("a"))
    assert ending.proved


def test_before_any_page_the_anchor_is_asked_from() -> None:
    assert (Ending("z").cursor, Ending().cursor) == ("z", None)


def test_nothing_behind_an_anchor_that_had_shown_jobs_proves_nothing() -> None:
    for anchor in ("A", "z"):  # before the jobs' ids, and after them
        ending = Ending(anchor)
        ending.saw(full(anchor, "a", "b"))
        assert ending.doubt() and not ending.saw(page(anchor))
        assert not ending.proved and ending.unproved == "b"


def test_a_page_that_begins_with_the_last_job_and_goes_on_is_new() -> None:
    ending = Ending()
    ending.saw(full(None, "a", "b"))
    assert ending.saw(full("a", "b", "c"))
    assert (ending.cursor, ending.unproved) == ("b", "c")


def test_two_lists_that_take_turns_do_not_go_on_for_ever() -> None:
    """Each page ends with another job than the one before, and the list had seemed to go on."""
    ending, asked = Ending(), 0
    ending.saw(page(None, "a", "b"))
    while ending.doubt():
        asked += 1
        ending.saw(page(ending.cursor, *(("a", "b") if asked % 2 == 0 else ("c", "d"))))
        assert asked < 20
    assert not ending.proved


def test_of_a_server_that_heeds_neither_cursor_nor_limit_what_it_says_of_the_end_counts() -> None:
    """LiteLLM, as recorded: all of its twelve jobs, asked for ten, and `has_more: false` each time."""
    ending, ids = Ending(), [str(n) for n in range(12)]
    for after in (None, "10"):
        rows = page(after, *ids)
        request = replace(rows.page.request, limit=10)
        ending.saw(replace(rows, page=replace(rows.page, request=request, has_more=False)))
    assert ending.proved


def test_what_follows_the_last_job_is_asked_for_where_no_job_ends_the_page() -> None:
    """A gateway that always says `has_more: false`: behind the item that is no job there may be jobs."""
    shown = page("a", "b", "c")
    raw = replace(shown.page, items=(shown.page.items[0], b"7"))
    odd = transform_page(raw, Options(), source_provider=None)
    ending = Ending()
    ending.saw(page(None, "a", "b"))
    ending.saw(odd)
    assert not ending.proved and ending.doubt() and ending.cursor == "b"
    behind = transform_page(
        replace(raw, request=PageRequest("b", "asc", 2), items=(b"7",)), Options(), source_provider=None
    )
    ending.saw(behind)
    assert ending.proved


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def grown(number: int, born: datetime | None) -> PageRows:
    """The job that was the last one, and one behind it, at a second of its own."""
    ids = [f"job{number - 1}", f"job{number}"]
    rows = page(f"job{number - 2}", *ids)
    later = replace(rows.page, gateway_date=NOON + timedelta(seconds=number))
    return replace(rows, page=later, jobs=[row._replace(created_at=born) for row in rows.jobs])


@pytest.mark.parametrize(
    ("ahead", "proved"),
    [(0, True), (1, True), (-100, False), (7200, False), (None, False)],
    ids=["just now", "a second is no difference", "there before", "a clock that runs ahead", "no time"],
)
def test_an_end_behind_which_only_new_jobs_come_is_proved_in_time(ahead: int | None, proved: bool) -> None:
    ending = Ending()
    for number in range(2, CLAIMS + 9):
        born = None if ahead is None else NOON + timedelta(seconds=number + ahead)
        ending.saw(grown(number, born))
        assert ending.proved == (proved and number > CLAIMS + 1)
