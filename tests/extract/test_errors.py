"""Every row of the gateway's error table, and every way a body can be broken, over real HTTP."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest

from etl import errors
from etl.config import Secret
from etl.records import PageRequest
from etl.simulator import World
from etl.simulator.faults import NAMES
from tests.extract.conftest import CANARY, Client

FATAL = {
    "provider_missing": errors.BadRequest,
    "invalid_limit": errors.BadRequest,
    "provider_not_configured": errors.Unsupported,
    "unsupported_operation": errors.Unsupported,
    "no_keys": errors.Unsupported,
    "unknown_key": errors.Unsupported,
    "missing_headers": errors.BadRequest,
    "unauthorized": errors.Unauthorized,
    "virtual_key_required": errors.Unauthorized,
    "budget_exceeded": errors.Forbidden,
    "virtual_key_not_found": errors.Forbidden,
    "virtual_key_blocked": errors.Forbidden,
    "provider_blocked": errors.Forbidden,
    "model_blocked": errors.Forbidden,
    "upstream_400": errors.BadRequest,
    "upstream_401": errors.ProviderRefused,
    "not_found": errors.NotFound,
    "redirect": errors.BadRequest,
}
RETRIABLE = {
    "no_content": errors.GarbledAnswer,
    "rate_limited": errors.RateLimited,
    "token_limited": errors.RateLimited,
    "request_limited": errors.RateLimited,
    "upstream_429": errors.RateLimited,
    "upstream_500": errors.ServerFault,
    "upstream_503": errors.ServerFault,
    "proxy_502": errors.ServerFault,
    "proxy_503": errors.ServerFault,
    "request_timed_out": errors.TimedOut,
    "empty_response": errors.ServerFault,
    "network_error": errors.ServerFault,
    "http_failed": errors.ServerFault,
    "html_upstream": errors.ServerFault,
    "queue_full": errors.ServerFault,
    "shutting_down": errors.ServerFault,
    "empty_body": errors.GarbledAnswer,
    "invalid_json": errors.GarbledAnswer,
    "not_object": errors.GarbledAnswer,
    "lying_gzip": errors.GarbledAnswer,
    "gzip_cut": errors.GarbledAnswer,
    "truncated": errors.GarbledAnswer,
    "reset": errors.Unreachable,
}
ONE_MORE_TRY = {
    "html": errors.GarbledAnswer,
    "unmarshal": errors.Unparseable,
}
READABLE = {
    "wrong_type",
    "gzip",
    "drift",
    "no_has_more",
    "no_ids",
    "no_extra_fields",
    "null_data",
    "upstream_null",
    "shrunk",
    "has_more",
    "non_utf8",
    "clock_skew",
    "wrong_last_id",
    "slow",
    "drip",
}
ELSEWHERE = {  # of pages in a row, of items, of time: tested where they matter
    "bad_item",
    "cached",
    "cursor_ignored",
    "order_ignored",
    "limit_ignored",
    "other_account",
    "repeated_page",
    "poison",
    "poison_type",
    "key_failed",
    "upstream_gone",
    "dead_cursor",
    "health_down",
    "stall",
    "huge",
}


def test_every_fault_is_spoken_for() -> None:
    assert set(NAMES) == {*FATAL, *RETRIABLE, *ONE_MORE_TRY, *READABLE, *ELSEWHERE}


def failure(c: Client, request: PageRequest | None = None) -> errors.GatewayError:
    with pytest.raises(errors.GatewayError) as caught:
        c.gateway.page(request or PageRequest())
    return caught.value


@pytest.mark.parametrize(("fault", "kind"), FATAL.items())
def test_what_cannot_be_helped_is_asked_once(
    client: Callable[..., Client], fault: str, kind: type[errors.GatewayError]
) -> None:
    c = client(fault)
    error = failure(c)
    assert type(error) is kind
    assert c.gateway.requests == 1 and c.gateway.retries == 0 and not c.waits
    assert error.hint and "source main" in str(error)


@pytest.mark.parametrize(("fault", "kind"), RETRIABLE.items())
def test_what_may_pass_is_tried_again_and_bounded(
    client: Callable[..., Client], fault: str, kind: type[errors.GatewayError]
) -> None:
    c = client(fault)
    error = failure(c)
    assert type(error) is kind, error
    assert error.attempts == c.gateway.requests == 4
    assert c.gateway.retries == len(c.waits) == len(c.told) == 3


@pytest.mark.parametrize("fault", RETRIABLE)
def test_what_passes_is_forgotten(client: Callable[..., Client], fault: str) -> None:
    c = client(f"{fault}:times=2")
    page = c.gateway.page(PageRequest())
    assert len(page.items) == 100 and page.attempts == 3


@pytest.mark.parametrize(("fault", "kind"), ONE_MORE_TRY.items())
def test_what_hardly_passes_gets_one_more_try(
    client: Callable[..., Client], fault: str, kind: type[errors.GatewayError]
) -> None:
    c = client(fault)
    assert type(failure(c)) is kind
    assert c.gateway.requests == 2


@pytest.mark.parametrize("fault", sorted(READABLE))
def test_odd_pages_are_read(client: Callable[..., Client], fault: str) -> None:
    c = client(f"{fault}:seconds=0.01" if fault in ("slow", "drip") else fault)
    page = c.gateway.page(PageRequest())
    assert len(page.items) == (0 if fault in ("null_data", "shrunk", "upstream_null") else 100)


def test_a_stalled_gateway_is_a_timeout(client: Callable[..., Client]) -> None:
    c = client("stall", settings={"read_timeout": 0.2, "max_attempts": 2})
    assert isinstance(failure(c), errors.TimedOut)


def test_a_body_over_the_limit_is_refused_by_name(client: Callable[..., Client]) -> None:
    c = client("huge:mb=8", settings={"max_body": 1 << 20})
    error = failure(c)
    assert isinstance(error, errors.GarbledAnswer) and "1,048,576" in str(error)
    assert "max_body" in (error.hint or "")


def test_nobody_there(client: Callable[..., Client]) -> None:
    c = client(settings={"base_url": "http://127.0.0.1:9", "max_attempts": 2})
    error = failure(c)
    assert type(error) is errors.Unreachable and "base_url" in (error.hint or "")


@pytest.mark.parametrize("how", ["400", "404", "410", "422"])
def test_a_dead_cursor_is_its_own_error(client: Callable[..., Client], how: str) -> None:
    c = client(f"dead_cursor:how={how}")
    assert isinstance(failure(c, PageRequest(after="video_gone:openai")), errors.DeadCursor)


def test_a_job_that_is_gone(client: Callable[..., Client]) -> None:
    c = client()
    with pytest.raises(errors.NotFound) as caught:
        c.gateway.job("video_gone:openai")
    assert caught.value.json_body


def test_a_job_by_id(client: Callable[..., Client]) -> None:
    c = client()
    job_id = c.sim.world.id_at(3)
    page = c.gateway.job(job_id)
    assert job_id.encode() in page.items[0]
    assert c.sim.requests[-1].path == f"/v1/videos/{job_id}"


@pytest.mark.parametrize("fault", [n for n in NAMES if n not in ("stall", "drip", "slow")])
def test_no_error_shows_the_key(
    client: Callable[..., Client], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    c = client(fault, settings={"max_attempts": 2, "max_body": 1 << 20})
    for ask in (lambda: c.gateway.page(PageRequest()), lambda: c.gateway.job("video_gone:openai")):
        try:
            ask()
        except errors.GatewayError as error:
            shown = "".join(traceback.format_exception(error)) + repr(error) + str(error.hint)
            assert CANARY not in shown
            assert error.__cause__ is None or "Authorization" not in repr(vars(error.__cause__))
    assert CANARY not in caplog.text


def test_a_page_comes_as_it_was_sent_whatever_the_key_is(client: Callable[..., Client]) -> None:
    world = World(seed=4, jobs=5, rate=0)
    world.add({"id": "video_echo:openai", "prompt": f"my key is {CANARY}", "model": "sora-2"})
    sent = {"headers": {"X-Model": Secret("sora-2"), "X-Kind": Secret("Team videos")}}
    page = client(world=world, settings=sent).gateway.page(PageRequest())
    body = b"".join(page.items)
    assert f"my key is {CANARY}".encode() in body and b'"model":"sora-2"' in body and b"****" not in body
    assert page.last_id == "video_echo:openai"
