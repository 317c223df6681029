"""The gateway as this program sees it: pages of the list, single jobs, health."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any
from urllib.parse import quote

from msgspec import structs

from etl.config import Source
from etl.config.profiles import ProfileName
from etl.errors import GatewayError
from etl.extract import gateway_errors, provider_bytes
from etl.extract.answers import make_page, read_envelope, read_object, require_list
from etl.extract.cursors import Cursors
from etl.extract.decode import Envelope
from etl.extract.http import WHOLE, Reply, Transport
from etl.extract.inclusive import Inclusive
from etl.extract.logs import LogClient
from etl.extract.rate_limit import RateLimit
from etl.extract.reply_headers import answering_key, retry_after_seconds, sent_at
from etl.extract.retry import Retry
from etl.extract.server_kind import BIFROSTS, ServerKind
from etl.log import Redactor, get_logger
from etl.records import PageRequest, RawPage

#: Begins the ids of our own reads by id, so that they are known again in the gateway's log.
OWN_REQUEST = "bifrost-etl-"
#: From 1.5.1 on a gateway gives raw answers only where its configuration lets a request ask for them.
NO_RAW_PAYLOADS = "the gateway keeps raw answers to itself: set allow_per_request_raw_override there"
JobAnswer = tuple[Reply, bytes, dict[str, bytes]]


class GatewayClient:
    """A client for one source. Thread-safe; close it, or use it as a context manager.

    clock: our time, UTC. monotonic, sleep: seconds. on_retry(error, seconds) is told before each
    wait, on_answer(seconds) of each page and job.
    `requests` and `retries` count what was sent. `redact` masks secrets in errors; pages stay as they came.
    """

    def __init__(
        self,
        source: Source,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random,
        on_retry: Callable[[GatewayError, float], None] | None = None,
        on_answer: Callable[[float], None] | None = None,
        redact: Callable[[str], str],
    ) -> None:
        self.source, self._clock, self._redact = source, clock, redact
        self.requests = self.retries = 0
        self.cursors, self.inclusive = Cursors(), Inclusive()
        self.key: str | None = None  # pins every request from now on, where the source pins none
        self._noticed = False
        self._lock = threading.Lock()
        self._on_retry, self._on_answer = on_retry, on_answer
        self._logs: LogClient | None = None
        self._transport = Transport(source, monotonic=monotonic)
        self.kind = ServerKind(source, self._ask_as)
        self._limit = RateLimit(source.requests_per_second, monotonic=monotonic, sleep=sleep)
        self._retry = Retry(source, rng=rng, sleep=sleep, monotonic=monotonic, on_retry=self._count_retry)

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()
        if self._logs is not None:
            self._logs.close()

    def _ask_as(self, profile: ProfileName) -> None:
        self.source = structs.replace(self.source, profile=profile)
        self._transport.ask_as(profile)

    @property
    def _provider(self) -> dict[str, str]:
        """The provider as a parameter, where this kind of server wants it as one."""
        provider = self.source.provider if self.source.asked_as.provider == "query" else None
        return {} if provider is None else {"provider": provider}

    @property
    def logs(self) -> LogClient:
        """The gateway's log, under the same limits."""
        with self._lock:
            if self._logs is None:
                self._logs = LogClient(
                    self.source,
                    retry=self._retry,
                    wait=self._limit.wait,
                    sent=self._count_request,
                    clock=self._clock,
                    date=sent_at,
                    redact=self._redact,
                )
            return self._logs

    @property
    def secrets(self) -> list[str]:
        """The secrets of the source as it is asked for now."""
        return self._transport.secrets

    def listen(self, on_reply: Callable[[str, dict[str, str], Reply], None]) -> None:
        """From now on `on_reply` gets the path, the query and the answer of each request that is answered."""
        self._transport.on_reply = on_reply

    def page(self, request: PageRequest, *, attempts: int | None = None) -> RawPage:
        """One page of the list. Raises GatewayError; retriable failures only after their retries."""
        return self.inclusive.follow(request, lambda asked: self._follow_cursor(asked, attempts))

    def is_poison_itself(self, request: PageRequest) -> bool:
        """The list is inclusive, and cannot show the very job that it is asked behind."""
        if not self.inclusive.known or request.after is None:
            return False
        try:
            self._follow_cursor(replace(request, limit=1), 1)
        except GatewayError:
            return True
        return False

    def _follow_cursor(self, request: PageRequest, attempts: int | None) -> RawPage:
        return self.cursors.follow(request, lambda asked, after: self._ask_page(asked, after, attempts))

    def _ask_page(self, request: PageRequest, after: str | None, attempts: int | None) -> RawPage:
        ask = partial(self._list_page, request, after)
        return self.kind.ask(ask, attempts, is_first=after is None)

    def _list_page(self, request: PageRequest, after: str | None, attempts: int | None) -> RawPage:
        query = _list_query(request, after) | self._provider
        if self.source.asked_as.newest_first:
            del query["order"]
        reply, envelope, tried = self._ask_list("/v1/videos", query, attempts)
        return self._make_page(request, reply, envelope, tried)

    def raw_page(self, request: PageRequest, after: str | None) -> RawPage:
        """A page as the provider sends it, behind its own id `after`, with ids as the list shows them.

        Raises GatewayError; GarbledAnswer where the gateway has no passthrough.
        """
        query = _list_query(request, after)
        reply, envelope, tried = self._ask_list(provider_bytes.PATH, query, None)
        provider_bytes.dress_as_listed(envelope)
        page = self._make_page(request, reply, envelope, tried)
        more = page.has_more if page.has_more is not None else len(page.items) >= request.limit
        return replace(page, has_more=more)

    def raw_job(self, native: str, job_id: str) -> RawPage:
        """One job as the provider sends it, with its ids as listed. Raises GatewayError."""
        (reply, body, _), tried = self._read_job(provider_bytes.PATH, native, {}, job_id)
        return self._make_job_page(
            job_id, reply, provider_bytes.with_listed_ids(body), provider_bytes.EXTRA_FIELDS, tried
        )

    def _ask_list(
        self, path: str, query: dict[str, str], attempts: int | None
    ) -> tuple[Reply, Envelope, int]:
        where, after = f"GET {path} (source {self.source.name})", query.get("after")

        def once() -> tuple[Reply, Envelope]:
            reply = self._send_request(path, query, where, after)
            envelope = read_envelope(reply, where)
            self._check_list(reply, envelope, where, after)
            return reply, envelope

        (reply, envelope), tried = self._retry.call(once, attempts=attempts)
        return reply, envelope, tried

    def job(self, job_id: str, *, key: str | None = None) -> RawPage:
        """One job as a page of one item; NotFound when the gateway has none of that id. `key` pins it."""
        (reply, body, cut), tried = self._read_listed_job(job_id, key)
        return self._make_job_page(job_id, reply, body, cut.get("extra_fields"), tried)

    def whole_job(self, job_id: str, *, key: str | None = None) -> bytes:
        """The whole answer to a read by id, links to media or the media itself included. Raises as `job`."""
        (reply, _, _), _ = self._read_listed_job(job_id, key)
        return reply.body

    def _read_listed_job(self, job_id: str, key: str | None) -> tuple[JobAnswer, int]:
        query = {} if ":" in job_id else self._provider
        return self._read_job("/v1/videos", job_id, query, job_id, key)

    def _read_job(
        self, path: str, name: str, query: dict[str, str], job_id: str, key: str | None = None
    ) -> tuple[JobAnswer, int]:
        """The job that is called `name` below `path`."""
        address = f"{path}/{quote(name, safe='', errors='surrogatepass')}"
        where = f"GET {path}/ID (source {self.source.name})"

        def once() -> JobAnswer:
            reply = self._send_request(address, query, where, job_id, by_id=True, key=key)
            return reply, *self._job_body(reply, where, job_id)

        return self._retry.call(once)

    def expect_unreadable(self) -> None:
        """Unreadable records are known: a page that fails for such a reason is not asked for twice."""
        self._retry.unreadable_after = 1

    def health(self) -> dict[str, Any]:
        """GET /health once, decoded. Raises GatewayError when there is none or it is not well."""
        where = f"GET /health (source {self.source.name})"
        reply = self._send_request("/health", {}, where, None, by_id=True)
        return read_envelope(reply, where).fields

    def _send_request(
        self,
        path: str,
        query: dict[str, str],
        where: str,
        after: str | None,
        *,
        by_id: bool = False,
        key: str | None = None,
    ) -> Reply:
        self._limit.wait()
        self._count_request()
        own = f"{OWN_REQUEST}{uuid.uuid4()}" if by_id and self.source.reads_log else None
        reply = self._transport.get(path, query, where, own, key=key or self.key)
        if reply.status in (401, 403) and self._transport.renew(reply):
            self._count_request()  # with another key: its file was replaced meanwhile
            reply = self._transport.get(path, query, where, own, key=key or self.key)
        self.kind.hear(reply.headers)
        if reply.status not in WHOLE:
            wait = retry_after_seconds(reply, self._clock)
            answer = gateway_errors.ErrorReply(reply.status, reply.body, wait, where, after, by_id)
            error = self._judge_error(answer._replace(location=reply.headers.get("Location", "")))
            error.account = answering_key(reply)
            raise error
        return reply

    def _judge_error(self, answer: gateway_errors.ErrorReply) -> GatewayError:
        known = Redactor(self._transport.secrets)  # a renewed key is not known to whoever made `redact`
        error = gateway_errors.error_of(answer, lambda text: self._redact(known(text)))
        error.by_bifrost = any(mark in answer.body for mark in BIFROSTS)
        return error

    def _job_body(self, reply: Reply, where: str, job_id: str) -> tuple[bytes, dict[str, bytes]]:
        """The job, and what was cut out of it. Raises GarbledAnswer, or the error that it is in disguise."""
        body, cut = read_object(reply, where)
        if b'"id"' not in body or b'"is_bifrost_error"' in body:
            status = gateway_errors.embedded_status(read_envelope(reply, where).fields)
            if status is not None:
                raise self._judge_error(
                    gateway_errors.ErrorReply(status, reply.body, None, where, job_id, True, True)
                )
        return body, cut

    def _check_list(self, reply: Reply, envelope: Envelope, where: str, after: str | None) -> None:
        status = None if envelope.items else gateway_errors.embedded_status(envelope.fields)
        if status is not None:
            raise self._judge_error(
                gateway_errors.ErrorReply(status, reply.body, None, where, after, inside=True)
            )
        require_list(envelope, where)

    def _make_page(self, request: PageRequest, reply: Reply, envelope: Envelope, tried: int) -> RawPage:
        self._notice(envelope.extra_fields)
        if self._on_answer is not None:
            self._on_answer(reply.seconds)
        return make_page(request, reply, envelope, tried, self._clock())

    def _make_job_page(
        self, job_id: str, reply: Reply, body: bytes, extra: bytes | None, tried: int
    ) -> RawPage:
        envelope = Envelope([body], True, {"has_more": False}, extra)
        return self._make_page(PageRequest(after=job_id, limit=1), reply, envelope, tried)

    def _count_request(self) -> None:
        with self._lock:
            self.requests += 1

    def _notice(self, extra: bytes | None) -> None:
        """What the first page tells of the gateway: its version, and whether it gives raw answers."""
        if self._noticed or extra is None:
            return
        self._noticed = True
        if b'"routing_info"' in extra:
            self._transport.expect_version_2()
        if self.source.raw_payloads == "store" and b'"raw_response"' not in extra:
            # An error, as `sync` shows no less: what was asked for is lost with every page.
            get_logger("extract").error("no_raw_payloads", source=self.source.name, hint=NO_RAW_PAYLOADS)

    def _count_retry(self, error: GatewayError, wait: float) -> None:
        with self._lock:
            self.retries += 1
        if self._on_retry is not None:
            self._on_retry(error, wait)


def _list_query(request: PageRequest, after: str | None) -> dict[str, str]:
    query = {"limit": str(request.limit), "order": request.order}
    return query if after is None else query | {"after": after}
