"""The dashboard in Chromium: what people do with it, with a pointer, a keyboard, a phone, without script."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import require_module
from tests.dashboard.site import HOSTILE, TOKEN, Site, secret, show_all, unreachable
from tests.support.rig import Rig

pytestmark = pytest.mark.slow

playwright = require_module("playwright.sync_api")
expect = playwright.expect
Open = Callable[..., Any]


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def tile(page: Any, name: str) -> Any:
    return page.locator(f'.tile:has(> span:text-is("{name}")) strong')


def test_numbers_lead_to_the_jobs_behind_them(open_page: Open):
    page = open_page("/")
    jobs = number(tile(page, "Jobs").inner_text())
    tile(page, "Jobs").locator("a").click()
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    assert number(page.locator(".head p").inner_text().partition(" of ")[2]) == jobs
    page.go_back()
    row = page.locator("section", has=page.get_by_role("heading", name="Failures")).locator("tbody tr").first
    failed = number(row.locator("td").nth(1).inner_text())
    row.get_by_role("link").first.click()
    assert number(page.locator(".head p").inner_text().partition(" of ")[2].split()[0]) == failed
    assert set(page.locator("tbody .pill").all_inner_texts()) == {"failed"}
    page.get_by_role("link", name="Remove failure class").click()
    expect(page.locator(".chip", has_text="failure class")).to_have_count(0)


def test_a_bar_leads_to_its_jobs_and_says_what_it_is(open_page: Open):
    page = open_page("/?since=24h")
    chart = page.locator(".chart").filter(has_text="Jobs").first
    bar = chart.locator("a:has(rect.p-completed)").last
    bar.hover()
    said = chart.locator(".readout").inner_text()
    counted = sum(map(int, re.findall(r"(\d+) (?:completed|failed|unfinished)", said)))
    page.goto(bar.get_attribute("href"))
    assert number(page.locator(".head p").inner_text().partition(" of ")[2]) == counted


def test_filters_are_form_controls(open_page: Open):
    page = open_page("/jobs?since=all")
    page.locator(".pick summary", has_text="Model").click()
    page.get_by_label("sora-2-pro").check()
    page.keyboard.press("Escape")
    page.wait_for_url("**/jobs?*model=sora-2-pro*")
    assert set(page.locator("tbody td:nth-child(3)").all_inner_texts()) == {"sora-2-pro"}
    page.locator(".pick summary", has_text="Status").click()
    page.get_by_label("failed").check()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**status=failed*")
    assert "model=sora-2-pro" in page.url and "until=" not in page.url
    assert set(page.locator("tbody .pill").all_inner_texts()) == {"failed"}
    page.get_by_role("link", name="Reset").first.click()
    assert page.url.endswith("/jobs")


def test_it_goes_on_living(open_page: Open, made: Rig):
    page = open_page("/", clock=True)
    live = page.locator("[data-live*='part/open']")
    before, open_now = live.inner_text(), tile(page, "Open now").inner_text()
    page.evaluate("window.kept = 1")
    made.world.advance(60)
    for _ in range(5):
        made.world.add(
            model="sora-2", status="queued", progress=0, prompt="new", created_at=int(made.now().timestamp())
        )
    made.ok()
    page.clock.run_for(5500)
    expect(tile(page, "Open now")).not_to_have_text(open_now)
    expect(live).not_to_have_text(before)
    expect(page.locator(".fresh")).to_contain_text("complete")
    assert page.evaluate("window.kept") == 1, "the page was loaded anew"


def test_nothing_moves_under_a_hand(open_page: Open, made: Rig):
    page = open_page("/", clock=True)
    page.locator("[data-live*='part/open'] .scroll").focus()
    page.evaluate("document.querySelector('[data-live*=\"part/open\"] table').dataset.mine = 'yes'")
    page.clock.run_for(5500)
    expect(page.locator("#live-state")).to_have_text("(paused while in use)")
    assert page.locator("table[data-mine]").count() == 1
    page.get_by_label("Live").uncheck()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.clock.run_for(20_000)
    assert requests == []


def test_a_database_that_goes_away_and_comes_back(open_page: Open, site: Site):
    page = open_page("/", clock=True)
    whole = site.app
    with unreachable() as broken:
        try:
            site.app = broken
            page.clock.run_for(5500)
            away = page.get_by_role("alert")
            expect(away).to_contain_text("Not updating since")
            expect(away).to_contain_text("The database does not answer")
            assert TOKEN not in page.content()
            other = open_page("/jobs", clock=True)
            expect(other.get_by_role("heading", name="The database does not answer")).to_be_visible()
        finally:
            site.app = whole
    page.clock.run_for(5500)
    expect(away).to_be_hidden()
    other.clock.run_for(5500)
    expect(other.get_by_role("heading", name="Jobs")).to_be_visible()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_prompt_is_text(open_page: Open, ids: dict[str, str], name: str):
    page = open_page(f"/job?id={quote(ids[name])}")
    shown = page.locator(".prompt").text_content()
    assert shown.strip() == HOSTILE[name].strip()
    assert page.evaluate("window.pwned") is None and page.locator("#pwned").count() == 0


@pytest.mark.parametrize(
    "path",
    [
        "/?since=all",
        "/jobs?since=all",
        "/tables/failures?since=all",
        "/tables/models",
        "/tables/rejects",
        "/jobs?model=%22%3E%3Cb+id%3Dpwned%3E",
    ],
)
def test_strangers_words_are_text_everywhere(open_page: Open, path: str):
    page = open_page(path)
    show_all(page)
    assert page.evaluate("window.pwned") is None and page.locator("#pwned").count() == 0
    assert len(page.content()) < 600_000, "a long prompt is not repeated in full"


def test_the_keyboard_is_enough(open_page: Open, ids: dict[str, str]):
    page = open_page("/jobs?since=all")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    assert page.locator(":focus").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.evaluate("document.activeElement.blur(); document.body.focus()")
    page.goto("/jobs?since=all")
    seen = []
    for _ in range(35):
        page.keyboard.press("Tab")
        place = page.evaluate(_FOCUS)
        assert place["outline"] != "none" and place["width"] >= 2, place
        seen.append(place["text"])
    wanted = ["Skip to content", "Bifrost videos", "Overview", "Jobs", "7 d", "Model", "Apply"]
    order = [next(n for n, text in enumerate(seen) if text.startswith(one)) for one in wanted]
    assert order == sorted(order), "the order of the page"
    page.locator(".pick summary", has_text="Model").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**model=*")
    page.keyboard.press("/")
    page.keyboard.type(ids["script"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/job?*")
    expect(page.locator("h1")).to_have_text(ids["script"])


_FOCUS = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  return {text: (e.innerText || e.ariaLabel || e.name || e.tagName).trim(), outline: style.outlineStyle,
    width: parseFloat(style.outlineWidth)};
}"""


