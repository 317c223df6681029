"""axe-core finds nothing serious on any page, in light and dark."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.dashboard.site import Site, empty, secret, show_all
from tests.support.rig import Rig

pytestmark = pytest.mark.slow

_RUN = """async (rules) => (await axe.run(document, {resultTypes: ["violations"], ...rules})).violations
  .filter((v) => ["serious", "critical"].includes(v.impact))
  .map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(" | ")}`)"""
PAGES = [
    "/", "/jobs?since=all&only=open&model=sora-2", "/jobs?code=nothing", "/tables/open", "/tables/failures",
    "/tables/pace?since=24h", "/tables/rejects", "/nothing",
]  # fmt: skip


@pytest.fixture(scope="module")
def axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def findings(page: Any, axe: str) -> list[str]:
    show_all(page)
    page.evaluate(axe)
    found = [f"light: {one}" for one in page.evaluate(_RUN, {})]
    page.emulate_media(color_scheme="dark")
    return found + [f"dark: {one}" for one in page.evaluate(_RUN, {"runOnly": ["color-contrast"]})]


@pytest.mark.parametrize("path", PAGES)
def test_pages(open_page: Callable[..., Any], axe: str, path: str):
    page = open_page(path)
    for details in page.locator("details").all()[:6]:
        details.evaluate("(element) => { element.open = true; }")
    assert findings(page, axe) == []


def test_a_job_and_its_tree(open_page: Callable[..., Any], axe: str, ids: dict[str, str]):
    page = open_page(f"/job?id={quote(ids['failed'])}")
    assert findings(page, axe) == []
    page.goto(f"/tables/tree?id={quote(ids['failed'])}")
    assert findings(page, axe) == []


def test_the_way_in(open_page: Callable[..., Any], axe: str, made: Rig, tmp_path: Path):
    with (guarded := Site(made.app, host="0.0.0.0", allow_remote=True, token=secret())).server:
        assert findings(open_page("/", at=guarded), axe) == []
    with empty(tmp_path) as app, (site := Site(app)).server:
        assert findings(open_page("/", at=site), axe) == []


def test_what_is_on_its_way(open_page: Callable[..., Any], axe: str):
    """At both ends of what moves while a part loads, which may take as long as its query."""
    page = open_page("/tables/freshness")
    page.route("**/part/*", lambda route: None)
    page.goto("/")
    page.locator("[data-later]").first.scroll_into_view_if_needed()
    page.locator(".loading").first.wait_for()
    page.evaluate(axe)
    for moment in (0, 1199):
        page.evaluate(
            "(at) => document.getAnimations().forEach((a) => { a.pause(); a.currentTime = at; })", moment
        )
        assert page.evaluate(_RUN, {"runOnly": ["color-contrast"]}) == []


def test_it_finds_what_is_wrong(open_page: Callable[..., Any], axe: str):
    page = open_page("/tables/freshness")
    page.evaluate("document.querySelector('main').innerHTML += '<button></button><p>hard to read</p>'")
    page.evaluate("document.querySelector('main > p').style.cssText = 'color:#777;background:#888'")
    assert {one.split(": ")[1] for one in findings(page, axe)} == {"button-name", "color-contrast"}
