"""Videos as the gateway shows them: the list, one job, and the provider's own bytes."""

import json
from typing import Any
from zlib import crc32

from etl.simulator import decoding, error_table
from etl.simulator.accounts import AccountPool, UnknownKey
from etl.simulator.decoding import Unreadable
from etl.simulator.error_body import Mistake, Refused, refuse_request
from etl.simulator.exchange import Exchange
from etl.simulator.faults import Faults
from etl.simulator.job_lives import GOOGLE
from etl.simulator.mangle import mangle_ask, mangle_envelope, mangle_items
from etl.simulator.settings import GatewaySettings
from etl.simulator.upstream import Upstream
from etl.simulator.wire import (
    Ask,
    Response,
    as_upstream,
    dump_json,
    extra_fields,
    native_id,
    page_body,
    reference_fields,
)
from etl.simulator.world import Listing, World

CANNOT_LIST = (*GOOGLE, "runway", "replicate", "runware", "anthropic", "bedrock")
RESULT = {"type": "url", "url": "https://files.example/video.mp4", "content_type": "video/mp4"}


class Videos:
    """One provider's videos."""

    def __init__(
        self,
        world: World,
        faults: Faults,
        accounts: AccountPool,
        upstream: Upstream,
        settings: GatewaySettings,
    ) -> None:
        self._world, self._faults, self._accounts = world, faults, accounts
        self._upstream, self._settings = upstream, settings
        self._last_after: str | None = None

    def answer(self, exchange: Exchange) -> Response:
        """Raises Refused."""
        if exchange.listing:
            return self._answer_list(exchange)
        return self._raw_job(exchange) if exchange.raw else self._answer_job(exchange)

    def _choose_account(self, exchange: Exchange) -> None:
        """Raises Refused where no account can answer."""
        headers, failed = exchange.request.headers, self._faults.standing("key_failed")
        broken = frozenset(fault.text("key", "key-1") for fault in failed)
        moves_on = self._world.version.names_accounts
        try:
            exchange.account = self._accounts.choose(headers, broken if moves_on else frozenset())
        except UnknownKey as exc:
            message = f'no supported key found with name "{exc}" for provider: {self._world.provider}'
            raise refuse_request(Mistake(400, message, "core"), exchange.context) from None
        exchange.key = self._accounts.name(exchange.account)
        if exchange.key in broken:
            raise self._named_refusal("upstream_401", exchange)

    def _named_refusal(self, name: str, exchange: Exchange) -> Refused:
        return Refused(error_table.named_error(name, exchange.context))

    # one job

    def _answer_job(self, exchange: Exchange) -> Response:
        id, world = exchange.asked.id, self._world
        if world.profile.suffixed and ":" not in id:
            raise refuse_request(Mistake(400, "video_id must be in id:provider format"), exchange.context)
        self._choose_account(exchange)
        if self._faults.poisoned([id], world):
            raise self._named_refusal("unmarshal", exchange)
        body = self._read_job(id, exchange)
        if exchange.faults:
            body = mangle_items(exchange.faults, [body])[0]
        return self._send_body(self._dress_retrieved(body, exchange), exchange)

    def _read_job(self, id: str, exchange: Exchange) -> bytes:
        body = self._upstream.read(id, exchange)
        if body is None:
            native = native_id(id, self._world.provider, self._world.shape) or id
            raise Refused(error_table.missing_job(native, exchange.upstream_context))
        return body

    def _raw_job(self, exchange: Exchange) -> Response:
        self._choose_account(exchange)
        id = next((i for i in self._world.names(exchange.asked.id)), exchange.asked.id)
        body = as_upstream(self._read_job(id, exchange), self._world.provider)
        return self._send_body(body, exchange)

    def _dress_retrieved(self, body: bytes, exchange: Exchange) -> bytes:
        """By id, Bifrost adds its extra fields, and some providers a link to the result."""
        world = self._world
        if world.shape != "bifrost" or not (body.startswith(b"{") and body.endswith(b"}")):
            return body
        job: dict[str, Any] = self._decoded_single(body, exchange)
        if world.plan.custom:
            job |= _outputs(job)
        if world.provider in GOOGLE:
            job = {**_told_by_google(job), "created_at": int(world.now())}
        job["extra_fields"] = self._extra_fields(exchange)
        return dump_json(job)

    def _decoded_single(self, body: bytes, exchange: Exchange) -> dict[str, Any]:
        if not self._decodes:
            job: dict[str, Any] = json.loads(body)
            return job
        try:
            return decoding.as_single(body)
        except Unreadable:
            raise self._named_refusal("unmarshal", exchange) from None

    # the list

    def _answer_list(self, exchange: Exchange) -> Response:
        ask = exchange.ask = self._parse_question(exchange)
        if exchange.faults:
            mangle_ask(exchange.faults, ask, self._last_after, len(self._world.accounts))
        self._last_after = ask.after
        page = self._upstream.page(ask, exchange)
        if exchange.raw:
            return self._raw_list(page, exchange)
        if self._faults.poisoned(page.ids, self._world):
            raise self._named_refusal("unmarshal", exchange)
        items, envelope = self._decode_items(page.items, exchange), self._make_envelope(page, exchange)
        if any(fault.name == "upstream_null" for fault in exchange.faults):
            body = {"object": "", "data": None, "extra_fields": envelope.get("extra_fields")}
            return self._send_body(dump_json(body), exchange)
        if not exchange.faults:
            return self._send_body(page_body(items, envelope), exchange)
        items = mangle_items(exchange.faults, items)
        shown = mangle_envelope(exchange.faults, envelope, items, ask.now)
        return self._send_body(page_body(shown, envelope), exchange)

    def _parse_question(self, exchange: Exchange) -> Ask:
        query, world, profile = exchange.request.query, self._world, self._world.profile
        if profile.suffixed and not exchange.asked.through:
            self._check_provider(query.get("provider", ""), exchange)
        elif world.shape == "litellm":
            wanted = exchange.request.headers.get("custom-llm-provider", world.provider)
            if wanted != world.provider:
                raise refuse_request(Mistake(400, "LLM Provider NOT provided"), exchange.context)
        self._choose_account(exchange)
        # Bifrost's OpenAI-shaped door drops what is asked; the others honour what they know.
        asked = () if exchange.asked.through == "openai" else profile.asked
        limit = self._parse_limit(query.get("limit", "") if "limit" in asked else "", exchange)
        order = (query.get("order") if "order" in asked else "") or "desc"
        after = (query.get("after") if "after" in asked else "") or None
        refusal = error_table.upstream_limits(limit, order, exchange.upstream_context)
        if refusal:
            raise Refused(refusal)
        limit = min(limit, world.cap or limit, profile.cap or limit)
        return Ask(exchange.account, after, order, limit, world.now())

    def _check_provider(self, provider: str, exchange: Exchange) -> None:
        if not provider:
            raise self._named_refusal("provider_missing", exchange)
        if provider in CANNOT_LIST:
            context = exchange.context._replace(provider=provider)
            raise Refused(error_table.named_error("unsupported_operation", context))
        if provider != self._world.provider:
            raise self._named_refusal("provider_not_configured", exchange)

    def _parse_limit(self, text: str, exchange: Exchange) -> int:
        """An integer as Go's strconv.Atoi reads it: no spaces, no underscores."""
        bare = text.lstrip("+-")
        if text and not (bare.isascii() and bare.isdigit()):
            raise self._named_refusal("invalid_limit", exchange)
        limit = int(text or "20")
        return max(1, min(100, limit)) if self._world.profile.clamps else limit

    @property
    def _decodes(self) -> bool:
        """Whether the provider's jobs are read into known fields here, or shown as they come."""
        world = self._world
        drifts = world.profile.suffixed and self._faults.standing("poison_type")
        return bool(drifts) or (world.strict and world.shape == "bifrost")

    def _decode_items(self, items: list[bytes], exchange: Exchange) -> list[bytes]:
        if not self._decodes:
            return items
        try:
            jobs = [decoding.as_listed(item) for item in items]
        except Unreadable:
            raise self._named_refusal("unmarshal", exchange) from None
        return [dump_json(job) for job in jobs]

    def _make_envelope(self, page: Listing, exchange: Exchange) -> dict[str, Any]:
        world, rest = self._world, dict[str, Any]()
        first, last = self._page_edges(page) if page.ids or world.profile.null_ids else ({}, {})
        rest.update({**first, "has_more": page.more, **last})
        if world.shape == "bifrost":
            rest["extra_fields"] = self._extra_fields(exchange)
            if self._wants_raw(exchange):
                rest["extra_fields"]["raw_response"] = json.loads(self._raw_body(page))
        elif world.shape == "reference":
            rest["extra_fields"] = reference_fields(world.provider, self._settings.latency)
        return rest

    def _page_edges(self, page: Listing) -> tuple[dict[str, str | None], dict[str, str | None]]:
        profile, world = self._world.profile, self._world
        edges: list[str | None] = [page.ids[0], page.ids[-1]] if page.ids else [None, None]
        if profile.null_ids:
            edges = [None, None]
        elif profile.wrapped:
            edges = [id and native_id(id, world.provider, world.shape) for id in edges]
        return {"first_id": edges[0]}, {"last_id": edges[1]}

    def _extra_fields(self, exchange: Exchange) -> dict[str, Any]:
        world, kind = self._world, exchange.context.request_type
        return extra_fields(kind, world.provider, self._settings.latency, world.version, exchange.key or "")

    def _wants_raw(self, exchange: Exchange) -> bool:
        asked = exchange.request.headers.get("x-bf-send-back-raw-response") == "true"
        return asked and (self._settings.allow_raw or not self._world.version.raw_needs_permission)

    # the provider's own bytes

    def _raw_list(self, page: Listing, exchange: Exchange) -> Response:
        return self._send_body(self._raw_body(page), exchange)

    def _raw_body(self, page: Listing) -> bytes:
        world = self._world
        items = [as_upstream(item, world.provider) for item in page.items]
        ids = [native_id(id, world.provider, world.shape) for id in page.ids]
        edges = {"first_id": ids[0], "last_id": ids[-1]} if ids else {"first_id": None, "last_id": None}
        return page_body(items, {**edges, "has_more": page.more}, escape=False)

    def _send_body(self, body: bytes, exchange: Exchange) -> Response:
        version = self._world.version
        headers = {}
        if self._world.profile.suffixed and version.names_accounts and exchange.key:
            headers["X-Bifrost-Routing-Info-Key"] = exchange.key
        if exchange.raw:
            return Response(200, body, version.passthrough_type, headers)
        return Response(200, body, headers=headers)


def _told_by_google(job: dict[str, Any]) -> dict[str, Any]:
    """A long-running operation says little: neither model nor prompt, length, size or any other time."""
    told = ("id", "created_at", "object", "status", "error", "videos", "content_filter")
    return {key: job[key] for key in told if key in job}


def _outputs(job: dict[str, Any]) -> dict[str, Any]:
    """What was made and what the content filter has kept back: of two videos one, now and then."""
    if (job.get("error") or {}).get("code") == "moderation_blocked":
        return {"content_filter": {"filtered_count": 1, "reasons": [job["error"].get("message", "")]}}
    if job.get("status") != "completed":
        return {}
    kept = {"filtered_count": 1, "reasons": ["The video was kept back: it shows a person."]}
    drawn = crc32(str(job.get("id")).encode()) % 8
    return {"videos": [RESULT] * (2 if drawn == 0 else 1)} | ({"content_filter": kept} if drawn == 1 else {})
