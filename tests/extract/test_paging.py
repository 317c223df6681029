"""Where a page ends, and which ids stand on it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from etl.extract.paging import find_end, item_ids
from etl.records import PageRequest, RawPage

A, B, C = b'{"id":"a"}', b'{"id":"b"}', b'{"id":"c","x":1}'
NAMELESS, NUMBER, BROKEN, NULL = b'{"x":1}', b'{"id":7}', b'{"id":"\\ud8', b'{"id":null}'


@pytest.mark.parametrize(
    ("items", "last_id", "end"),
    [
        ([], None, None),
        ([], "z", "z"),
        ([A, B, C], None, "c"),
        ([A, B, C], "a", "c"),  # what the item says counts
        ([A, NUMBER], "z", "7"),
        ([A, NAMELESS], "z", "z"),
        ([A, B, NAMELESS], None, "b"),
        ([A, BROKEN], "z", "z"),
        ([A, B, BROKEN, NULL], None, "b"),
        ([NAMELESS], None, None),
        ([A, B, A], None, "b"),  # shown a second time: it does not end the page
        ([A, B, C, B, A], None, "c"),
        ([A, A], None, "a"),
        ([A, B, b'{"id":""}'], None, "b"),
        ([b"5", A], None, "a"),
    ],
)
def test_where_a_page_ends(items: list[bytes], last_id: str | None, end: str | None) -> None:
    assert find_end(items, last_id) == end


def test_the_ids_of_a_page() -> None:
    items = (A, NAMELESS, NUMBER, BROKEN, NULL, b'{"id":""}', b'{"id":0}', B)
    page = RawPage(PageRequest(), items, None, None, None, None, datetime(2026, 1, 1, tzinfo=UTC))
    assert item_ids(page) == ["a", "7", "0", "b"]
