"""The gateway's own log, `GET /api/logs`: who asked for which job. Rows leave here undecoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from etl.config import Source
from etl.errors import GarbledAnswer, Unauthorized
from etl.extract import gateway_errors
from etl.extract.http import WHOLE, Reply, Transport
from etl.extract.retry import Retry
from etl.json_parts import exceeds_parts
from etl.log_records import MAKING

PATH = "/api/logs"
#: Requests that make, settle or read a job; a settler's rows may be called any of them.
OBJECTS = ",".join((*MAKING, "video_retrieve"))
_HINT = "is this a Bifrost whose log is switched on, and does logs_url (or base_url) lead to its dashboard?"
_ADMIN = "the log is open to the dashboard's administrator only: set logs_username and logs_password"


@dataclass(frozen=True, slots=True)
class LogPage:
    """Rows as bytes, in the order of time. `limit` is what the gateway says it kept to, or what was asked.

    `began` is a moment by the gateway's clock at which the answer was complete; ours without a Date header.
    """

    rows: tuple[bytes, ...]
    limit: int
    began: datetime


class _Pagination(msgspec.Struct):
    limit: Any = None


class _Body(msgspec.Struct):
    logs: list[msgspec.Raw] | None
    pagination: _Pagination | None = None


#: Members and elements of one page of the log.
_MAX_PARTS = 1_000_000
_decode = msgspec.json.Decoder(_Body).decode


def log_settings(source: Source) -> Source:
    """The source as the log is asked: at its address, with its credentials, and with no key of the list's."""
    username, password = source.logs_username, source.logs_password
    if username is None and source.logs_token is None:
        username, password = source.username, source.password
    return replace(
        source,
        base_url=source.logs_url or source.base_url,
        username=username,
        password=password,
        api_key=source.logs_token,
        api_key_command=None,
        profile="bifrost",
        virtual_key=None,
        key_name=None,
        key_id=None,
    )


class LogClient:
    """Asks the log of one source's gateway. Thread-safe.

    `wait` keeps the source's rate, `sent` counts requests, `date` reads an answer's Date header.
    """

    def __init__(
        self,
        source: Source,
        *,
        retry: Retry,
        wait: Callable[[], None],
        sent: Callable[[], None],
        clock: Callable[[], datetime],
        date: Callable[[Reply], datetime | None],
        redact: Callable[[str], str],
    ) -> None:
        self._source, self._transport = source, Transport(log_settings(source))
        self._retry, self._wait, self._sent = retry, wait, sent
        self._clock, self._date, self._redact = clock, date, redact

    def close(self) -> None:
        self._transport.close()

    def page(
        self, since: datetime | None, offset: int = 0, *, limit: int, attempts: int | None = None
    ) -> LogPage:
        """Rows from `since` on (to the second), oldest first, but for the first `offset`.

        Raises GatewayError."""
        query = {"objects": OBJECTS, "sort_by": "timestamp", "order": "asc", "limit": str(limit)}
        if self._source.provider is not None:
            query["providers"] = self._source.provider
        if self._source.key_id is not None:
            query["selected_key_ids"] = self._source.key_id
        if since is not None:
            query["start_time"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if offset:
            query["offset"] = str(offset)
        where = f"GET {PATH} (source {self._source.name})"

        def once() -> LogPage:
            reply = self._send_request(PATH, query, where)
            body = _decode_body(reply, where)
            kept = body.pagination.limit if body.pagination is not None else None
            said = kept if type(kept) is int and 0 < kept < limit else limit
            return LogPage(tuple(map(bytes, body.logs or ())), said, self._date(reply) or self._clock())

        return self._retry.call(once, attempts=attempts)[0]

    def row(self, request_id: str) -> bytes:
        """One row with all that it tells. Raises NotFound when it is gone, and the rest of GatewayError."""
        where = f"GET {PATH}/ID (source {self._source.name})"
        path = f"{PATH}/{quote(request_id, safe='')}"

        def once() -> bytes:
            reply = self._send_request(path, {}, where, by_id=True)
            _check_json(reply, where)
            return reply.body

        return self._retry.call(once)[0]

    def _send_request(self, path: str, query: dict[str, str], where: str, *, by_id: bool = False) -> Reply:
        self._wait()
        self._sent()
        reply = self._transport.get(path, query, where)
        if reply.status in (401, 403) and self._transport.renew(
            reply
        ):  # the password's file was replaced meanwhile
            self._sent()
            reply = self._transport.get(path, query, where)
        if reply.status in WHOLE:
            return reply
        answer = gateway_errors.ErrorReply(reply.status, reply.body, None, where, None, by_id)
        error = gateway_errors.error_of(answer, self._redact)
        error.hint = _ADMIN if isinstance(error, Unauthorized) else error.hint
        raise error


def _decode_body(reply: Reply, where: str) -> _Body:
    _check_json(reply, where)
    if exceeds_parts(reply.body, _MAX_PARTS):
        text = f"{where}: the log's page is too much to decode: more than {_MAX_PARTS:,} members and elements"
        raise GarbledAnswer(text, status=200, hint=_HINT, hopeless=True)
    try:
        return _decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    raise GarbledAnswer(f"{where}: JSON, but not a page of the log", status=200, hint=_HINT, hopeless=True)


def _check_json(reply: Reply, where: str) -> None:
    if reply.body.lstrip()[:1] != b"{":
        raise GarbledAnswer(f"{where}: did not answer with JSON", status=200, hint=_HINT, hopeless=True)


__all__ = ["LogClient", "LogPage", "log_settings"]
