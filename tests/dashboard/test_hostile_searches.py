"""What people, scanners and spreadsheets put into a search, on each database: an answer, never a fault."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from etl.simulator import World
from tests.dashboard.site import Site, text
from tests.support.rig import rig

SEARCHES = {
    "nul": "a\0b",
    "lone surrogate": "\udc80",
    "only a nul": "\0",
    "wildcards": "%_%",
    "escape": "!!!%",
    "backslash": "\\",
    "backslash at the end": "video\\",
    "quote": "' OR 1=1 --",
    "an astral letter": "🎬",
    "a combining letter": "e\u0301",
    "Turkish": "İI\u0131i",
    "very long": "x" * 5000,
    "a colon": ":",
    "newlines": "a\r\nSet-Cookie: b",
}


@pytest.fixture
def site(engine_url: str) -> Iterator[Site]:
    with rig(World(seed=3, jobs=30), engine_url) as made:
        made.ok()
        site = Site(made.app, made.now)
        with site.server:
            yield site


def test_a_strange_search_is_an_answer(site: Site) -> None:
    for name, given in SEARCHES.items():
        sent = quote(given.encode("utf-8", "surrogatepass"))
        for path in (f"/jobs?since=all&text={sent}", f"/job?id={sent}", f"/jobs.csv?since=all&text={sent}"):
            answer = site.get(path)
            assert answer.status in (200, 303, 400, 404), (name, path[:40], text(answer.text))
        for path in (f"/jobs?sort={sent}", f"/tables/models?sort={sent}", f"/tables/models?sort=-{sent}"):
            assert site.get(path).status == 400, (name, path[:60])
