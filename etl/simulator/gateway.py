"""The gateway's behaviour: one request in, one answer out. No sockets here.

A harness may use it in memory, without a server and with a clock of its own:

    clock = ManualClock(START)
    gateway = Gateway(World(jobs=500, clock=clock, version="2.0"))
    response = gateway.handle(Request.to("/v1/videos?provider=openai", {"Authorization": "Bearer t"}))

`handle` reads nothing but its argument, the clock, and what was asked before (a fault's `retry_at` alone is a
date of the machine's, which a client compares with its own clock). A Response carries status,
body, content type and headers; `delivery` says how a server would send it (whole, truncated, reset, stall,
drip, slow). What a server does with `/_sim/…`, `control.answer(gateway, request)` does here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from etl.simulator import error_table
from etl.simulator.accounts import AccountPool
from etl.simulator.credentials import Credentials, Rotation
from etl.simulator.error_body import ErrorContext, Mistake, Refused, render_error
from etl.simulator.exchange import Exchange
from etl.simulator.faults import Faults
from etl.simulator.log.endpoint import LOG_PATH, LogEndpoint
from etl.simulator.mangle import mangle_response
from etl.simulator.settings import GatewaySettings
from etl.simulator.upstream import Upstream
from etl.simulator.videos import Videos
from etl.simulator.wire import DASHBOARD, HTML, Request, Response, VideoPath, dump_json, video_path
from etl.simulator.world import World


class Gateway:
    """world: the provider behind it; others: more providers behind the same gateway; they get its clock.

    token, virtual_keys, dashboard, enforced, rotation: see Credentials. The other options: see Settings.
    """

    def __init__(
        self,
        world: World,
        *,
        others: Sequence[World] = (),
        token: str | None = None,
        virtual_keys: Mapping[str, str] | None = None,
        dashboard: tuple[str, str] | None = None,
        enforced: bool = False,
        rotation: Rotation | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.world, self.worlds = world, (world, *others)
        for other in others:
            other.clock = world.clock
        self.settings = GatewaySettings(**settings)
        self.credentials = Credentials(token, dict(virtual_keys or {}), dashboard, enforced, rotation)
        self.log = LogEndpoint(self.worlds, self.credentials, self.settings)
        self.faults = Faults(seed)
        self.served = 0
        self._videos = {world.provider: self._make_videos(world, seed) for world in self.worlds}

    def _make_videos(self, world: World, seed: int) -> Videos:
        upstream = Upstream(world, self.faults, self.settings)
        return Videos(world, self.faults, AccountPool(world, seed), upstream, self.settings)

    @property
    def latency(self) -> float:
        """Seconds that every answer takes."""
        return self.settings.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.settings.latency = seconds

    def handle(self, request: Request) -> Response:
        """The answer to one request. `/_sim/` is not the gateway's: see control."""
        self.served += 1
        if request.path == "/health":
            return self._answer_health(request)
        if self._is_for_log(request.path):
            return self._answer_log(request)
        asked = self._video_path(request.path)
        return self._answer_videos(request, asked) if asked else self._answer_not_found()

    def _video_path(self, path: str) -> VideoPath | None:
        profile = self.world.profile
        if not profile.suffixed:
            prefix = profile.path.removesuffix("/v1/videos")
            inside = path.startswith(profile.path)
            return video_path(path.removeprefix(prefix)) if inside else None
        asked = video_path(path)
        if asked and asked.through == "openai_passthrough" and not self.settings.passthrough:
            return None
        return asked

    def _answer_not_found(self) -> Response:
        if self.world.profile.suffixed:
            return Response(200, DASHBOARD, HTML)
        return Response(404, dump_json({"error": {"code": "404", "message": "Resource not found"}}))

    def _answer_health(self, request: Request) -> Response:
        if self.faults.pick(request, "health_down"):
            return Response(503, dump_json({"status": "error", "components": {"db_pings": "failed"}}))
        return Response(200, dump_json({"status": "ok", "components": {"db_pings": "ok"}}))

    def _is_for_log(self, path: str) -> bool:
        there = self.world.profile.suffixed and self.settings.logs
        return there and (path == LOG_PATH or path.startswith(LOG_PATH + "/"))

    def _answer_log(self, request: Request) -> Response:
        active = self.faults.pick(request)
        context = ErrorContext(self.world.shape, self.world.version)
        answers = (error_table.fault_answer(fault, context) for fault in active)
        spoilt = next((answer for answer in answers if answer), None)
        return mangle_response(active, spoilt or self.log.answer(request))

    def _answer_videos(self, request: Request, asked: VideoPath) -> Response:
        exchange = Exchange(request, asked, self._world_asked(request, asked))
        if request.method != "GET":
            return render_error(Mistake(405, "Method not allowed"), exchange.context)
        exchange.faults = self.faults.pick(request)
        try:
            response = self._serve_exchange(exchange)
        except Refused as refusal:
            response = refusal.response
        if exchange.key and not exchange.asked.through:
            self.log.record(exchange, response)
        return mangle_response(exchange.faults, response)

    def _serve_exchange(self, exchange: Exchange) -> Response:
        for fault in exchange.faults:
            if answer := error_table.fault_answer(fault, exchange.context):
                return answer
        if refusal := self.credentials.refusal(exchange.request.headers, exchange.world):
            return error_table.named_error(refusal, exchange.context)
        if self._is_unknown(exchange):
            return error_table.named_error("provider_not_configured", exchange.context)
        return self._videos[exchange.world.provider].answer(exchange)

    def _is_unknown(self, exchange: Exchange) -> bool:
        """By id, the suffix must name a provider behind this gateway; OpenAI's own doors lead to OpenAI."""
        asked = exchange.asked
        if not exchange.world.profile.suffixed:
            return False
        if asked.through:
            return exchange.world.provider != "openai"
        return ":" in asked.id and asked.id.rpartition(":")[2] not in self._videos

    def _world_asked(self, request: Request, asked: VideoPath) -> World:
        """The provider that is meant: by parameter or by the id's suffix; the first one otherwise."""
        wanted = asked.id.rpartition(":")[2] if asked.id else request.query.get("provider", "")
        if asked.through:
            wanted = "openai"
        return next((world for world in self.worlds if world.provider == wanted), self.world)