@pytest.mark.parametrize(
    "path", ["/", "/jobs", "/job", "/tables/open", "/tables/pace", "/tables/rejects", "/nothing"]
)
def test_a_phone_never_scrolls_sideways(open_page: Open, ids: dict[str, str], path: str):
    page = open_page(
        f"/job?id={quote(ids['large'])}" if path == "/job" else path, viewport={"width": 390, "height": 800}
    )
    show_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_dark_is_dark(open_page: Open):
    page = open_page("/", color_scheme="dark")
    ink, back = (
        page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
    )
    light = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, back)]
    assert light[0] > 600 and light[1] < 100


def test_without_script_everything_is_there(open_page: Open):
    page = open_page("/", java_script_enabled=False)
    assert page.locator(".chart rect.p-completed").count() > 3
    expect(page.get_by_label("Live")).to_be_hidden()
    page.get_by_role("link", name="Show Remix trees").click()
    expect(page.get_by_role("heading", name="Remix trees")).to_be_visible()
    page.goto("/jobs")
    page.locator(".pick summary", has_text="Status").click()
    page.get_by_label("failed").check()
    page.get_by_role("button", name="Apply").click()
    assert set(page.locator("tbody .pill").all_inner_texts()) == {"failed"}


def test_a_tree_of_remixes(open_page: Open):
    page = open_page("/tables/remixes?since=all")
    row = page.locator("tbody tr").first
    jobs = number(row.locator("td").filter(has=page.get_by_role("link")).nth(1).inner_text())
    row.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Remix tree")).to_be_visible()
    assert page.locator("tbody tr").count() == jobs > 1
    assert page.locator("tr.deep").count() == jobs - 1


