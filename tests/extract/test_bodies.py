"""Bodies that lie, drip, explode or break off, and answers that are not what their status says."""

from __future__ import annotations

import gzip
import json
import random
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from etl import errors
from etl.config import Secret, Source
from etl.extract import GatewayClient
from etl.log import Redactor
from etl.records import PageRequest

JSON = "Content-Type: application/json"
PAGE = b'{"object":"list","data":[{"id":"a"}],"has_more":false}'


def raw(status: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """An answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Wire:
    """Answers each request on a connection with the next of `answers`, the last one for ever."""

    def __init__(self, answers: tuple[bytes, ...]) -> None:
        self._answers, self._listener = list(answers), socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections, self.heads = 0, []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    heads: list[bytes]

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        seen = b""
        try:
            while piece := connection.recv(65536):
                seen += piece
                while b"\r\n\r\n" in seen:
                    head, _, seen = seen.partition(b"\r\n\r\n")
                    self.heads.append(head)
                    answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                    connection.sendall(answer)
                    if b"Connection: close" in answer:
                        connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()


@contextmanager
def gateway(*answers: bytes, **settings: Any) -> Iterator[tuple[GatewayClient, Wire]]:
    wire = Wire(answers)
    values = {"name": "main", "base_url": wire.url, "provider": "openai", "max_attempts": 1}
    source = Source(**{**values, **settings})
    time = {"monotonic": settings.pop("monotonic")} if "monotonic" in settings else {}
    client = GatewayClient(
        source,
        clock=lambda: datetime.now(UTC),
        sleep=lambda seconds: None,
        rng=random.Random(1),
        redact=Redactor(source.secrets()),
        **time,
    )
    try:
        yield client, wire
    finally:
        client.close()
        wire.close()


def failure(*answers: bytes, ask: Callable[[GatewayClient], Any] | None = None, **settings: Any) -> Any:
    with gateway(*answers, **settings) as (client, _), pytest.raises(errors.GatewayError) as caught:
        (ask or (lambda g: g.page(PageRequest())))(client)
    return caught.value


def by_id(client: GatewayClient) -> Any:
    return client.job("video_a:openai")


def test_one_connection_serves_all_pages() -> None:
    with gateway(raw("200 OK", PAGE, JSON)) as (client, wire):
        for _ in range(5):
            client.page(PageRequest())
    assert (wire.connections, len(wire.heads)) == (1, 5)


def test_threads_share_one_gateway() -> None:
    with gateway(raw("200 OK", PAGE, JSON), concurrency=4) as (client, wire):
        pages: list[Any] = []
        threads = [
            threading.Thread(target=lambda: pages.extend(client.page(PageRequest()) for _ in range(25)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(pages) == client.requests == len(wire.heads) == 100
    assert wire.connections <= 4


def test_a_gzip_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    error = failure(raw("200 OK", bomb, JSON, "Content-Encoding: gzip"), max_body=1 << 20)
    assert isinstance(error, errors.GarbledAnswer) and error.hopeless
    assert "1,048,576" in str(error) and "max_body" in error.hint


def bare_deflate(body: bytes) -> bytes:
    """Without zlib's frame, as many servers send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("label", "pack"),
    [
        ("deflate", zlib.compress),
        ("deflate", bare_deflate),
        ("gzip, identity", gzip.compress),
        ("utf-8", bytes),
        ("none", bytes),
        ("identity", bytes),
    ],
)
def test_what_a_label_means_the_body_says(label: str, pack: Callable[[bytes], bytes]) -> None:
    body = pack(PAGE.replace(b"}", b" " * 300_000 + b"}", 1))
    with gateway(raw("200 OK", body, JSON, f"Content-Encoding: {label}")) as (client, _):
        assert len(client.page(PageRequest()).items) == 1


@pytest.mark.parametrize("label", ["br", "zstd", "gzip, br", "gzip, gzip", "compress"])
def test_a_compression_that_nobody_asked_for_is_named(label: str) -> None:
    error = failure(raw("200 OK", gzip.compress(PAGE), JSON, f"Content-Encoding: {label}"))
    assert isinstance(error, errors.GarbledAnswer) and error.hopeless and label in str(error)


def test_an_answer_that_a_proxy_has_put_is_an_answer() -> None:
    """203: whole, and changed on the way. 206 is a part, and no page."""
    with gateway(raw("203 Non-Authoritative Information", PAGE, JSON)) as (client, _):
        assert len(client.page(PageRequest()).items) == 1
    assert isinstance(failure(raw("206 Partial Content", PAGE, JSON)), errors.GarbledAnswer)


