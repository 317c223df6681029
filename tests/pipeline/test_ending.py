"""Where a list ends, as one walk's pages tell."""

from __future__ import annotations

from datetime import UTC, datetime

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
