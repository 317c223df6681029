"""HTTP by requests: one pool of connections, lean per request, and one seam where its errors are ours."""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

import requests
import urllib3
from msgspec.structs import replace
from requests.adapters import HTTPAdapter
from urllib3 import exceptions

from etl.config import Source
from etl.config.profiles import ProfileName
from etl.errors import ConfigError, GarbledAnswer, GatewayError, TimedOut, Unreachable
from etl.extract.bodies import CUT, read_body
from etl.extract.causes import cause_of, host_and_port
from etl.extract.patience import Connections, with_time_limit

#: A body may take this many read timeouts altogether, however steadily it drips.
_PATIENCE = 4
#: Pins a request to one of the provider's keys.
KEY_NAME = "x-bf-api-key"
#: The answer, and the answer as a proxy on the way has put it (203, RFC 9110, 15.3.4).
WHOLE = (200, 203)
#: Seconds to wait for an answer, longer than the gateway waits for its provider: 30 s, and 300 s from 2.0 on.
READ_TIMEOUT, READ_TIMEOUT_2 = 60.0, 310.0


class Reply(NamedTuple):
    """An answer, whole. Header names are case-insensitive; `seconds` is the time it took; `asked_with` counts
    the keys that had been in use before the one it was asked with."""

    status: int
    headers: Any
    body: bytes
    seconds: float
    asked_with: int = 0


