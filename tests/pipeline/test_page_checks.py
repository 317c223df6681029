"""What a page must be after the ones before it, and what is said of one that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from etl.errors import OrderIgnored, PagingError, RepeatedPage
from etl.pipeline.page_checks import Guard, backwards, created, direction, wholly_after
from etl.records import Order, PageRequest, PageRows, RawPage
from etl.transform import Options, transform_page

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
START = int(NOON.timestamp())


def page(*seconds: float | None, after: str | None = None, names: str = "abcdefgh") -> PageRows:
    """Jobs a, b, c … made so many seconds after noon (None: it does not say)."""
    jobs = [
        {"id": name, "object": "video"} | ({} if at is None else {"created_at": START + at})
        for name, at in zip(names, seconds, strict=False)
    ]
    items = tuple(map(msgspec.json.encode, jobs))
    last = str(jobs[-1]["id"]) if jobs else None
    raw = RawPage(PageRequest(after, "asc", 10), items, None, None, True, None, NOON, leads_to=last)
    return transform_page(raw, Options(), source_provider=None)


@pytest.mark.parametrize(
    ("seconds", "way"),
    [((1, 2, 3), 1), ((3, 2, 1), -1), ((1, None, 2, 3), 1), ((2, 1), 0), ((None, None), 0), ((), 0)],
)
def test_the_direction_of_a_page(seconds: tuple[float | None, ...], way: int) -> None:
    rows = page(*seconds)
    assert direction(rows) == way
    assert backwards(rows, "asc") == (way == -1)
    assert backwards(rows, "desc") == (way == 1)


def test_the_times_of_a_page_are_in_its_order() -> None:
    assert created(page(2, None, 1)) == [NOON + timedelta(seconds=2), NOON + timedelta(seconds=1)]


@pytest.mark.parametrize(
    ("seconds", "after"),
    [
        ((6, 7), True),
        ((6, None, 7), True),
        ((5, 7, 8), False),  # the very second counts as not later
        ((9, 8, 4), False),
        ((6,), False),  # one absurd time
        ((6, None), False),
        ((), False),
    ],
)
def test_a_page_wholly_after_a_moment(seconds: tuple[float | None, ...], after: bool) -> None:
    assert wholly_after(page(*seconds), NOON + timedelta(seconds=5)) is after


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_in_their_order_are_believed(order: Order) -> None:
    guard = Guard(order)
    pages = [
        ((1, 2, 3), None, "abc"),
        ((4, 5, 6), "c", "def"),
        ((6, 6, 7), "f", "ghi"),
        ((7, 7, 7), "i", "jkl"),
    ]
    for seconds, after, names in pages:
        times = seconds if order == "asc" else [-each for each in seconds]
        guard.check(page(*times, after=after, names=names))


@pytest.mark.parametrize(("order", "seconds"), [("asc", (3, 2, 1)), ("desc", (1, 2, 3))])
def test_a_page_in_the_opposite_order(order: Order, seconds: tuple[float, ...]) -> None:
    with pytest.raises(
        OrderIgnored, match=f"asked for order={order}, got a page in the opposite order"
    ) as found:
        Guard(order).check(page(*seconds))
    assert found.value.hint == "set `order: desc` for a gateway that only lists newest first"


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_page_of_a_jumbled_burst_is_no_opposite_order(order: Order) -> None:
    Guard(order).check(page(6, 5, 6, 5, 6, 5))


@pytest.mark.parametrize(("order", "first", "second"), [("asc", 10, 9), ("desc", 9, 10)])
def test_a_page_behind_that_goes_backwards(order: Order, first: float, second: float) -> None:
    guard = Guard(order)
    guard.check(page(first, first, first, names="abc"))
    with pytest.raises(OrderIgnored, match="the page after 'c' goes backwards in time") as found:
        guard.check(page(second, second, second, after="c", names="def"))
    assert "run `check`" in str(found.value.hint)


def test_the_middle_of_a_page_says_where_it_stands() -> None:
    guard = Guard("asc")
    guard.check(page(1, 5, 9, names="abc"))
    guard.check(page(0, 5, 99, after="c", names="def"))  # one job out of place on either side
    with pytest.raises(OrderIgnored):
        guard.check(page(0, 4, 99, after="f", names="ghi"))


def test_the_middle_is_the_job_in_the_middle() -> None:
    guard = Guard("asc")
    guard.check(page(0, 0, 5, 9, 9, names="abcde"))
    guard.check(page(5, 5, 5, 6, 6, after="e", names="fghij"))
    with pytest.raises(OrderIgnored):
        guard.check(page(4, 4, 4, 9, 9, after="j", names="klmno"))


def test_two_times_do_not_say_where_a_page_stands() -> None:
    guard = Guard("asc")
    guard.check(page(5, 5, 5, names="abc"))
    guard.check(page(1, 1, after="c", names="de"))
    guard.check(page(6, 6, 6, after="e", names="fgh"))


def test_a_page_that_repeats() -> None:
    guard = Guard("asc")
    guard.check(page(1, 2, 3, 4, names="abcd"))
    guard.check(page(3, 4, 5, 6, after="d", names="cdef"))  # half of it: an overlap
    with pytest.raises(RepeatedPage, match="the page after 'x' repeats 3 of 4 jobs") as found:
        guard.check(page(4, 5, 6, 7, after="x", names="defg"))
    assert "ignores the cursor" in str(found.value.hint)


def test_a_page_of_one_job_that_repeats() -> None:
    guard = Guard("asc")
    guard.check(page(1, 2, names="ab"))
    with pytest.raises(RepeatedPage, match="repeats 1 of 1 job"):
        guard.check(page(2, after="b", names="b"))


def test_pages_without_jobs_repeat_nothing() -> None:
    guard = Guard("asc")
    guard.check(page())
    guard.check(page())


def test_a_cursor_that_leads_back() -> None:
    guard = Guard("asc")
    guard.check(page(1, 2, names="ab"))
    guard.check(page(3, 4, after="b", names="cd"))
    guard.check(page(5, 6, after="d", names="ef"))
    with pytest.raises(RepeatedPage, match="the page after 'f' leads back to 'b'") as found:
        guard.check(page(7, 8, after="f", names="gb"))
    assert "the gateway's cursor does not move" in str(found.value.hint)


@pytest.mark.parametrize(("length", "shown"), [(99, 99), (100, 100), (101, 100)])
def test_a_cursor_that_stays_is_shown_up_to_a_length(length: int, shown: int) -> None:
    cursor, again = "x" * length, "".join(["x"] * length)  # equal, and not the same
    asked, items = PageRequest(cursor, "asc", 10), (msgspec.json.encode({"id": cursor, "object": "video"}),)
    raw = RawPage(asked, items, None, None, True, None, NOON, leads_to=again)
    with pytest.raises(RepeatedPage) as found:
        Guard("asc").check(transform_page(raw, Options(), source_provider=None))
    text = repr("x" * shown + ("…" if length > shown else ""))
    assert str(found.value) == f"the page after {text} leads back to {text}"


def test_a_full_page_of_items_without_ids() -> None:
    raw = RawPage(PageRequest(None, "asc", 2), (b'{"x":1}', b'{"x":2}'), None, None, True, None, NOON)
    with pytest.raises(
        PagingError, match="the page asked for first is not the last one, but nothing on it has"
    ):
        Guard("asc").check(transform_page(raw, Options(), source_provider=None))
    last = RawPage(PageRequest(None, "asc", 2), (b'{"x":1}',), None, None, False, None, NOON)
    Guard("asc").check(transform_page(last, Options(), source_provider=None))
