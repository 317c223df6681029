"""The service ends when it is told to, and not before, whatever it waits for just then."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.simulator import Simulator, World
from tests.support import command, running
from tests.support.databases import Server
from tests.support.running import TOKEN, Service, configure, source

pytestmark = pytest.mark.slow

#: The process is sent SIGHUP when it begins to load each of these modules.
_HUNG_UP = """
import signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name in {modules!r}:
            signal.raise_signal(signal.SIGHUP)
sys.meta_path.insert(0, Finder())
from etl.cli import main
sys.exit(main())
"""


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(World(seed=5, jobs=30, start=time.time(), rate=60.0), token=TOKEN) as gateway:
        yield gateway


def test_a_hangup_while_it_starts_is_a_reload(
    tmp_path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch
):
    configure(tmp_path, f"sqlite:///{tmp_path / 'etl.db'}", [source(sim)])
    script = _HUNG_UP.format(
        modules=("etl.cli.errors", "etl.cli.root", "etl.config", "etl.scheduler", "etl.web.app")
    )
    monkeypatch.setattr(running, "PROGRAM", [command.PROGRAM[0], "-c", script])
    with Service(tmp_path) as service:
        service.event("reloaded")
        service.event("run_finished", source="main")
        service.signal(signal.SIGTERM)
        assert service.wait() == 0, service.output


class Silent:
    """A way to a server on which, from `fall_silent` on, nothing travels and nothing is closed."""

    def __init__(self, port: int) -> None:
        self._target, self._silent = ("127.0.0.1", port), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._kept: list[socket.socket] = [self._listener]
        self.asked = threading.Semaphore(0)

    def __enter__(self) -> Silent:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._kept:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def fall_silent(self) -> None:
        self._silent.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._target)
                self._kept += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, reading: socket.socket, writing: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := reading.recv(65536):
                if self._silent.is_set():
                    self.asked.release()
                    continue
                writing.sendall(piece)
            writing.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("every", ["500ms", "1h"])
@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_database_that_hangs_does_not_hold_up_the_stop(
    tmp_path: Path, sim: Simulator, kind: str, every: str, request: pytest.FixtureRequest
):
    """While a run asks it, and while only the look at other processes' leases does."""
    server: Server = request.getfixturevalue(kind)
    name = f"silent_{kind}_{every}"
    server.drop(name)
    url = server.create(name)
    with Silent(int(url.rpartition("/")[0].rpartition(":")[2])) as way:
        through = url.replace(f":{way._target[1]}/", f":{way.port}/")
        configure(
            tmp_path,
            through,
            [source(sim, schedule={"every": every})],
            lease={"seconds": "5s"},
            service={"shutdown_timeout": "6s"},
        )
        with Service(tmp_path) as service:
            service.event("run_finished", source="main", status="ok")
            way.fall_silent()
            assert way.asked.acquire(timeout=running.PATIENCE)
            service.signal(signal.SIGTERM)
            service.event("stopping")
            assert service.wait() in (0, 1), service.output
    server.drop(name)


def test_a_stop_is_heard_during_a_reload_that_hangs(tmp_path: Path, sim: Simulator):
    """The new configuration names a database that takes connections and says nothing."""
    configure(tmp_path, f"sqlite:///{tmp_path / 'etl.db'}", [source(sim)], service={"shutdown_timeout": "3s"})
    mute = socket.create_server(("127.0.0.1", 0))
    with mute, Service(tmp_path) as service:
        service.event("run_finished", source="main", status="ok")
        url = f"postgresql://etl@127.0.0.1:{mute.getsockname()[1]}/etl?connect_timeout=1000"
        configure(tmp_path, url, [source(sim)])
        service.signal(signal.SIGHUP)
        taken = mute.accept()[0]
        service.signal(signal.SIGTERM)
        assert service.wait() == 1, service.output
        assert service.events("leaving", after_seconds=3.0)
        taken.close()


def test_the_dashboard_ends_while_a_page_waits_for_the_database(tmp_path: Path, sim: Simulator):
    mute = socket.create_server(("127.0.0.1", 0))
    with mute:
        url = f"postgresql://etl@127.0.0.1:{mute.getsockname()[1]}/etl?connect_timeout=1000"
        configure(tmp_path, url, [source(sim)])
        process = command.Command(tmp_path).start("dashboard", "--port", "0", PYTHONUNBUFFERED="1")
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        host, _, port = address.removeprefix("http://").strip("/").partition(":")
        with socket.create_connection((host, int(port)), running.PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with mute.accept()[0]:
                process.send_signal(signal.SIGTERM)
                try:
                    assert process.wait(running.PATIENCE) == 0
                finally:
                    process.kill()
                    process.communicate()
