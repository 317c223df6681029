"""TLS to MariaDB: taken where the server has it, without certificates that nothing is compared with."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl.db.engine import make_engine
from etl.db.mysql_driver import LightConnection
from tests.conftest import unavailable
from tests.support.databases import Missing, Server, mariadb_server


def test_a_connection_reads_no_certificates(mariadb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_context: Any, *_: Any) -> None:
        pytest.fail("30 ms for each connection")

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", read)
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", read, raising=False)
    engine = make_engine(mariadb.create("light"))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
    engine.dispose()
    mariadb.drop("light")


def test_pymysql_still_asks_here_for_its_context() -> None:
    """A newer one may name it otherwise: then certificates are read again, and this says so."""
    assert "_create_ssl_ctx" in vars(LightConnection.__base__)


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the server's own account can read: pytest's are for us alone."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.slow
def test_tls_is_taken_where_the_server_has_it_and_checked_where_the_url_says_so(folder: Path) -> None:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=db"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    key.chmod(0o644)
    try:
        with mariadb_server(f"--ssl-cert={certificate}", f"--ssl-key={key}") as server:
            _try_each(server.create("tls"), certificate)
    except Missing as missing:
        unavailable(str(missing))


def _try_each(url: str, certificate: Path) -> None:
    assert _cipher(url) and _cipher(f"{url}?ssl-mode=REQUIRED")
    assert _cipher(f"{url}?ssl-mode=VERIFY_CA&ssl_ca={certificate}")
    assert not _cipher(f"{url}?ssl-mode=DISABLED")
    with pytest.raises(sa.exc.OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
        _cipher(f"{url}?ssl-mode=VERIFY_CA")


def _cipher(url: str) -> str:
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return str(connection.execute(sa.text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1])
    finally:
        engine.dispose()
