"""Answers of other servers and of proxies: judged by their bodies, and by classes of statuses."""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from etl import errors
from etl.config import Secret, Source
from etl.extract import GatewayClient
from etl.log import Redactor
from etl.records import PageRequest

PAGE = b'{"object":"list","data":[{"id":"video_1:openai"}],"has_more":false}'
HTML = b"<!doctype html><title>Attention Required!</title>"


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str]) -> Iterator[GatewayClient]:
    """A gateway whose every answer is this one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    source = Source(name="main", base_url=url, provider="openai", api_key=Secret("k"), max_attempts=1)
    try:
        with _gateway(source) as gateway:
            yield gateway
    finally:
        server.shutdown()
        server.server_close()


def _gateway(source: Source) -> GatewayClient:
    return GatewayClient(
        source,
        clock=lambda: datetime.now(UTC),
        sleep=lambda _: None,
        rng=random.Random(1),
        redact=Redactor(source.secrets()),
    )


@pytest.mark.parametrize(
    "label",
    [
        "text/plain; charset=utf-8",
        "text/json",
        "json",
        "application/octet-stream",
        "application/json, application/json",
        "text/html; charset=utf-8",
        "",
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\r\n  "], ids=["plain", "BOM", "space"])
def test_a_page_is_read_whatever_it_is_labelled(label: str, mark: bytes) -> None:
    with answering(200, mark + PAGE, {"Content-Type": label} if label else {}) as gateway:
        assert len(gateway.page(PageRequest()).items) == 1


@pytest.mark.parametrize("label", ["text/html", "application/json", "text/plain", ""])
def test_a_web_page_is_none_whatever_it_is_labelled(label: str) -> None:
    with (
        answering(200, HTML, {"Content-Type": label}) as gateway,
        pytest.raises(errors.GarbledAnswer) as found,
    ):
        gateway.page(PageRequest())
    assert found.value.hopeless
    assert "base_url" in str(found.value.hint)


@pytest.mark.parametrize("status", [400, 404, 405, 406, 410, 416, 422])
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "video not found", "param": "after"}},
        {"detail": "cursor does not exist"},
        {"detail": [{"loc": ["query", "after"], "msg": "unknown id", "type": "value_error"}]},
        {"detail": "No such video"},
        {"message": "gone"},
        {},
    ],
    ids=["openai", "detail", "fastapi", "bare", "message", "empty"],
)
def test_a_refused_cursor_is_dead(status: int, body: dict[str, Any]) -> None:
    with (
        answering(status, json.dumps(body).encode(), {"Content-Type": "application/json"}) as gateway,
        pytest.raises(errors.DeadCursor),
    ):
        gateway.page(PageRequest(after="video_9:openai"))


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["query", "limit"], "msg": "must be at most 50", "type": "value_error"}]},
        {"error": {"message": "limit must be at most 50", "param": "limit"}},
        {"detail": "limit must be at most 50"},
    ],
    ids=["fastapi", "openai", "detail"],
)
def test_a_refused_limit_is_no_dead_cursor(status: int, body: dict[str, Any]) -> None:
    with (
        answering(status, json.dumps(body).encode(), {"Content-Type": "application/json"}) as gateway,
        pytest.raises(errors.BadRequest, match="at most 50"),
    ):
        gateway.page(PageRequest(after="video_9:openai"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "quota window moved"}, "quota window moved"),
        (
            {"detail": [{"loc": ["query", "order"], "msg": "unexpected value"}]},
            "query.order: unexpected value",
        ),
        ({"detail": {"reason": "closed"}}, "closed"),
        ({"errors": [{"message": "first"}, {"message": "second"}]}, "first; second"),
        ({"title": "Bad Gateway", "detail": "no upstream"}, "no upstream"),
        ({"error_description": "token expired", "error": "invalid_token"}, "invalid_token"),
    ],
)
def test_whatever_says_why_is_shown(body: dict[str, Any], said: str) -> None:
    with (
        answering(418, json.dumps(body).encode(), {"Content-Type": "application/json"}) as gateway,
        pytest.raises(errors.GatewayError) as found,
    ):
        gateway.page(PageRequest())
    assert said in str(found.value)
    assert "no message" not in str(found.value)


def test_a_page_of_a_firewall_is_not_the_gateways_word() -> None:
    with answering(403, HTML, {"Content-Type": "text/html"}) as gateway, pytest.raises(errors.Intercepted):
        gateway.page(PageRequest())


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_passed_on_from_the_provider_names_it(status: int) -> None:
    body = {
        "is_bifrost_error": False,
        "status_code": status,
        "error": {"message": "Incorrect API key provided"},
        "extra_fields": {"provider": "openai", "raw_response": {"error": {"message": "Incorrect API key"}}},
    }
    with (
        answering(status, json.dumps(body).encode(), {"Content-Type": "application/json"}) as gateway,
        pytest.raises(errors.ProviderRefused) as found,
    ):
        gateway.page(PageRequest())
    assert "provider" in str(found.value.hint)


def test_a_job_that_is_gone_may_be_said_gone() -> None:
    with (
        answering(410, b'{"detail":"deleted"}', {"Content-Type": "application/json"}) as gateway,
        pytest.raises(errors.NotFound),
    ):
        gateway.job("video_1:openai")


def test_a_list_that_is_gone_for_good_is_not_blamed_on_the_address() -> None:
    body = b'{"error":{"message":"The Videos API has been retired."}}'
    with (
        answering(410, body, {"Content-Type": "application/json"}) as gateway,
        pytest.raises(errors.NotFound) as found,
    ):
        gateway.page(PageRequest())
    assert "base_url" not in str(found.value.hint) and "bifrost-etl source retire" in str(found.value.hint)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_gzip_of_several_members(parts: int) -> None:
    step = -(-len(PAGE) // parts)
    body = b"".join(gzip.compress(PAGE[at : at + step]) for at in range(0, len(PAGE), step))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with answering(200, body, headers) as gateway:
        assert len(gateway.page(PageRequest()).items) == 1


@pytest.mark.parametrize("status", [202, 204, 206])
def test_an_answer_without_a_page_may_pass(status: int) -> None:
    body = b"" if status == 204 else b"{}"
    with answering(status, body, {}) as gateway, pytest.raises(errors.GarbledAnswer) as found:
        gateway.page(PageRequest())
    assert found.value.status == status


@pytest.mark.parametrize("status", [403, 502, 520])
def test_a_web_page_is_told_by_its_title(status: int) -> None:
    page = (
        b"<!DOCTYPE html>\n<html lang='en'><title>Web server is down &amp; out\n| 520</title><p>Your IP: 8.8"
    )
    with (
        answering(status, page, {"Content-Type": "text/html"}) as gateway,
        pytest.raises(errors.GatewayError) as found,
    ):
        gateway.page(PageRequest())
    assert str(found.value).endswith(f"HTTP {status}: a web page: Web server is down & out | 520")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/v1/videos/?limit=100&state=canary", "HTTP 302, to /v1/videos/: no message"),
        (
            "https://user:canary@login.example.com:8443/oauth?next=canary",
            "HTTP 302, to https://login.example.com:8443/oauth: no message",
        ),
        ("", "HTTP 302: no message"),
        ("https://[::bad", "HTTP 302: no message"),
    ],
)
def test_a_redirect_says_where_it_leads(location: str, said: str) -> None:
    with (
        answering(302, b"", {"Location": location}) as gateway,
        pytest.raises(errors.BadRequest) as found,
    ):
        gateway.page(PageRequest())
    assert str(found.value).endswith(said)
    assert "canary" not in str(found.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "2"}, 2.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "3s"}, 3.0),
        ({"Retry-After": "4, 4"}, 4.0),
        ({"Retry-After": "7", "retry-after-ms": "1500"}, 1.5),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "120ms", "x-ratelimit-reset-tokens": "1h2m"}, 3720.0),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "8.64s",
                "x-ratelimit-remaining-tokens": "100",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            8.64,
        ),
        ({"x-ratelimit-reset-requests": "soon"}, None),
        ({"Retry-After": "soon"}, None),
    ],
)
def test_a_limit_names_its_time_in_many_ways(headers: dict[str, str], seconds: float | None) -> None:
    with answering(429, b"{}", headers) as gateway, pytest.raises(errors.RateLimited) as found:
        gateway.page(PageRequest())
    assert found.value.retry_after == seconds
