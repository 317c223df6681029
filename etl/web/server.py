"""uvicorn in a thread. Signals stay the business of the program around it."""

from __future__ import annotations

import logging
import socket
import threading
from types import TracebackType

import uvicorn
from starlette.applications import Starlette

from etl.errors import ConfigError
from etl.web.connections import PatientProtocol, affordable_connections, limit_log

#: Connections that wait to be accepted; asyncio opens as many at once before it looks at any of them.
_BACKLOG = 64


class WebServer:
    """Listens from `with` on; `port` is the real one when 0 was asked for. Raises ConfigError when taken.

    `protocol` speaks HTTP and decides how long a client is waited for.
    """

    def __init__(
        self, app: Starlette, host: str, port: int, protocol: type[PatientProtocol] | None = None
    ) -> None:
        self.host = host
        self._socket = _listen_on(host, port)
        self.port: int = self._socket.getsockname()[1]
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # the service says when it starts
        limit_log()
        config = uvicorn.Config(
            app,
            http=protocol or _affordable_protocol(),
            backlog=_BACKLOG,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def __enter__(self) -> WebServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()

    def _run(self) -> None:
        # In a thread that is not the main one uvicorn leaves signal handlers alone.
        self._server.run(sockets=[self._socket])


def _affordable_protocol() -> type[PatientProtocol]:
    return type("AffordableProtocol", (PatientProtocol,), {"most_connections": affordable_connections()})


def _listen_on(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="does another service use this port? Set service.port; 0 takes any free one",
        ) from None
