"""What is sent: parameters, credentials, pins; and what is never sent."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etl.config import Secret, Source
from etl.errors import GatewayError
from etl.extract.http import Transport
from etl.records import PageRequest, RawPage
from etl.simulator import World
from tests.extract.conftest import CANARY, Client


def sent(c: Client) -> dict[str, str]:
    with contextlib.suppress(GatewayError):
        c.gateway.page(PageRequest("video_x:openai", "asc", 7))
    return c.sim.requests[-1].headers


def test_parameters(client: Callable[..., Client]) -> None:
    c = client()
    headers = sent(c)
    assert c.sim.requests[-1].query == {
        "provider": "openai",
        "limit": "7",
        "order": "asc",
        "after": "video_x:openai",
    }
    assert headers["authorization"] == f"Bearer {CANARY}"
    assert "x-bf-cache-key" not in headers and "x-bf-send-back-raw-response" not in headers


def test_a_plain_openai_endpoint_is_asked_without_provider(client: Callable[..., Client]) -> None:
    c = client(world=World(seed=1, jobs=120, rate=0, shape="openai"), settings={"provider": None})
    page = c.gateway.page(PageRequest(None, "asc", 100))
    assert "provider" not in c.sim.requests[-1].query
    assert len(page.items) == 100 and page.extra_fields is None


def test_pins_and_extra_headers(client: Callable[..., Client]) -> None:
    settings = {
        "key_name": "team-a",
        "key_id": "42",
        "headers": {"X-Team": Secret("video")},
        "raw_payloads": "store",
    }
    headers = sent(client(settings=settings))
    assert (headers["x-bf-api-key"], headers["x-bf-api-key-id"], headers["x-team"]) == (
        "team-a",
        "42",
        "video",
    )
    assert headers["x-bf-send-back-raw-response"] == "true"


def test_dashboard_credentials_with_a_virtual_key(client: Callable[..., Client]) -> None:
    settings = {
        "api_key": None,
        "username": "admin",
        "password": Secret("pä:ss"),
        "virtual_key": Secret("sk-bf-1"),
    }
    headers = sent(client(settings=settings))
    assert headers["authorization"] == "Basic " + base64.b64encode("admin:pä:ss".encode()).decode()
    assert headers["x-bf-vk"] == "sk-bf-1"


def test_a_virtual_key_alone(client: Callable[..., Client]) -> None:
    c = client(
        settings={"api_key": None, "virtual_key": Secret("sk-bf-9")}, virtual_keys={"sk-bf-9": "active"}
    )
    assert len(c.gateway.page(PageRequest()).items) == 100


@pytest.mark.parametrize("fault", [None, "no_has_more", "no_ids"])
@pytest.mark.parametrize("shape", ["bifrost", "reference", "openai"])
def test_one_stop_rule_reads_every_shape_to_its_end(
    client: Callable[..., Client], shape: str, fault: str | None
) -> None:
    world = World(seed=2, jobs=200, rate=0, shape=shape)
    c = client(*([fault] if fault else []), world=world)
    request: PageRequest | None = PageRequest(None, "asc", 50)
    seen: list[bytes] = []
    while request is not None:
        page = c.gateway.page(request)
        seen += page.items
        request = page.following
    assert len(seen) == len(set(seen)) == 200


def test_lone_surrogates_and_control_characters_cost_no_neighbour(client: Callable[..., Client]) -> None:
    world = World(seed=3, jobs=10, rate=0)
    bodies = {
        world.id_at(2): rb'{"id":"a","prompt":"\ud800 [ { \" ]"}',
        world.id_at(4): b'{"id":"b","n":NaN}',
        world.id_at(6): b'{"id":"c","deep":' + b"[" * 5000 + b"]" * 5000 + b"}",
        world.id_at(8): b'{"id":"d","text":"tab\tinside"}',
    }
    for job_id, body in bodies.items():
        world.set(job_id, body)
    page = client(world=world).gateway.page(PageRequest(None, "asc", 100))
    assert len(page.items) == 10
    assert [page.items[i] for i in (2, 4, 6, 8)] == list(bodies.values())
    assert page.has_more is False and page.first_id == world.id_at(0)
    assert isinstance(page, RawPage)


def pool(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], **settings: Any) -> Any:
    """The connection pool that pages would be asked of."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    source = Source(**{"name": "main", "base_url": "https://gateway.example", **settings})
    return Transport(source)._open_pool()[0]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    for name in ("environ.pem", "own.pem"):
        (tmp_path / name).touch()
    return {"HTTPS_PROXY": "http://proxy.example:3128", "REQUESTS_CA_BUNDLE": str(tmp_path / "environ.pem")}


def test_the_environments_proxy_and_bundle_are_honoured(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    given = pool(monkeypatch, environ)
    assert (given.proxy.host, given.proxy.port) == ("proxy.example", 3128)
    assert given.ca_certs == environ["REQUESTS_CA_BUNDLE"] and given.cert_reqs == "CERT_REQUIRED"
    assert pool(monkeypatch, {**environ, "NO_PROXY": "gateway.example"}).proxy is None


def test_the_configuration_comes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], tmp_path: Path
) -> None:
    own = tmp_path / "own.pem"
    given = pool(monkeypatch, environ, proxy=Secret("http://own.example:1"), ca_bundle=own)
    assert given.proxy.host == "own.example" and given.ca_certs == str(own)
    assert pool(monkeypatch, environ, verify_tls=False).cert_reqs == "CERT_NONE"


def test_no_credentials_come_from_netrc(
    client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login surprise password surprise\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert "authorization" not in sent(client(settings={"api_key": None}))