def test_a_body_that_drips_is_given_up() -> None:
    # Every byte comes in time for read_timeout; our own clock runs ten seconds between any two looks at it.
    class Dripping(Wire):
        def _serve(self, connection: socket.socket) -> None:
            connection.recv(65536)
            try:
                connection.sendall(raw("200 OK", b"", JSON, length=10_000_000))
                while True:
                    connection.sendall(b" ")
            except OSError:
                return

    wire, ticks = Dripping(()), count(0, 10)
    source = Source(name="main", base_url=wire.url, read_timeout=60.0, max_attempts=1)
    client = GatewayClient(
        source,
        clock=lambda: datetime.now(UTC),
        monotonic=lambda: float(next(ticks)),
        rng=random.Random(1),
        redact=lambda text: text,
    )
    with client, pytest.raises(errors.TimedOut, match="too slowly"):
        client.page(PageRequest())
    wire.close()


def test_a_short_body_is_truncated_by_name() -> None:
    answer = raw("200 OK", PAGE, JSON, "Connection: close", length=len(PAGE) + 9)
    error = failure(answer)
    assert isinstance(error, errors.GarbledAnswer) and "truncated" in str(error) and error.hint


def test_a_chunked_body_is_read_and_a_cut_one_is_not() -> None:
    head = f"HTTP/1.1 200 OK\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n".encode()
    chunk = f"{len(PAGE):x}\r\n".encode() + PAGE + b"\r\n"
    with gateway(head + b"\r\n" + chunk + b"0\r\n\r\n") as (client, _):
        assert client.page(PageRequest()).items == (b'{"id":"a"}',)
    error = failure(head + b"Connection: close\r\n\r\n" + chunk)
    assert isinstance(error, errors.GarbledAnswer) and "truncated" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [("401 No", errors.Unauthorized), ("403 No", errors.Forbidden), ("503 Busy", errors.ServerFault)],
)
def test_a_broken_error_page_hides_no_status(status: str, kind: type[Exception]) -> None:
    assert type(failure(raw(status, b"no gzip", "Content-Encoding: gzip"))) is kind
    assert type(failure(raw(status, b"x" * 5000), max_body=100)) is kind
    assert type(failure(raw(status, b"brotli", "Content-Encoding: br"))) is kind


@pytest.mark.parametrize("to", ["http://[", "", "//", "https://elsewhere.example/?key=canary-51c09e7d"])
def test_a_redirect_leads_nowhere_and_its_body_is_not_read_to_the_end(to: str) -> None:
    error = failure(raw("302 Found", b"x" * 5000, f"Location: {to}"), max_body=100, max_attempts=5)
    assert type(error) is errors.BadRequest and error.attempts == 1
    assert "redirects are not followed" in error.hint and "canary" not in str(error)


IN_DISGUISE = {
    "rate limit": ({"is_bifrost_error": True, "status_code": 429, "error": {"message": "m"}}, "RateLimited"),
    "null data": ({"object": "list", "data": None, "error": {"message": "m"}}, "ServerFault"),
    "empty data": ({"object": "list", "data": [], "error": {"message": "m"}}, "ServerFault"),
    "bare text": ({"error": "internal"}, "ServerFault"),
    "odd status": ({"is_bifrost_error": True, "status_code": "no", "error": {}}, "ServerFault"),
    "another thing": ({"hello": 1}, "GarbledAnswer"),
    "data an object": ({"object": "list", "data": {"id": "a"}}, "GarbledAnswer"),
    "data a text": ({"object": "list", "data": "", "has_more": False}, "GarbledAnswer"),
}


@pytest.mark.parametrize("case", IN_DISGUISE)
def test_a_200_that_is_no_page_is_never_an_empty_list(case: str) -> None:
    body, kind = IN_DISGUISE[case]
    assert type(failure(raw("200 OK", json.dumps(body).encode(), JSON))).__name__ == kind


@pytest.mark.parametrize("error", [None, {}, {"code": None, "message": ""}])
def test_an_empty_error_is_none(error: Any) -> None:
    body = json.dumps({"object": "list", "data": [], "error": error}).encode()
    with gateway(raw("200 OK", body, JSON)) as (client, _):
        assert client.page(PageRequest()).items == ()


def test_members_of_the_wrong_type_are_kept_apart() -> None:
    body = b'{"object":"list","data":[{"id":"a"}],"has_more":"yes","first_id":5,"last_id":[1],"more":"x"}'
    with gateway(raw("200 OK", body)) as (client, _):  # without a content type
        page = client.page(PageRequest())
    assert (page.has_more, page.first_id, page.last_id) == (None, None, None)
    assert page.unknown == {"has_more": "yes", "first_id": 5, "last_id": [1], "more": "x"}


