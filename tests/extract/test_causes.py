"""Each way of not reaching a gateway is told by its cause, with host and port, and by what to do."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from etl.config import Secret, SecretUrl, Source
from etl.errors import Unreachable
from etl.extract.http import Transport
from tests.conftest import unavailable

PASSWORD = "canary-70b1"


def told(base_url: str, **settings: Any) -> tuple[str, str]:
    transport = Transport(Source(name="a", base_url=base_url, api_key=Secret("k" * 20), **settings))
    try:
        with pytest.raises(Unreachable) as caught:
            transport.get("/v1/videos", {}, "GET /v1/videos")
    finally:
        transport.close()
    return str(caught.value), str(caught.value.hint)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def test_refused():
    port = free_port()
    text, hint = told(f"http://127.0.0.1:{port}")
    assert text == f"GET /v1/videos: 127.0.0.1:{port}: connection refused"
    assert "nothing listens there" in hint and "base_url" in hint


def test_no_such_name():
    text, hint = told("http://gateway.invalid")
    assert text == "GET /v1/videos: gateway.invalid:80: there is no such host name"
    assert "spelled right" in hint


def test_tls_spoken_to_a_plain_port():
    with one_visitor(lambda client: client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        text, hint = told(f"https://127.0.0.1:{port}")
    assert text == f"GET /v1/videos: 127.0.0.1:{port}: the answer is not TLS"
    assert "write http:// instead of https://" in hint


def test_http_spoken_to_a_tls_port_or_to_nobody_who_answers():
    with one_visitor(lambda client: client.shutdown(socket.SHUT_RDWR)) as port:
        text, hint = told(f"http://127.0.0.1:{port}")
    assert text == f"GET /v1/videos: 127.0.0.1:{port}: the connection was closed without an answer"
    assert "https://" in hint


def test_another_protocol_on_the_port():
    with one_visitor(lambda client: client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as port:
        text, hint = told(f"http://127.0.0.1:{port}")
    assert text.endswith(f"127.0.0.1:{port}: the answer is not HTTP: SSH-2.0-OpenSSH_9.2")
    assert "Something else answers" in hint


def test_a_proxy_that_wants_a_password():
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with one_visitor(lambda client: client.sendall(answer)) as port:
        text, hint = told("https://gateway.invalid", proxy=SecretUrl(f"http://127.0.0.1:{port}"))
    assert text == f"GET /v1/videos: the proxy 127.0.0.1:{port}: it asks for user and password"
    assert "http://USER:PASSWORD@HOST:PORT" in hint


def test_a_proxy_that_is_not_there_is_named_without_its_password():
    port = free_port()
    text, hint = told("http://gateway.invalid", proxy=SecretUrl(f"http://u:{PASSWORD}@127.0.0.1:{port}"))
    assert f"the proxy 127.0.0.1:{port}: connection refused" in text
    assert "`proxy`" in hint and PASSWORD not in text + hint


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of `localhost` in one file, signed by nobody."""
    if shutil.which("openssl") is None:
        unavailable("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*made, "-keyout", "k.pem", "-out", "c.pem"], cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "c.pem").read_text() + (folder / "k.pem").read_text())
    return both


@contextmanager
def handshakes(certificate: Path) -> Iterator[int]:
    """A port on which TLS is spoken, and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with one_visitor(lambda client: context.wrap_socket(client, server_side=True).close()) as port:
        yield port


@contextmanager
def one_visitor(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port on which the first visitor is answered like this."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                client, _ = server.accept()
                with client:
                    client.recv(1, socket.MSG_PEEK)  # it has said something
                    answer(client)
                    client.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        thread.join()


def test_a_certificate_that_nobody_vouches_for(certificate: Path):
    with handshakes(certificate) as port:
        text, hint = told(f"https://localhost:{port}")
    assert f"localhost:{port}: the certificate is refused: self-signed certificate" in text
    assert "ca_bundle" in hint


def test_a_certificate_of_another_name(certificate: Path):
    with handshakes(certificate) as port:
        text, hint = told(f"https://127.0.0.1:{port}", ca_bundle=certificate)
    assert f"127.0.0.1:{port}: the certificate is refused" in text
    assert "a name that the certificate has" in hint