def test_signing_in_leads_to_the_page_asked_for(open_page: Open, made: Rig):
    guarded = Site(made.app, made.now, host="0.0.0.0", allow_remote=True, token=secret())
    with guarded.server:
        page = open_page("/jobs?status=failed", at=guarded)
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
        assert page.url == f"{guarded.url}/jobs?status=failed"
        assert TOKEN not in page.content()


#: What whoever opens the page on a phone came for, by hand.
MAIN = {
    "cost": "cost",
    "models": "cost",
    "daily": "jobs",
    "weekly": "jobs",
    "failures": "jobs",
    "latency": "p50",
    "open": "status",
    "jobs": "status",
    "runs": "status",
    "duplicates": "jobs",
    "remixes": "jobs",
    "usage": "jobs",
    "rejects": "times seen",
    "freshness": "age",
}


@pytest.mark.parametrize("name", MAIN)
def test_a_phone_shows_the_main_number_first_and_all_others_below(open_page: Open, name: str):
    path = f"/{name}?since=all" if name == "jobs" else f"/tables/{name}?since=all"
    page = open_page(path, viewport={"width": 390, "height": 800})
    row = page.locator("tbody tr").first
    assert page.locator(".scroll").first.evaluate("e => e.scrollWidth - e.clientWidth") == 0
    lead, main = row.locator("td.lead").bounding_box(), row.locator("td.main").bounding_box()
    assert row.locator("td.main").get_attribute("data-label") == MAIN[name]
    assert abs(lead["y"] - main["y"]) < 8 and lead["x"] < main["x"] and main["x"] + main["width"] <= 390
    for cell in row.locator("td:visible:not(.lead, .main)").all():
        box = cell.bounding_box()
        assert box["y"] >= main["y"] + 15 and box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert cell.get_attribute("data-label")


@pytest.mark.parametrize("path", ["/", "/tables/cost", "/tables/cost?by=source", "/tables/pace"])
def test_a_legend_has_the_colour_of_what_it_names(open_page: Open, path: str):
    page = open_page(path + ("&" if "?" in path else "?") + "since=all")
    drawn = page.evaluate(_COLOURS)
    assert drawn and [one for one in drawn if one[1] != one[2]] == []


_COLOURS = """() => [...document.querySelectorAll(".chart")].flatMap(chart =>
  [...chart.querySelectorAll(".key")].flatMap(key => {
    const part = [...key.classList].find(name => name.startsWith("p-"));
    const shape = chart.querySelector(`.plot .${part}`);
    if (!shape) return [];
    const style = getComputedStyle(shape);
    return [[part, getComputedStyle(key, "::before").backgroundColor,
             shape.tagName === "path" ? style.stroke : style.fill]];
  }))"""


def test_the_range_says_both_its_ends(open_page: Open):
    assert "to now, times in" in open_page("/?since=24h").locator(".zone").inner_text()
    shown = open_page("/?since=2026-01-01&until=2026-01-02").locator(".zone").inner_text()
    assert shown.startswith("from 2026-01-01 00:00 to 2026-01-03 00:00, times in")
