"""HTTP/1.1 with keep-alive on a bare asyncio.Protocol, and a Simulator that runs it in a thread."""

import asyncio
import socket
import struct
import threading
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, NamedTuple, Self

from etl.simulator import control
from etl.simulator.fault import Fault
from etl.simulator.faults import make_fault, parse_fault
from etl.simulator.gateway import Gateway
from etl.simulator.replay import Replay
from etl.simulator.wire import Request, Response
from etl.simulator.world import World

LOG_SIZE = 200_000
REASONS = {status.value: status.phrase for status in HTTPStatus}


class Logged(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Connection(asyncio.Protocol):
    """One client's connection: requests are answered in order, one at a time."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._busy: asyncio.TimerHandle | bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if isinstance(self._busy, asyncio.TimerHandle):
            self._busy.cancel()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._read_next()

    def close(self) -> None:
        if self._transport:
            self._transport.abort()

    def _read_next(self) -> None:
        while not self._busy and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            request = read_request(self._buffer[:end])
            length = end + 4 + int(request.headers.get("content-length", 0))
            if len(self._buffer) < length:
                return
            self._buffer = self._buffer[length:]
            self._answer_request(request)

    def _answer_request(self, request: Request) -> None:
        gateway = self._server.gateway
        self._server.note(request)
        controls = request.path.startswith("/_sim/")
        if controls and isinstance(gateway, Gateway):
            response = control.answer_control(gateway, request)
        else:
            response = gateway.handle(request)
        wait = 0.0 if controls else gateway.latency
        if response.delivery == "stall":
            wait += response.amount or 1e9
        elif response.delivery == "slow":
            wait += response.amount
        close = request.headers.get("connection", "").lower() == "close"
        if wait:
            loop = asyncio.get_running_loop()
            self._busy = loop.call_later(wait, self._answer_late, response, close)
        else:
            self._send_response(response, close)

    def _answer_late(self, response: Response, close: bool) -> None:
        self._busy = False
        self._send_response(response, close)
        self._read_next()

    def _send_response(self, response: Response, close: bool) -> None:
        transport = self._transport
        if transport is None:
            return
        if response.delivery == "reset":
            # Without lingering the kernel sends RST, not a polite FIN.
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            transport.abort()
            return
        head = self._server.head(response, close)
        if response.delivery == "truncated":
            transport.write(head + response.body[: len(response.body) // 2])
            transport.close()
        elif response.delivery == "drip":
            transport.write(head)
            self._drip_body(response, 0)
        else:
            transport.write(head + response.body)
            if close:
                transport.close()

    def _drip_body(self, response: Response, sent: int) -> None:
        """A tenth of the body at a time, `amount` seconds apart."""
        piece = max(1, len(response.body) // 10)
        if self._transport is None:
            return
        self._transport.write(response.body[sent : sent + piece])
        if sent + piece >= len(response.body):
            self._busy = False
            self._read_next()
            return
        wait = response.amount or 0.05
        self._busy = asyncio.get_running_loop().call_later(wait, self._drip_body, response, sent + piece)


def read_request(head: bytes) -> Request:
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    return Request.to(target, headers, method)


class Server:
    """Listens on one loopback port for one gateway."""

    def __init__(self, gateway: Gateway | Replay) -> None:
        self.gateway = gateway
        self.requests: list[Logged] = []
        self.connections: set[Connection] = set()
        self._date = (0, "")

    async def listen(self, port: int, host: str = "127.0.0.1") -> tuple[asyncio.Server, int]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), host, port)
        return server, server.sockets[0].getsockname()[1]

    def note(self, request: Request) -> None:
        if len(self.requests) >= LOG_SIZE:
            del self.requests[: LOG_SIZE // 2]
        self.requests.append(Logged(*request))

    def head(self, response: Response, close: bool) -> bytes:
        lines = [
            f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}",
            *([] if "Date" in response.headers else [f"Date: {self._http_date(response.skew)}"]),
            *([f"Content-Type: {response.kind}"] if response.kind else []),
            f"Content-Length: {len(response.body)}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
        ]
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _http_date(self, skew: float) -> str:
        """The machine's time, not the simulated one: a client compares it with its own clock."""
        now = int(time.time())
        if skew:
            return formatdate(now + skew, usegmt=True)
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True))
        return self._date[1]


class Serving:
    """Serves a gateway on a free loopback port, in a daemon thread."""

    def __init__(self, gateway: Gateway | Replay, port: int = 0) -> None:
        self._server = Server(gateway)
        self._wanted, self.port = port, 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Logged]:
        """What was asked, oldest first: (method, path, query, headers). Control requests included."""
        return self._server.requests

    def start(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error:
            raise self._error
        return self

    def stop(self) -> None:
        if self._loop and self._done and self._thread and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as exc:
            self._error = exc
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        listener, self.port = await self._server.listen(self._wanted)
        self._ready.set()
        await self._done.wait()
        await close_server(listener, self._server)


class Simulator(Serving):
    """A simulated gateway. Options: see Gateway.

    with Simulator(World(seed=1), token="secret") as sim:
        requests.get(sim.base_url + "/v1/videos?provider=openai")
    """

    def __init__(
        self, world: World, *, faults: "list[str] | tuple[str, ...]" = (), port: int = 0, **options: Any
    ) -> None:
        self.world = world
        self.gateway = Gateway(world, **options)
        super().__init__(self.gateway, port)
        for spec in faults:
            self.fault(spec)

    def advance(self, seconds: float) -> float:
        return self.world.advance(seconds)

    def fault(self, spec: str, **args: object) -> Fault:
        """Add a fault: its text, or its name and arguments."""
        return self.gateway.faults.add(make_fault(spec, args) if args else parse_fault(spec))

    def clear_faults(self) -> None:
        self.gateway.faults.clear()


async def close_server(listener: asyncio.Server, server: Server) -> None:
    listener.close()
    for connection in list(server.connections):
        connection.close()
    await asyncio.sleep(0)
