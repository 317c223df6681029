"""PyMySQL's connections, without reading the machine's certificates for each: 30 ms, and nothing is compared
with them as long as the URL asks for no proof of who answers."""

from __future__ import annotations

import functools
import ssl
from typing import Any

from pymysql.connections import Connection


class LightConnection(Connection):  # type: ignore[misc]  # PyMySQL has no types
    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = super()._create_ssl_ctx(sslp) if sslp else _trusting_context()
        return context


@functools.cache
def _trusting_context() -> ssl.SSLContext:
    """TLS where the server has it, with whoever answers: what no `ssl-mode` means to every client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
