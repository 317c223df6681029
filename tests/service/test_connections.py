"""What strangers may cost before any login: connections, time, threads, log. Real sockets throughout."""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from etl.analytics.cancellation import follow_connections
from etl.analytics.read_only import reading_engine
from etl.config import Secret
from etl.errors import StorageError
from etl.schema import migrate
from etl.simulator import World
from etl.web.app import build_app
from etl.web.cache import Shared
from etl.web.connections import PatientProtocol, Seldom
from etl.web.dashboard.context import Desk
from etl.web.dashboard.routes import Page
from etl.web.server import WebServer
from tests.service.test_web import Site
from tests.support.rig import Rig, rig

LONG = 60.0
HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


class Hurried(PatientProtocol):
    request_within = stalled_after = 0.2


class Few(PatientProtocol):
    most_connections = 20


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Rig]:
    with rig(World(seed=4, jobs=5), f"sqlite:///{tmp_path / 'etl.db'}") as gateway:
        migrate.ensure_schema(gateway.app.engine)
        yield gateway


@contextmanager
def serving(made: Rig, protocol: type[PatientProtocol], *pages: Route, **service: Any) -> Iterator[Site]:
    site = Site(made.app, **service)
    site.server._socket.close()
    site.server = WebServer(build_app(site.state, pages), "127.0.0.1", 0, protocol)
    with site.server:
        yield site


def connect(site: Site) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", site.server.port), LONG)
    made.settimeout(LONG)
    return made


def ended(client: socket.socket) -> bool:
    """Waits until the other side closes the connection."""
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    "begun", [b"", b"GET", HALF, b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nt"]
)
def test_a_request_that_does_not_arrive_ends(made: Rig, begun: bytes):
    with serving(made, Hurried, token=Secret("a-token-long-enough")) as site, connect(site) as client:
        client.sendall(begun)
        assert ended(client)


def test_a_request_that_drips_ends_too(made: Rig):
    with serving(made, Hurried) as site, connect(site) as client:
        client.sendall(HALF)
        with pytest.raises(ConnectionError):
            for _ in range(2000):  # each byte comes before the time is over
                if select.select([client], [], [], 0.02)[0] and client.recv(1) == b"":
                    raise ConnectionResetError
                client.sendall(b"a")


def test_a_second_request_on_a_connection_must_arrive_too(made: Rig):
    with serving(made, Hurried) as site, connect(site) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(HALF)
        assert ended(client)


def test_who_does_not_take_the_answer_is_ended_and_who_is_slow_is_not(made: Rig):
    async def large(_request: Any) -> Response:
        return PlainTextResponse(b"x" * 30_000_000)

    with serving(made, Hurried, Route("/large", large)) as site:
        ask = b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        with connect(site) as deaf:
            deaf.sendall(ask)
            state = site.server._server.server_state
            gone = threading.Event()
            _ask_until(lambda: state.total_requests == 1 and not state.connections, gone)
        with connect(site) as slow:
            slow.sendall(ask)
            count = 0
            while piece := slow.recv(1_000_000):
                count += len(piece)
            assert count > 30_000_000


def _ask_until(question: Callable[[], bool], tick: threading.Event) -> None:
    for _ in range(int(LONG / 0.02)):
        if question():
            return
        tick.wait(0.02)
    raise AssertionError("it never came")


def test_half_requests_keep_nobody_out(made: Rig):
    with serving(made, Few) as site, ExitStack() as held:
        for _ in range(150):
            held.enter_context(connect(site)).sendall(HALF)
        assert site.get("/healthz")[0] == 200
        assert site.get("/metrics")[0] == 200
        assert len(site.server._server.server_state.connections) <= Few.most_connections


def test_the_one_that_waits_longest_goes_first_and_one_at_work_stays(made: Rig):
    release = threading.Event()

    def slow(_request: Any) -> Response:
        release.wait(LONG)
        return PlainTextResponse("done")

    with serving(made, Few, Route("/slow", slow)) as site, connect(site) as busy, ExitStack() as held:
        busy.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        state = site.server._server.server_state
        _ask_until(lambda: len(state.tasks) == 1, threading.Event())
        idle = [held.enter_context(connect(site)) for _ in range(Few.most_connections)]
        assert ended(idle[0])
        release.set()
        answer = b""
        while piece := busy.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"done")


