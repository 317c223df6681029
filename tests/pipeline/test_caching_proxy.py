"""A proxy or CDN before the gateway answers out of its store: old pages, which say so in headers, if at all.
So does a copy of the gateway's database that lags behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import pytest

from etl.simulator import World
from tests.support.rig import rig

HOUR = 3600.0


class CachingProxy:
    """Stores by address what `upstream` answers, but for jobs read by id. `said` is the header of an answer
    out of the store, if it has one."""

    def __init__(self, said: tuple[str, str] | None, *, ignores_query: bool = False) -> None:
        self.said, self.ignores_query = said, ignores_query
        self.upstream = ""
        self.store: dict[str, bytes] = {}

    def answer(self, path: str, authorization: str) -> tuple[bytes, bool]:
        key = path.partition("?")[0] if self.ignores_query else path
        if key in self.store:
            return self.store[key], True
        asked = Request(f"{self.upstream}{path}", headers={"Authorization": authorization})
        with urlopen(asked) as found:
            body = found.read()
        if "?" in path:
            self.store[key] = body
        return body, False


@contextmanager
def serving(proxy: CachingProxy) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, stored = proxy.answer(self.path, self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if stored and proxy.said:
                self.send_header(*proxy.said)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "said",
    [("Age", "37"), ("X-Cache", "HIT from proxy"), ("CF-Cache-Status", "STALE"), None],
    ids=lambda said: said[0] if said else "silent",
)
def test_a_reconcile_of_stored_pages_unlists_nothing(said: tuple[str, str] | None, database_url: str) -> None:
    proxy, world = CachingProxy(said), World(seed=41, jobs=250, rate=0)
    with serving(proxy) as address, rig(world, database_url, settings={"base_url": address}) as r:
        proxy.upstream = r.sim.base_url
        r.ok()
        assert r.reconcile().status == "ok"
        old = dict(proxy.store)
        world.advance(HOUR)
        new = [world.add({"prompt": "new"}) for _ in range(5)]
        proxy.store.clear()
        r.ok()
        assert set(new) <= set(r.jobs())
        proxy.store.clear()
        proxy.store.update(old)
        result = r.reconcile()
        assert result.status == "ok", result.error
        assert len(r.listed()) == 255
        if said:
            assert any(not page["accepted"] for page in r.rows("list_pages"))


def test_what_is_deleted_at_the_new_end_is_unlisted(database_url: str) -> None:
    world = World(seed=43, jobs=120, rate=0)
    with rig(world, database_url) as r:
        r.ok()
        jobs = r.jobs()
        gone = sorted(jobs, key=lambda i: jobs[i]["list_position"])[-4:]
        for job_id in gone:
            world.delete(job_id)
        assert r.reconcile().status == "ok"
        assert set(jobs) - set(r.listed()) == set(gone)


def test_where_only_stored_pages_come_a_sync_fails_by_name(database_url: str) -> None:
    proxy, world = CachingProxy(("Age", "5"), ignores_query=True), World(seed=42, jobs=50, rate=0)
    with serving(proxy) as address, rig(world, database_url, settings={"base_url": address}) as r:
        proxy.upstream = r.sim.base_url
        r.sync()
        world.advance(HOUR)
        world.add({"prompt": "new"})
        result = r.sync()
        assert type(result.error).__name__ == "StalePage"
        assert "proxy or CDN" in str(result.error.hint)  # type: ignore[union-attr]
