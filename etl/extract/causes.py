"""Why a gateway could not be reached: host, port, the cause in words, and what to do about this cause."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine, RemoteDisconnected
from typing import NamedTuple
from urllib.parse import urlsplit

from urllib3 import exceptions

_NO_WAY = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
_CUT = {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE}
#: What OpenSSL says when the other side does not answer in TLS.
_PLAIN_PORT = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")


class Cause(NamedTuple):
    """`text` names host and port, never a credential; `hint` says what to do."""

    text: str
    hint: str


def cause_of(error: BaseException, base_url: str, proxy: str | None) -> Cause:
    """The cause of an error of requests, urllib3 or a socket. `proxy` is the URL of the one asked, if any."""
    found = list(_error_chain(error))
    through = proxy is not None and any(isinstance(e, exceptions.ProxyError) for e in found)
    place = host_and_port(proxy if through and proxy else base_url)
    who = f"the proxy {place}" if through else place
    certificate = next((e for e in found if isinstance(e, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return _of_certificate(certificate, who)
    if any(isinstance(e, exceptions.NameResolutionError | socket.gaierror) for e in found):
        setting = "proxy" if through else "base_url"
        hint = f"is the host in {setting} spelled right, and does this machine's DNS know it?"
        return Cause(f"{who}: there is no such host name", hint)
    if any(_says_plain(e) for e in found):
        hint = "the port speaks plain HTTP: write http:// instead of https://, or name the port that has TLS"
        return Cause(f"{who}: the answer is not TLS", hint)
    return _of_connection(found, who, through=through)


def _of_connection(found: list[BaseException], who: str, *, through: bool) -> Cause:
    numbers = {e.errno for e in found if isinstance(e, OSError)}
    if errno.ECONNREFUSED in numbers:
        hint = "is the proxy running, and is `proxy` (or HTTPS_PROXY) right?"
        gateway = "nothing listens there: is the port in base_url right, and does the gateway run?"
        return Cause(f"{who}: connection refused", hint if through else gateway)
    if numbers & _NO_WAY:
        return Cause(
            f"{who}: no route to this host", "is the network (or the VPN) up, and the address right?"
        )
    if through:
        return _of_proxy(_innermost_reason(found), who)
    if any(isinstance(e, BadStatusLine) and not isinstance(e, RemoteDisconnected) for e in found):
        hint = "is the port in base_url the gateway's? Something else answers there"
        return Cause(f"{who}: the answer is not HTTP: {_innermost_reason(found)}", hint)
    hint = "is base_url right, does the gateway run, and does it want https:// here?"
    cut = any(isinstance(e, RemoteDisconnected) for e in found) or numbers & _CUT
    said = "the connection was closed without an answer" if cut else _innermost_reason(found)
    return Cause(f"{who}: {said}", hint)


def _of_proxy(said: str, who: str) -> Cause:
    if "failed: 407" in said:
        hint = "write user and password into `proxy` (or HTTPS_PROXY): http://USER:PASSWORD@HOST:PORT"
        return Cause(f"{who}: it asks for user and password", hint)
    return Cause(f"{who}: {said}", "does the proxy let this host pass? check `proxy` or HTTPS_PROXY")


def _of_certificate(error: ssl.SSLCertVerificationError, who: str) -> Cause:
    said = (error.verify_message or str(error)).rstrip(".")
    text = f"{who}: the certificate is refused: {said}"
    if "expired" in said or "not yet valid" in said:
        return Cause(text, "have it renewed; or is this machine's clock wrong?")
    if "mismatch" in said or "not valid for" in said:
        return Cause(text, "base_url must use a name that the certificate has")
    return Cause(text, "the certificate is not trusted: set ca_bundle to the CA's file")


def _says_plain(error: BaseException) -> bool:
    reason = (getattr(error, "reason", None) or "") if isinstance(error, ssl.SSLError) else ""
    return any(word in str(reason) for word in _PLAIN_PORT)


def host_and_port(url: str) -> str:
    """`host:port` of a URL, the scheme's own port included."""
    parts = urlsplit(url)
    host = parts.hostname or url.partition("://")[2]
    return (
        f"{host if ':' not in host else f'[{host}]'}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    )


def _innermost_reason(found: list[BaseException]) -> str:
    """The innermost reason, without the pool's and the request's dressing."""
    said = " ".join(str(found[-1]).split()) if found else ""
    return said[:200] or type(found[-1]).__name__


def _error_chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came from, outermost first."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        first = following.args[0] if following.args else None
        named = getattr(following, "reason", None), getattr(following, "original_error", None)
        inner = [*named, following.__cause__, first, following.__context__]
        following = next((e for e in inner if isinstance(e, BaseException) and id(e) not in seen), None)