def test_a_byte_order_mark_costs_nothing() -> None:
    with gateway(raw("200 OK", b"\xef\xbb\xbf" + PAGE, JSON)) as (client, _):
        assert client.page(PageRequest()).items == (b'{"id":"a"}',)


def test_a_job_comes_without_its_megabytes_and_with_what_the_page_says() -> None:
    body = (
        b'{"id":"video_a:openai","status":"completed","n":1.50,"videos":[{"base64":"AAAA"}],'
        b'"extra_fields":{"cache_debug":{"cache_hit":true}}}'
    )
    with gateway(raw("200 OK", body, JSON)) as (client, wire):
        page = by_id(client)
    assert page.items == (b'{"id":"video_a:openai","status":"completed","n":1.50}',)
    assert page.extra_fields == b'{"cache_debug":{"cache_hit":true}}'
    assert b"/v1/videos/video_a%3Aopenai " in wire.heads[0]


def test_a_job_is_otherwise_verbatim() -> None:
    body = rb'{ "id" : "video_a:openai", "prompt": "\ud800", "error": {"message": "moderated"} }'
    with gateway(raw("200 OK", body, JSON)) as (client, _):
        assert by_id(client).items == (body,)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"id":"video_a', errors.GarbledAnswer),
        (b"[]", errors.GarbledAnswer),
        (b"null", errors.GarbledAnswer),
        (b"", errors.GarbledAnswer),
        (b'{"is_bifrost_error":true,"status_code":404,"error":{"message":"gone"}}', errors.NotFound),
        (b'{"error":{"message":"who knows"}}', errors.ServerFault),
    ],
)
def test_what_is_no_job_is_an_error(body: bytes, kind: type[Exception]) -> None:
    assert type(failure(raw("200 OK", body, JSON), ask=by_id)) is kind


def test_a_web_servers_404_is_told_from_the_gateways() -> None:
    error = failure(raw("404 Not Found", b"<h1>nginx</h1>", "Content-Type: text/html"), ask=by_id)
    assert type(error) is errors.NotFound and not error.json_body


@pytest.mark.parametrize(
    ("param", "message", "kind"),
    [
        ("after", "Invalid value", errors.DeadCursor),
        ("limit", "no value like that comes after 100", errors.BadRequest),
        (None, "No such cursor", errors.DeadCursor),
        (None, "Something else", errors.DeadCursor),  # nobody says how a gone cursor is answered
        (None, "", errors.DeadCursor),
        (None, "provider query parameter is required", errors.BadRequest),
        (None, "invalid limit parameter", errors.BadRequest),
        ("order", "", errors.BadRequest),
    ],
)
def test_only_the_cursor_kills_the_cursor(param: str | None, message: str, kind: type[Exception]) -> None:
    body = json.dumps({"error": {"message": message, "param": param}}).encode()
    answer = raw("400 Bad Request", body, JSON)
    assert type(failure(answer, ask=lambda g: g.page(PageRequest(after="x")))) is kind
    assert type(failure(answer)) is errors.BadRequest  # without a cursor it cannot be dead


def test_a_key_hidden_by_escapes_is_masked_in_messages() -> None:
    body = rb'{"error":{"message":"bad key ab\u0026cd\u0065fgh!","type":"ab\u0026cdefgh!"}}'
    error = failure(raw("401 No", body, JSON), api_key=Secret("ab&cdefgh!"))
    assert "ab&cdefgh!" not in str(error) and "bad key ****" in str(error)


def test_a_proxys_password_stays_hidden(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    proxy = Secret("http://user:canary-51c09e7d@127.0.0.1:9")
    error = failure(b"", proxy=proxy, base_url="https://gateway.example")
    assert isinstance(error, errors.Unreachable) and "proxy" in error.hint
    assert "canary" not in str(error) + caplog.text
    assert error.__context__ is None and error.__cause__ is None


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_interim_answers_are_passed_over(interim: str) -> None:
    hint = f"HTTP/1.1 {interim}\r\nLink: </a>; rel=preload\r\n\r\n".encode()
    with gateway(hint * 3 + raw("200 OK", PAGE, JSON)) as (client, wire):
        for _ in range(3):
            assert client.page(PageRequest()).items == (b'{"id":"a"}',)
    assert wire.connections == 1


def test_an_upgrade_and_interim_answers_without_end_may_pass() -> None:
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"
    with gateway(upgrade, raw("200 OK", PAGE, JSON), max_attempts=2) as (client, wire):
        assert client.page(PageRequest()).items == (b'{"id":"a"}',)
        assert wire.connections == 2
    error = failure(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 200)
    assert isinstance(error, errors.Unreachable) and "interim" in str(error)
