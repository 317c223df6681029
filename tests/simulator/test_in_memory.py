"""The gateway without a server: a pure function from request to answer, under a clock of the caller's."""

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from etl.simulator import Gateway, ManualClock, Request, World, control

HOUR = 3600.0


class InMemory(BaseAdapter):
    """Lets `requests` talk to a gateway in this process; no sockets, no threads."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self._gateway = gateway

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        asked = Request.to(target, {**request.headers}, str(request.method))
        served = self._gateway.handle(asked)
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = served.status, request, str(request.url)
        answer.headers.update({"Content-Type": served.kind, **served.headers})
        answer.raw = HTTPResponse(io.BytesIO(served.body), preload_content=False)
        return answer

    def close(self) -> None:
        pass


def read_all(gateway: Gateway, **query: object) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    with requests.Session() as session:
        session.mount("http://gateway", InMemory(gateway))
        after = None
        while True:
            asked = {"provider": "openai", "order": "asc", "limit": 100, "after": after, **query}
            page = session.get("http://gateway/v1/videos", params=asked).json()  # type: ignore[arg-type]
            found += page["data"]
            if not page["has_more"]:
                return found
            after = page["last_id"]


def test_a_foreign_client_reads_the_world_without_a_socket() -> None:
    clock = ManualClock(1_795_000_000)
    world = World(jobs=250, start=clock(), rate=60, clock=clock, version="2.0")
    gateway = Gateway(world)
    assert read_all(gateway) == world.expected()
    clock.advance(HOUR)
    assert len(read_all(gateway)) == 310
    assert read_all(gateway) == world.expected()


def test_the_same_requests_get_the_same_answers() -> None:
    def play() -> list[bytes]:
        gateway = Gateway(World(jobs=40, rate=60, accounts=3, version="2.1"), seed=4)
        bodies = []
        for _ in range(30):
            gateway.world.advance(60)
            for target in ("/v1/videos?provider=openai", "/api/logs", "/openai_passthrough/v1/videos"):
                bodies.append(gateway.handle(Request.to(target)).body)
        return bodies

    assert play() == play()


def test_the_control_is_a_function_too() -> None:
    gateway = Gateway(World(jobs=3))
    before = gateway.world.now()
    answer = control.answer_control(gateway, Request.to("/_sim/advance?seconds=60", method="POST"))
    assert answer.status == 200
    assert gateway.world.now() == before + 60


def test_an_answer_says_how_it_would_be_delivered() -> None:
    gateway = Gateway(World(jobs=3))
    control.answer_control(gateway, Request.to("/_sim/fault?spec=truncated:times=1", method="POST"))
    asked = Request.to("/v1/videos?provider=openai")
    assert [gateway.handle(asked).delivery for _ in range(2)] == ["truncated", "whole"]
