"""Serves a world of benchmarks.worlds: `python -m benchmarks.world_gateway WORLD JOBS LATENCY_MS TOKEN`.

Every item is rendered before it listens. `GET /change` changes every tenth job and says how many. It ends
when standard input does.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from typing import Any, cast

from benchmarks.worlds import World
from etl.simulator.gateway import Gateway
from etl.simulator.server import Server
from etl.simulator.wire import Request, Response

_LIST = "/v1/videos"


class WorldGateway:
    """Answers as the simulator's Gateway does; `latency` in seconds is the server's to wait."""

    def __init__(self, world: World, latency: float, token: str) -> None:
        self.latency = latency
        self._world, self._token = world, f"Bearer {token}"

    def handle(self, request: Request) -> Response:
        if request.path == "/change":
            return Response(200, b"%d" % self._world.change())
        if request.headers.get("authorization", request.headers.get("Authorization")) != self._token:
            return _error(401, "Unauthorized")
        try:
            return Response(200, self._body(request))
        except KeyError:
            return _error(404, "no such video")

    def _body(self, request: Request) -> bytes:
        if request.path != _LIST:
            return self._world.job(request.path.removeprefix(f"{_LIST}/"))
        query: Any = request.query
        limit = min(100, int(query.get("limit") or 20))
        return self._world.body(query.get("after") or None, query.get("order") or "desc", limit)


def _error(status: int, message: str) -> Response:
    return Response(status, json.dumps({"is_bifrost_error": False, "error": {"message": message}}).encode())


async def serve(gateway: WorldGateway) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    threading.Thread(target=_watch_stdin, args=(loop, done), daemon=True).start()
    listener, port = await Server(cast("Gateway", gateway)).listen(0)
    print(f"listening on http://127.0.0.1:{port}", flush=True)
    await done.wait()
    listener.close()


def _watch_stdin(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    while os.read(0, 1024):
        pass
    loop.call_soon_threadsafe(done.set)


if __name__ == "__main__":
    name, jobs, latency_ms, token = sys.argv[1:5]
    world = World(name, int(jobs), int(time.time()))
    asyncio.run(serve(WorldGateway(world, int(latency_ms) / 1000, token)))
