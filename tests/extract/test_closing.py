"""A closed client holds no socket and keeps no thread waiting."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from etl.config import Source
from etl.errors import GatewayError
from etl.extract import GatewayClient
from etl.records import PageRequest
from tests.reliability.raw_gateway import JOBS, Ask, RawGateway, answer, page

THREADS = 20


def client(gateway: RawGateway, **settings: Any) -> GatewayClient:
    values = {"name": "main", "base_url": gateway.base_url, "max_attempts": 1, "concurrency": THREADS}
    return GatewayClient(
        Source(**{**values, **settings}),
        clock=lambda: datetime.now(UTC),
        sleep=lambda seconds: None,
        rng=random.Random(1),
        redact=str,
    )


def sockets_to(gateway: RawGateway) -> int:
    """Open sockets of this process whose other end is the gateway, as the kernel knows them."""
    port = int(gateway.base_url.rpartition(":")[2])
    mine = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own
            mine.add(str(descriptor.readlink()))
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(f"socket:[{row[9]}]" in mine and int(row[2].rpartition(":")[2], 16) == port for row in rows)


def ask_in(threads: int, ask: Callable[[], object]) -> list[threading.Thread]:
    def quietly() -> None:
        try:
            ask()
        except GatewayError:
            return

    started = [threading.Thread(target=quietly, daemon=True) for _ in range(threads)]
    for thread in started:
        thread.start()
    return started


def end(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("status", "settings"),
    [("200 OK", {}), ("500 Oops", {}), ("302 Found", {}), ("200 OK", {"max_body": 100})],
)
def test_no_socket_stays_open_after_close(status: str, settings: dict[str, Any]) -> None:
    together = threading.Barrier(THREADS)

    def reply(ask: Ask) -> bytes:
        together.wait(30)  # so that each thread needs a connection of its own
        return answer(page(ask.listed(JOBS)), status=status)

    with RawGateway(reply) as gateway:
        closing = client(gateway, **settings)
        end(ask_in(THREADS, lambda: closing.page(PageRequest())))
        assert len(gateway.asked) == THREADS
        closing.close()
        assert sockets_to(gateway) == 0


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_a_request_that_stalls_ends_with_its_client(begun: bytes) -> None:
    asked, over = threading.Semaphore(0), threading.Event()

    def reply(ask: Ask) -> Iterable[bytes | None]:
        if begun:
            yield begun
        asked.release()
        over.wait(60)
        yield None

    with RawGateway(reply) as gateway:
        closing = client(gateway, max_attempts=9)
        threads = ask_in(3, lambda: closing.page(PageRequest()))
        for _ in threads:
            assert asked.acquire(timeout=30)
        closing.close()
        end(threads)
        assert sockets_to(gateway) == 0 and len(gateway.asked) == 3
        over.set()
        with pytest.raises(GatewayError, match="closed"):
            closing.page(PageRequest())
