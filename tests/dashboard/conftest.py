"""One Chromium and one world for the folder; every page is watched for errors and foreign requests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import unavailable
from tests.dashboard.site import Site, small_world
from tests.support.rig import Rig

World = tuple[Rig, Site, dict[str, str]]


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Ends with the folder: while it lives, no other test may start an event loop in this thread."""
    path = shutil.which("chromium")
    if path is None:
        unavailable("Chromium is not installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="package")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with small_world(tmp_path_factory.mktemp("dashboard")) as made:
        yield made


@pytest.fixture
def made(_world: World) -> Rig:
    return _world[0]


@pytest.fixture
def site(_world: World) -> Site:
    return _world[1]


@pytest.fixture
def ids(_world: World) -> dict[str, str]:
    return _world[2]


class Watch:
    """What a page did that it must not do."""

    def __init__(self, page: Any) -> None:
        self.faults: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self._check(page, request.url))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def _check(self, page: Any, url: str) -> None:
        home = page.url.split("/")[2] if page.url.startswith("http") else None
        if home is not None and url.split("/")[2] != home:
            self.faults.append(f"asked for {url}")


@pytest.fixture
def open_page(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    """`open_page(path, at=site, **context options)`: a page in a context of its own."""
    contexts, watches = [], []

    def opened(path: str, at: Site = site, clock: bool = False, **options: Any) -> Any:
        context = browser.new_context(base_url=at.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        watches.append(Watch(page))
        if clock:
            page.clock.install()
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    # A refused page is an answer, and Chromium notes every one.
    faults = [fault for watch in watches for fault in watch.faults if "Failed to load resource" not in fault]
    assert faults == []