class Transport:
    """Sends GET requests for one source. Thread-safe."""

    def __init__(self, source: Source, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._source, self._monotonic = source, monotonic
        self._patience = source.read_timeout or READ_TIMEOUT
        size = max(4, source.concurrency, source.first_load_lanes) + 2
        # A session would read redirects' bodies, keep cookies, and look for .netrc and proxies each time.
        self._adapter: Any = HTTPAdapter(pool_connections=2, pool_maxsize=size)
        self._options: dict[str, Any] = {
            "headers": dict(_source_headers(source)),
            "timeout": urllib3.Timeout(connect=source.connect_timeout, read=self._patience),
            "redirect": False,
            "retries": urllib3.Retry.from_int(False, redirect=False),  # read once, not for every page
            "preload_content": False,
            "decode_content": False,
            "assert_same_host": False,
        }
        self._opened: tuple[Any, str] | None = None
        self._connections, self._closed = Connections(), False
        self._keys, self._renewing = 0, threading.Lock()
        self.on_reply: Callable[[str, dict[str, str], Reply], None] | None = None

    def expect_version_2(self) -> None:
        """From now on answers may take as long as that gateway waits, unless read_timeout is set."""
        if self._source.read_timeout is None:
            self._patience = READ_TIMEOUT_2
            patient = urllib3.Timeout(connect=self._source.connect_timeout, read=self._patience)
            self._options = {**self._options, "timeout": patient}

    def renew(self, refused: Reply) -> bool:
        """Reads secrets that stand in files again; True when it is worth asking again: one has changed since
        the request was sent. Of many requests that are refused at once, one reads."""
        with self._renewing:
            if refused.asked_with != self._keys:
                return True
            try:
                fresh = self._source.renewed()
            except ConfigError:  # its command fails: the refusal stands
                return False
            headers = dict(_source_headers(fresh))
            if headers == self._options["headers"]:
                return False
            self._source, self._options = fresh, {**self._options, "headers": headers}
            self._keys += 1
            return True

    def ask_as(self, profile: ProfileName) -> None:
        """From now on the source is asked as this kind of server."""
        self._source = replace(self._source, profile=profile)
        self._options = {**self._options, "headers": dict(_source_headers(self._source))}

    @property
    def secrets(self) -> list[str]:
        """The secrets of the source as it is asked for now."""
        return self._source.secrets()

    def get(
        self,
        path: str,
        query: dict[str, str],
        where: str,
        request_id: str | None = None,
        *,
        key: str | None = None,
    ) -> Reply:
        """`request_id` names the request in the gateway's log; `key` the gateway's key that shall answer. Any
        status is an answer.

        Raises Unreachable, TimedOut, GarbledAnswer; GatewayError when closed."""
        if self._closed:  # a thread that was left behind must not begin anew
            raise GatewayError(f"{where}: this client is closed")
        begun, asked_with = self._monotonic(), self._keys  # read before the headers: at worst it is older
        try:
            pool, begin = self._opened or self._open_pool()
            prefix = begin + self._source.below
            target = (
                f"{prefix}{path}?{urlencode(query, errors='surrogatepass')}" if query else f"{prefix}{path}"
            )
            more = {"x-request-id": request_id, KEY_NAME: key}
            response = self._send_request(
                pool, target, {name: value for name, value in more.items() if value}
            )
            body = self._read_body(response, where, begun)
            reply = Reply(response.status, response.headers, body, self._monotonic() - begun, asked_with)
        except (requests.RequestException, exceptions.HTTPError, OSError) as error:
            translated = _translate_error(error, where, self._source)
        else:
            if self.on_reply is not None:
                self.on_reply(path, query, reply)
            return reply
        # Raised out here: as its context, the foreign error would carry the request and its key along.
        raise translated

    def _send_request(self, pool: Any, target: str, more: dict[str, str]) -> Any:
        options = self._options
        if more:
            options = {**options, "headers": {**options["headers"], **more}}
        try:
            return pool.urlopen("GET", target, **options)
        except exceptions.ProtocolError as error:
            raise ConnectionError(_plain_reason(error)) from None  # before any body: nothing was cut short

    def _open_pool(self) -> tuple[Any, str]:
        """The pool as requests sets it up (TLS, proxy), and what base_url says before a path.

        Pages are asked of the pool itself: `HTTPAdapter.send` costs as much as all the rest of a page.
        """
        source, verify = self._source, _verify_setting(self._source)
        certificate, proxies = (
            str(source.client_cert) if source.client_cert else None,
            _proxy_settings(source),
        )
        request = requests.Request("GET", source.base_url).prepare()
        pool = self._adapter.get_connection_with_tls_context(
            request, verify, proxies=proxies, cert=certificate
        )
        allowed = _PATIENCE * source.read_timeout if source.read_timeout else READ_TIMEOUT_2 + 10
        pool.ConnectionCls = with_time_limit(
            pool.ConnectionCls, allowed, self._monotonic, self._connections.add
        )
        self._adapter.cert_verify(pool, source.base_url, verify, certificate)
        self._opened = pool, self._adapter.request_url(request, proxies).rstrip("/")
        return self._opened

    def close(self) -> None:
        """Closes every connection, those that other threads are waiting on included: their requests fail."""
        self._closed = True
        if self._opened is not None:
            self._opened[0].close()  # the adapter only forgets its pools; whoever holds one keeps its sockets
        self._adapter.close()
        self._connections.shut()

    def _read_body(self, response: Any, where: str, begun: float) -> bytes:
        """The whole body; its connection goes back to the pool, or is closed with what is left in it."""
        if response.status < 200:  # 101: what follows on this connection is no HTTP
            response.close()
            return b""
        try:
            body = self._read_pieces(response, where, begun)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return body

    def _read_pieces(self, response: Any, where: str, begun: float) -> bytes:
        deadline = begun + _PATIENCE * self._patience

        def on_piece() -> None:
            if self._monotonic() > deadline:
                hint = "read_timeout bounds the whole answer too: a body may take four times as long"
                raise TimedOut(f"{where}: the body came too slowly and was given up", hint=hint)

        try:
            return read_body(response, self._source.max_body, where, on_piece)
        except GarbledAnswer:
            if response.status in WHOLE:
                raise
            response.close()
            return b""  # a broken error page says no less than its status


def _translate_error(error: Exception, where: str, source: Source) -> GatewayError:
    place = host_and_port(source.base_url)
    text = f"{where}: {place}: {type(error).__name__}: {_plain_reason(error)}"
    if isinstance(error, exceptions.ConnectTimeoutError) and not isinstance(
        error, exceptions.NewConnectionError
    ):
        return TimedOut(text, hint="nothing answers at this address within connect_timeout")
    if isinstance(error, exceptions.ReadTimeoutError | TimeoutError) and "handshake" in text:
        return TimedOut(
            text, hint="the answer is not TLS: if this port speaks plain HTTP, write http:// in base_url"
        )
    if isinstance(error, exceptions.ReadTimeoutError | TimeoutError):
        return TimedOut(
            text, hint="read_timeout must exceed the gateway's own timeout: 30 s, from 2.0 on 300 s"
        )
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return Unreachable(text, hint="`proxy` (or HTTPS_PROXY) is not a usable address")
    if isinstance(error, exceptions.ProtocolError):
        text = f"{where}: truncated: the connection ended before the body did"
        return GarbledAnswer(text, hint=CUT)
    scheme = source.base_url.partition(":")[0]
    cause = cause_of(error, source.base_url, _proxy_settings(source).get(scheme))
    return Unreachable(f"{where}: {cause.text}", hint=cause.hint)


def _plain_reason(error: BaseException) -> str:
    """The innermost reason, without the pool's and the request's dressing."""
    reason = getattr(error, "reason", None) or error.__cause__ or (error.args[0] if error.args else None)
    if isinstance(reason, BaseException) and reason is not error:
        return _plain_reason(reason)
    return " ".join(str(error).split())[:200]


def header_names(source: Source) -> list[str]:
    """Names of the headers that are sent for this source, in lower case."""
    return sorted(name.lower() for name in _source_headers(source))


def _source_headers(source: Source) -> Any:
    headers = requests.structures.CaseInsensitiveDict(
        {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "bifrost-etl",
            "Cache-Control": "no-cache",
        }
    )
    key = source.api_key or source.virtual_key
    if source.username is not None and source.password is not None:
        credentials = f"{source.username}:{source.password.reveal()}".encode()  # UTF-8 (RFC 7617)
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    elif key is not None and source.asked_as.key_header is not None:
        headers[source.asked_as.key_header] = key.reveal()
    elif key is not None:
        headers["Authorization"] = f"{source.asked_as.scheme} {key.reveal()}"
    if source.asked_as.provider == "header":
        headers["custom-llm-provider"] = source.provider or "openai"
    if source.virtual_key is not None:
        headers["x-bf-vk"] = source.virtual_key.reveal()
    if source.key_name is not None:
        headers[KEY_NAME] = source.key_name
    if source.key_id is not None:
        headers["x-bf-api-key-id"] = source.key_id
    if source.raw_payloads == "store":
        headers["x-bf-send-back-raw-response"] = "true"
    for name, value in source.headers.items():
        headers[name] = value.reveal()
    return headers


def _verify_setting(source: Source) -> bool | str:
    if not source.verify_tls:
        return False
    given = source.ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return str(given) if given else True


def _proxy_settings(source: Source) -> dict[str, str]:
    if source.proxy is not None:
        proxy = source.proxy.reveal()
        return {"http": proxy, "https": proxy}
    found: dict[str, str] = requests.utils.get_environ_proxies(f"{source.base_url}/", no_proxy=None)
    return found
