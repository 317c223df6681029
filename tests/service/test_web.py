"""Health, readiness, metrics, and who may see them; over HTTP, without a service behind."""

from __future__ import annotations

import json
import logging
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from etl.app import App
from etl.config import Config, DatabaseConfig, Secret, SecretUrl, ServiceConfig, Source
from etl.errors import ConfigError, StorageError
from etl.records import Counts, RunResult
from etl.schema import migrate
from etl.simulator import World
from etl.web.app import build_app
from etl.web.cache import Cache
from etl.web.metrics import Metrics
from etl.web.server import WebServer
from etl.web.state import ServiceState
from tests.support.rig import Rig, rig

CANARY = "canary-11c2aa0e5f"


class Site:
    """The web application, served."""

    def __init__(self, app: App, pages: Sequence[Route] = (), **service: Any) -> None:
        self.metrics, self.alive = Metrics(), True
        self.limits = {source.name: 900.0 for source in app.config.sources}
        self.service = ServiceConfig(**service)
        self.state = ServiceState(
            app=lambda: app,
            service=self.service,
            metrics=self.metrics,
            alive=lambda: self.alive,
            limits=lambda: self.limits,
            cache=Cache(least=0.0, times=0.0),
        )
        self.metrics.watch(self.state.read, 3)
        hello = Route("/hello", lambda request: PlainTextResponse("hello"))
        self.server = WebServer(build_app(self.state, [hello, *pages]), "127.0.0.1", 0)

    def get(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str, Any]:
        request = urllib.request.Request(self.server.url + path, data=data, headers=headers)
        try:
            with _opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Redirects are looked at, not followed."""


_opener = urllib.request.build_opener(_Stay)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Rig]:
    with rig(World(seed=4, jobs=40), f"sqlite:///{tmp_path / 'etl.db'}") as gateway:
        yield gateway


@pytest.fixture
def site(made: Rig) -> Iterator[Site]:
    site = Site(made.app)
    with site.server:
        yield site


@pytest.fixture
def guarded(made: Rig) -> Iterator[Site]:
    site = Site(made.app, host="0.0.0.0", allow_remote=True, token=Secret(CANARY))
    with site.server:
        yield site


def test_alive(site: Site):
    assert site.get("/healthz")[0] == 200
    site.alive = False
    assert site.get("/healthz")[0] == 503


def test_ready_only_when_whole_and_fresh(site: Site, made: Rig):
    code, body, _ = site.get("/readyz")
    assert (code, "tables" in json.loads(body)["database"]["problem"]) == (503, True)
    migrate.ensure_schema(made.app.engine)
    assert json.loads(site.get("/readyz")[1])["sources"]["main"]["problem"] == "never synced"
    made.ok()
    fresh = ServiceState(
        app=site.state.app,
        service=site.service,
        metrics=site.metrics,
        alive=lambda: True,
        limits=site.state.limits,
        clock=made.now,
        cache=Cache(least=0.0, times=0.0),
    )
    from etl.web.health import readiness

    assert readiness(fresh)[0] == 200
    made.world.advance(3600)
    code, body = readiness(fresh)
    assert (code, body["sources"]["main"]["problem"]) == (503, "stale")
    made.sim.fault("virtual_key_blocked")
    for _ in range(3):
        made.sync()
    assert "disabled since" in readiness(fresh)[1]["sources"]["main"]["problem"]


def test_not_ready_when_the_database_is_away():
    config = Config(
        sources=(Source(name="main", base_url="http://gateway"),),
        database=DatabaseConfig(url=SecretUrl(f"postgresql://etl:{CANARY}@127.0.0.1:1/etl")),
    )
    with App(config) as app:
        site = Site(app)
        with site.server:
            code, body, _ = site.get("/readyz")
            assert code == 503 and json.loads(body)["database"]["problem"]
            metrics = site.get("/metrics")[1]
            assert "bifrost_etl_database_up 0.0" in metrics
            assert CANARY not in body + metrics


def test_metrics_can_be_parsed_and_count_what_runs_did(site: Site, made: Rig):
    migrate.ensure_schema(made.app.engine)
    made.ok()
    so_far = Counts(pages=1, requests=2, jobs_seen=9, jobs_inserted=9)
    at_the_end = Counts(pages=3, requests=4, jobs_seen=19, jobs_inserted=12, jobs_unchanged=7)
    now = datetime.now(UTC)
    result = RunResult("main", "first", "ok", 1, now, now, at_the_end)
    site.metrics.started("main", "first")
    site.metrics.advanced("main", so_far, 0.1)
    site.metrics.requested("main", 0.2)
    site.metrics.finished(result)
    site.metrics.ended(result)
    site.metrics.waiting("main", TimeoutError(), 0.5)
    code, text, headers = site.get("/metrics")
    assert code == 200 and headers["Content-Type"].startswith("text/plain")
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["bifrost_etl_pages_total", "main"] == 3
    assert found["bifrost_etl_requests_total", "main"] == 4
    assert found["bifrost_etl_jobs_total", "inserted", "main"] == 12
    assert found["bifrost_etl_runs_total", "first", "main", "ok"] == 1
    assert found["bifrost_etl_retries_total", "TimeoutError", "main"] == 1
    assert found["bifrost_etl_batch_seconds_sum", "main"] == 0.1
    assert found["bifrost_etl_request_seconds_sum", "main"] == 0.2
    assert found["bifrost_etl_stored_jobs", "main"] == 40
    assert found["bifrost_etl_database_up",] == 1
    assert not [key for key in found if key[0].endswith("_created")]


@pytest.mark.parametrize("host", ["localhost:9464", "127.0.0.1", "[::1]:1", "LOCALHOST"])
def test_this_machine_by_its_own_names(site: Site, host: str):
    assert site.get("/hello", Host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9464", "localhost.evil.example", "[", ""])
def test_a_page_from_elsewhere_cannot_point_its_name_here(site: Site, host: str):
    assert site.get("/hello", Host=host)[0] in (400, 421)
    assert site.get("/metrics", Host=host)[0] in (400, 421)


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/hello", "/", "/nothing", "//healthz", "/healthz/"])
def test_with_a_token_everything_asks_for_it(guarded: Site, path: str):
    assert guarded.get(path)[0] == 401
    assert guarded.get(path, Authorization="Bearer wrong")[0] == 401
    assert guarded.get(path, Authorization=f"Basic {CANARY}")[0] == 401
    assert guarded.get(path, Cookie=f"bifrost_etl_session={CANARY}")[0] == 401
    assert guarded.get(path, Authorization=f"Bearer {CANARY}", Host="etl.example")[0] != 401


def test_alive_needs_no_token(guarded: Site):
    assert guarded.get("/healthz")[0] == 200


def test_a_browser_logs_in_with_a_form(guarded: Site):
    assert "password" in guarded.get("/login")[1]
    assert guarded.get("/login", data=b"token=wrong")[0] == 403
    form = urllib.parse.urlencode({"token": CANARY}).encode()
    code, _, headers = guarded.get("/login", data=form)
    assert code == 303
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and "Secure" not in cookie
    assert CANARY not in cookie
    assert guarded.get("/hello", Cookie=cookie.partition(";")[0])[0] == 200


def test_signing_out_takes_the_session_away(guarded: Site):
    cookie = guarded.get("/login", data=urllib.parse.urlencode({"token": CANARY}).encode())[2]["Set-Cookie"]
    session = cookie.partition(";")[0]
    assert guarded.get("/logout", Cookie=session)[0] == 405, "a link or an image signs nobody out"
    code, _, headers = guarded.get("/logout", data=b"", Cookie=session)
    assert (code, headers["Location"]) == (303, "/login")
    assert (
        headers["Set-Cookie"].startswith('bifrost_etl_session="";') and "Max-Age=0" in headers["Set-Cookie"]
    )


#: What OWASP's ASVS (14.4) wants of every answer.
WANTED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/hello", "/login", "/", "/nothing"])
def test_every_answer_has_the_headers_that_browsers_obey(guarded: Site, path: str):
    for headers in (
        {},
        {"Authorization": f"Bearer {CANARY}"},
        {"Accept": "text/html"},
        {"Host": "evil.example"},
    ):
        answer = guarded.get(path, **headers)[2]
        assert {name: answer[name] for name in WANTED} == WANTED
        policy = answer["Content-Security-Policy"]
        assert (
            "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        )
        assert re.search("charset=utf-8|json", answer["Content-Type"] or "json")
        assert "Access-Control-Allow-Origin" not in answer


def test_no_log_line_has_the_token(guarded: Site, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    cookie = guarded.get("/login", data=urllib.parse.urlencode({"token": CANARY}).encode())[2]["Set-Cookie"]
    session = cookie.partition(";")[0]
    for path in ("/readyz", "/hello", "/nothing"):
        guarded.get(path, Authorization=f"Bearer {CANARY}")
        guarded.get(path, Cookie=session)
        guarded.get(path, Authorization=f"Bearer {CANARY}x")
    assert CANARY not in caplog.text and session.partition("=")[2] not in caplog.text


def test_no_token_no_form(site: Site):
    assert site.get("/login")[0] == 404


def test_a_taken_port_is_a_clear_error(site: Site):
    with pytest.raises(ConfigError, match=str(site.server.port)):
        WebServer(build_app(site.state), "127.0.0.1", site.server.port)


def test_pages_find_the_state(made: Rig):
    def names(request: Request) -> PlainTextResponse:
        config = request.app.state.service.app().config
        return PlainTextResponse(config.sources[0].name)

    site = Site(made.app, pages=[Route("/", names)])
    with site.server:
        assert site.get("/")[:2] == (200, "main")


def test_what_was_read_is_kept_for_a_while_but_errors_are_not():
    asked: list[int] = []

    def read() -> list[Any]:
        asked.append(1)
        if len(asked) == 1:
            raise StorageError("away")
        return []

    cache = Cache(least=3600.0)
    with pytest.raises(StorageError):
        cache.get(read)
    cache.get(read)
    cache.get(read)
    assert len(asked) == 2


def test_a_source_that_is_no_longer_configured_is_not_shown(site: Site, made: Rig):
    made.ok()
    assert 'source="main"' in site.get("/metrics")[1]
    site.limits.clear()
    assert 'source="main"' not in site.get("/metrics")[1]
