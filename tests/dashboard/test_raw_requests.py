"""Bytes that no browser sends: other methods, ways out of the folder of static files, headers that two
servers read differently, texts that would begin a header of their own."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from etl.config import Secret
from tests.dashboard.site import TOKEN, Site, empty

HOST = "Host: localhost"
SIGNED = f"Authorization: Bearer {TOKEN}"


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(empty(tmp_path_factory.mktemp("raw")), allow_remote=True, token=Secret(TOKEN))
    with made.server:
        yield made


def exchange(server: Site, *lines: str, body: bytes = b"") -> str:
    """Everything that comes back until the server closes or the request is answered."""
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    with socket.create_connection(("127.0.0.1", server.server.port), timeout=60) as wire:
        wire.sendall(head + body)
        return b"".join(iter(lambda: wire.recv(65536), b"")).decode("utf-8", "replace")


def statuses(answer: str) -> list[int]:
    return [int(each) for each in re.findall(r"^HTTP/1\.1 (\d{3})", answer, re.MULTILINE)]


METHODS = ("POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "OPTIONS", "PROPFIND")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/", "/jobs", "/healthz", "/metrics", "/static/page.js"])
def test_pages_only_read(server: Site, method: str, path: str) -> None:
    answer = exchange(server, f"{method} {path} HTTP/1.1", HOST, SIGNED, "X-Secret: sent-back")
    assert len(statuses(answer)) == 1 and 400 <= statuses(answer)[0] < 500
    assert "sent-back" not in answer


WAYS_OUT = [
    *("../../app.py", "..%2f..%2fapp.py", "%2e%2e/%2e%2e/app.py", "/etc/passwd", "..\\..\\app.py"),
    *("....//....//app.py", "%252e%252e/app.py", "page.js%00.css", "", "."),
]


@pytest.mark.parametrize("path", WAYS_OUT)
def test_no_other_file_is_served(server: Site, path: str) -> None:
    answer = exchange(server, f"GET /static/{path} HTTP/1.1", HOST, SIGNED)
    assert statuses(answer)[0] in (307, 400, 404, 405)
    assert "import annotations" not in answer and "root:" not in answer


AMBIGUOUS = {
    "a length and chunks": ("Content-Length: 5", "Transfer-Encoding: chunked"),
    "two lengths": ("Content-Length: 5", "Content-Length: 6"),
    "a negative length": ("Content-Length: -1",),
    "a length that is a sum": ("Content-Length: 1+1",),
    "an encoding of another name": ("Transfer-Encoding: xchunked",),
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_request_in_a_request_is_not_answered(server: Site, headers: tuple[str, ...]) -> None:
    inner = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = exchange(server, "POST /login HTTP/1.1", HOST, *headers, body=inner)
    assert len(statuses(answer)) <= 1 or statuses(answer)[1] == 400, answer


ELSEWHERE = [
    *("/%0d%0aSet-Cookie:%20x=1", "%0d%0a", "//evil.example", "/%5cevil.example", "/%09/evil.example"),
    *("https:evil.example", "javascript:alert(1)", "/%E2%80%A8evil"),
]


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_whoever_signs_in_is_sent_to_our_own_pages(server: Site, wanted: str) -> None:
    form = f"token={TOKEN}".encode()
    kind = "Content-Type: application/x-www-form-urlencoded"
    answer = exchange(
        server, f"POST /login?next={wanted} HTTP/1.1", HOST, kind, f"Content-Length: {len(form)}", body=form
    )
    [location] = re.findall(r"^location: (.*)\r$", answer, re.MULTILINE | re.IGNORECASE)
    assert statuses(answer) == [303] and re.fullmatch(r"/(?![/\\])[!-~]*", location)
    assert len(re.findall("^set-cookie: ", answer, re.MULTILINE | re.IGNORECASE)) == 1


def test_answers_do_not_say_what_serves_them(server: Site) -> None:
    for path in ("/", "/nothing", "/static/page.js", "/login"):
        answer = exchange(server, f"GET {path} HTTP/1.1", HOST, SIGNED)
        said = re.findall(
            r"^(?:server|x-powered-by):|uvicorn|starlette", answer, re.MULTILINE | re.IGNORECASE
        )
        assert said == []


NO_REQUESTS = ("GET / HTTP/9.9", "GET  / HTTP/1.1", "\x16\x03\x01\x02", "GET /\x00 HTTP/1.1")


@pytest.mark.parametrize("line", NO_REQUESTS)
def test_what_is_no_request_ends_the_connection(server: Site, line: str) -> None:
    answer = exchange(server, line, HOST)
    assert all(status >= 400 for status in statuses(answer))
