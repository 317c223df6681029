"""The gateway's behaviour: one request in, one answer out. No sockets here."""

import base64
import random
from collections.abc import Mapping
from urllib.parse import unquote

from etl.simulator import error_table
from etl.simulator.faults import Faults
from etl.simulator.mangle import mangle_ask, mangle_envelope, mangle_items, mangle_response
from etl.simulator.wire import (
    DASHBOARD,
    HTML,
    Ask,
    Request,
    Response,
    dump,
    extra_fields,
    page_body,
    reference_fields,
)
from etl.simulator.world import DeadCursor, Listing, World

STICKY_SECONDS = 3600.0
VIDEOS = "/v1/videos"
CANNOT_LIST = ("gemini", "vertex", "runway", "replicate", "anthropic", "bedrock")


class Gateway:
    """token: what a Bearer must be; None lets everybody in, unless virtual keys are given.

    virtual_keys: {"sk-bf-…": "active" | name of a fault that its holder gets}.
    dashboard: (user, password) of the dashboard's authentication, when it is on.
    dead_cursor: 400 | 404 | "empty" | "first_page", what an unknown `after` is answered with.
    """

    def __init__(
        self,
        world: World,
        *,
        token: str | None = None,
        virtual_keys: Mapping[str, str] | None = None,
        dashboard: tuple[str, str] | None = None,
        dead_cursor: int | str = 404,
        latency: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.world, self.token, self.dashboard, self.latency = world, token, dashboard, latency
        self.virtual_keys = dict(virtual_keys or {})
        self.dead_cursor = str(dead_cursor)
        self.faults = Faults(seed)
        self.served = 0
        self._chance = random.Random(seed)
        self._sticky: dict[str, tuple[int, float]] = {}
        self._twin: World | None = None
        self._last_after: str | None = None

    def handle(self, request: Request) -> Response:
        """The answer to one request. `/_sim/` is not the gateway's: see control."""
        self.served += 1
        if request.path == VIDEOS or request.path.startswith(VIDEOS + "/"):
            return self._videos(request)
        if request.path == "/health":
            return self._health(request)
        return Response(200, DASHBOARD, HTML)

    def _health(self, request: Request) -> Response:
        if self.faults.pick(request, "health_down"):
            return Response(503, dump({"status": "error", "components": {"db_pings": "failed"}}))
        return Response(200, dump({"status": "ok", "components": {"db_pings": "ok"}}))

    def _videos(self, request: Request) -> Response:
        if request.method != "GET":
            return self._no(405, "Method not allowed")
        active = self.faults.pick(request)
        for fault in active:
            if answer := error_table.answer(fault, self.world.shape, self.world.provider):
                return mangle_response(active, answer)
        refusal = self._refusal(request.headers)
        answer = refusal or (self._list(request) if request.path == VIDEOS else self._job(request))
        return mangle_response(active, answer) if active else answer

    # who asks

    def _refusal(self, headers: Mapping[str, str]) -> Response | None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        virtual = headers.get("x-bf-vk", "")
        if self.dashboard:
            wanted = base64.b64encode(":".join(self.dashboard).encode()).decode()
            if (scheme.lower(), given) != ("basic", wanted):
                return error_table.named("unauthorized", self.world.shape)
        elif scheme.lower() == "bearer":
            if self.token is not None and given == self.token:
                return None
            virtual = virtual or (given if given.startswith("sk-bf-") else "")
        return self._virtual_refusal(virtual, bool(given))

    def _virtual_refusal(self, virtual: str, credentials: bool) -> Response | None:
        shape = self.world.shape
        if virtual and self.virtual_keys:
            state = self.virtual_keys.get(virtual, "virtual_key_not_found")
            return None if state == "active" else error_table.named(state, shape)
        if self.virtual_keys and (self.dashboard or not credentials):
            return error_table.named("virtual_key_required", shape)
        open_house = self.dashboard or (self.token is None and not self.virtual_keys)
        return None if open_house else error_table.named("unauthorized", shape)

    def _account(self, headers: Mapping[str, str]) -> int | Response:
        names = list(self.world.accounts)
        if key_id := headers.get("x-bf-api-key-id"):
            return self._pinned(key_id, [f"{name}-id" for name in names])
        if name := headers.get("x-bf-api-key"):
            return self._pinned(name, names)
        now, session = self.world.now(), headers.get("x-bf-session-id")
        place, until = self._sticky.get(session or "", (0, 0.0))
        if until <= now:
            place = self._chance.choices(range(len(names)), list(self.world.accounts.values()))[0]
            if session:
                self._sticky[session] = (place, now + STICKY_SECONDS)
        return place

    def _pinned(self, wanted: str, known: list[str]) -> int | Response:
        if wanted in known:
            return known.index(wanted)
        return self._no(
            400, f'no supported key found with name "{wanted}" for provider: {self.world.provider}'
        )

    # one job

    def _job(self, request: Request) -> Response:
        id, shape = request.path[len(VIDEOS) + 1 :], self.world.shape
        if shape not in ("openai", "litellm"):
            provider = id.rpartition(":")[2]
            if not provider or provider == id:
                return self._no(400, "video_id must be in id:provider format")
            if provider != self.world.provider:
                return error_table.named("provider_not_configured", shape)
        account = self._account(request.headers)
        if isinstance(account, Response):
            return account
        if self.faults.poisoned([id], self.world):
            return error_table.named("unmarshal", shape, self.world.provider)
        body = self.world.raw(id, account)
        if body is None:
            return error_table.missing(unquote(id.rpartition(":")[0] or id), shape, self.world.provider)
        active = self.faults.current
        body = mangle_items(active, [body])[0] if active else body
        return Response(200, self._retrieved(body))

    def _retrieved(self, body: bytes) -> bytes:
        """By id, Bifrost adds its extra fields, and some providers a link to the result."""
        if self.world.shape != "bifrost" or not body.startswith(b"{") or not body.endswith(b"}"):
            return body
        more = {"extra_fields": extra_fields("video_retrieve", self.world.provider, self.latency)}
        if self.world.plan.custom and b'"status":"completed"' in body:
            more["videos"] = [{"type": "url", "url": "https://files.example/video.mp4"}]  # type: ignore[assignment]
        return body.replace(b'"progress":0,', b"")[:-1] + b"," + dump(more)[1:]

    # the list

    def _list(self, request: Request) -> Response:
        ask = self._understand(request)
        if isinstance(ask, Response):
            return ask
        active = self.faults.current
        if active:
            mangle_ask(active, ask, self._last_after, len(self.world.accounts))
        self._last_after = ask.after
        try:
            page = self._page(ask)
        except DeadCursor:
            dead = self._dead(ask)
            if isinstance(dead, Response):
                return dead
            page = dead
        if self.faults.poisoned(page.ids, self.world):
            return error_table.named("unmarshal", self.world.shape, self.world.provider)
        items, envelope = page.items, self._envelope(page)
        if not active:
            return Response(200, page_body(items, envelope))
        items = mangle_items(active, items)
        shown = mangle_envelope(active, envelope, items, ask.now)
        return Response(200, page_body(shown, envelope))

    def _understand(self, request: Request) -> Ask | Response:
        query, headers, world = request.query, request.headers, self.world
        account: int | Response | None = None
        if world.shape == "litellm":
            if headers.get("custom-llm-provider", "openai") != world.provider:
                return self._no(400, "LLM Provider NOT provided")
            return Ask(None, None, "desc", 20, world.now())
        if world.shape != "openai":
            refusal = self._provider_refusal(query.get("provider", ""))
            if refusal:
                return refusal
        account = self._account(headers)
        if isinstance(account, Response):
            return account
        try:
            limit = _integer(query.get("limit") or "20")
        except ValueError:
            return self._no(400, "invalid limit parameter")
        order = query.get("order") or "desc"
        refusal = error_table.upstream_limits(limit, order, world.shape, world.provider)
        return refusal or Ask(account, query.get("after") or None, order, limit, world.now())

    def _provider_refusal(self, provider: str) -> Response | None:
        if not provider:
            return error_table.named("provider_missing", self.world.shape)
        if provider == self.world.provider:
            return None
        name = "unsupported_operation" if provider in CANNOT_LIST else "provider_not_configured"
        return error_table.named(name, self.world.shape, provider)

    def _page(self, ask: Ask) -> Listing:
        world = self.world
        if ask.twin:
            world = self._twin = self._twin or self.world.twin()
        if world.shape == "litellm" or len(world.accounts) == 1:
            ask.account = None
        return world.page(account=ask.account, after=ask.after, order=ask.order, limit=ask.limit, now=ask.now)

    def _dead(self, ask: Ask) -> Response | Listing:
        how = self.faults.dead_cursor or self.dead_cursor
        if how == "first_page":
            ask.after = None
            return self._page(ask)
        if how == "empty":
            return Listing([], [], False)
        return error_table.dead_cursor(ask.after or "", int(how), self.world.shape, self.world.provider)

    def _envelope(self, page: Listing) -> dict[str, object]:
        world, rest = self.world, dict[str, object]()
        if world.shape != "reference" and page.ids:
            rest.update(first_id=page.ids[0], last_id=page.ids[-1])
        rest["has_more"] = page.more
        if world.shape == "bifrost":
            rest["extra_fields"] = extra_fields("video_list", world.provider, self.latency)
        elif world.shape == "reference":
            rest["extra_fields"] = reference_fields(world.provider, self.latency)
        return rest

    def _no(self, status: int, message: str) -> Response:
        return error_table.plain(status, message, self.world.shape)


def _integer(text: str) -> int:
    """An integer as Go's strconv.Atoi reads it: no spaces, no underscores."""
    if not text.lstrip("+-").isascii() or not text.lstrip("+-").isdigit():
        raise ValueError(text)
    return int(text)
