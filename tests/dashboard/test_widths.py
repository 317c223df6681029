"""On a desk and on a tablet no number is cut by the edge of its cell, or by that of its table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import require_module
from tests.dashboard.site import TABLES, show_all

pytestmark = pytest.mark.slow
require_module("playwright.sync_api")

#: What is not whole: the cell's own width, or where the visible part of the table around it ends.
_CUT = """() => [...document.querySelectorAll(".scroll")].flatMap(around => {
  const end = around.getBoundingClientRect().right + 1;
  return [...around.querySelectorAll("td:not(.k-long)")].filter(cell => cell.offsetParent && (
    cell.scrollWidth > cell.clientWidth || cell.getBoundingClientRect().right > end))
    .map(cell => `${around.ariaLabel}, ${cell.dataset.label}: ${cell.innerText}`);
})"""


@pytest.mark.parametrize("width", [1440, 800])
def test_no_number_is_cut(open_page: Callable[..., Any], width: int) -> None:
    page = open_page("/?since=all", viewport={"width": width, "height": 900})
    found = {}
    for path in ("/", "/jobs", *(f"/tables/{name}" for name in TABLES)):
        page.goto(f"{path}?since=all")
        show_all(page)
        if cut := page.evaluate(_CUT):
            found[path] = cut[:3]
    assert found == {}


def test_states_of_the_legend_can_be_told_apart(open_page: Callable[..., Any]) -> None:
    page = open_page("/?since=all")
    shown = page.evaluate(_COLOURS)
    assert len(shown) == 5 and len(set(shown)) == 5, shown


_COLOURS = """() => ["completed", "failed", "stopped", "unfinished", "vanished"].map(state => {
  const key = document.createElement("span");
  key.className = `key p-${state}`;
  document.querySelector(".chart figcaption").append(key);
  return getComputedStyle(key, "::before").backgroundColor;
})"""


def test_a_code_is_not_broken_on_a_phone(open_page: Callable[..., Any]) -> None:
    page = open_page("/tables/failures?since=all", viewport={"width": 390, "height": 800})
    cells = page.locator("tbody td.k-text:not(.lead, .main)").all()
    assert cells
    for cell in cells:
        assert cell.bounding_box()["width"] > 300


@pytest.mark.parametrize("name", ["runs", "remixes"])
def test_a_time_stands_beside_its_name_on_a_phone(open_page: Callable[..., Any], name: str) -> None:
    page = open_page(f"/tables/{name}?since=all", viewport={"width": 390, "height": 800})
    heights = page.evaluate(
        "[...document.querySelectorAll('tbody td.k-instant:not(.lead, .main)')].map(e => e.offsetHeight)"
    )
    assert heights and max(heights) < 30, heights