def test_pages_wait_in_line_and_probes_do_not(made: Rig):
    """4 at work and 16 in line; ten more are told so at once, and health, readiness and metrics answer."""
    release, begun = threading.Event(), threading.Semaphore(0)

    def slow(_call: Any) -> Response:
        begun.release()
        release.wait(LONG)
        return PlainTextResponse("made")

    site = Site(made.app, [Route("/slow", Page(Desk(), slow), methods=["GET"])])
    with site.server, ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(site.get, "/slow") for _ in range(30)]
        for _ in range(4):
            assert begun.acquire(timeout=LONG)
        _ask_until(lambda: sum(one.done() for one in asked) == 10, threading.Event())
        assert site.get("/healthz")[0] == 200
        assert site.get("/readyz")[0] == 503  # nothing was synced yet: an answer
        assert "bifrost_etl_database_up 1.0" in site.get("/metrics")[1]
        assert not begun.acquire(blocking=False)
        release.set()
        answers = [one.result(LONG) for one in asked]
    refused = [one for one in answers if one[0] == 503]
    assert len(refused) == 10 and {one[2]["Retry-After"] for one in refused} == {"5"}
    assert sum(one[0] == 200 for one in answers) == 20


def test_a_database_that_hangs_is_said_to(made: Rig):
    release = threading.Event()
    site = Site(made.app)
    site.state = replace(site.state, checked=Shared(0.05), asked=Shared(0.05))
    site.server._socket.close()
    site.server = WebServer(build_app(site.state), "127.0.0.1", 0)
    with site.server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("etl.web.state.check_schema", lambda _engine: release.wait(LONG))
        for _ in range(20):
            code, body, _ = site.get("/readyz")
            assert code == 503 and "has not answered for" in body
        assert sum(thread.name == "reader" for thread in threading.enumerate()) == 1
        release.set()


ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(1000)",
    "mysql": "SELECT count(*) FROM (SELECT SLEEP(1000) AS n) AS slow",
}


def test_a_question_ends_when_its_client_goes(made: Rig, database_url: str):
    engine = reading_engine(database_url, 1000)
    follow_connections(engine)
    begun, over, again = threading.Event(), threading.Event(), list[str]()
    sa.event.listen(engine, "before_cursor_execute", lambda *_: begun.set())

    def endless(_call: Any) -> Response:
        try:
            for _ in range(2):  # a page asks several questions
                try:
                    with engine.connect() as connection:
                        again.append("asked")
                        connection.exec_driver_sql(
                            ENDLESS[engine.url.get_backend_name().replace("mariadb", "mysql")]
                        )
                except sa.exc.DBAPIError:
                    pass
        finally:
            over.set()
        raise StorageError("it went on")

    site = Site(made.app, [Route("/endless", Page(Desk(), endless), methods=["GET"])])
    with site.server:
        client = connect(site)
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert begun.wait(LONG)
        client.close()
        assert over.wait(LONG)
        assert site.get("/healthz")[0] == 200
    assert again == ["asked"]
    engine.dispose()


def test_what_strangers_cause_is_logged_a_few_times_only(made: Rig, caplog: pytest.LogCaptureFixture):
    logger = logging.getLogger("uvicorn.error")
    for old in [one for one in logger.filters if isinstance(one, Seldom)]:
        logger.removeFilter(old)
    with serving(made, PatientProtocol) as site:
        for _ in range(40):
            with connect(site) as client:
                client.sendall(b"nonsense\r\n\r\n")
                assert ended(client)
    said = [record for record in caplog.records if "Invalid HTTP request" in record.getMessage()]
    assert len(said) == 5


def test_what_was_held_back_is_counted():
    seldom = Seldom(burst=2, seconds=60.0)

    def passes(at: float) -> tuple[bool, str]:
        record = logging.LogRecord("web", logging.WARNING, "", 0, "broken %s", ("pipe",), None)
        record.created = at
        return bool(seldom.filter(record)), record.getMessage()

    assert [passes(at)[0] for at in (0.0, 1.0, 2.0, 3.0, 59.0)] == [True, True, False, False, False]
    assert passes(60.0) == (True, "broken pipe (3 more like this were not logged)")
    assert passes(61.0) == (True, "broken pipe")
