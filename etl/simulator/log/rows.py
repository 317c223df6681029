"""The rows of the gateway's log: what making, polling, settling and deleting a job leaves behind."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from etl.simulator.births import Birth
from etl.simulator.job_lives import GOOGLE
from etl.simulator.log.owners import Owner, number_of, owner_of
from etl.simulator.wire import Ask

#: Dollars per second by model and longer side in pixels; a model that is not here has no price.
PRICES: dict[str, dict[int, float]] = {
    "sora-2": {1280: 0.10},
    "sora-2-pro": {1280: 0.30, 1792: 0.50, 1920: 0.70},
    "veo-3.1-generate-preview": {1280: 0.40, 1920: 0.40, 3840: 0.60},
    "gen4_turbo": {1280: 0.05},  # invented, as Runway publishes none in dollars
}


@dataclass(frozen=True)
class Settlement:
    """What a settler found out. seconds: of each clip; settled_by: the poll that told, "" for its own."""

    request_type: str  # of the request that made the job
    status: str
    seconds: int
    size: str
    settled_by: str = ""

    @property
    def outputs(self) -> int:
        return int(self.status == "completed")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """timestamp: when the request began; written: from when it can be read (both unix seconds).

    latency: milliseconds. cost: dollars. job: the id as the gateway writes it. params: as the log shows them.
    answered: when the provider answered.
    """

    id: str
    timestamp: float
    written: float
    object: str
    provider: str
    answered: float
    model: str = ""
    status: str = "success"
    key: str = ""
    owner: Owner | None = None
    latency: float | None = None
    cost: float | None = None
    job: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    retries: int = 0
    fallback: int = 0
    parent: str | None = None
    settlement: Settlement | None = None
    error: dict[str, Any] | None = None
    ask: Ask | None = None


def price_video(model: str, size: str, seconds: float) -> float | None:
    sides = [int(side) for side in size.split("x") if side.isdigit()]
    rate = PRICES.get(model, {}).get(max(sides, default=0))
    return None if rate is None else round(rate * seconds, 6)


@dataclass(frozen=True)
class RowMaker:
    """delay: within how many seconds a row is written. settles: costs come from a settler, minutes later.

    polls: whether whoever made a job reads it by id once it is settled. settled_object: a settler's rows'
    object, or "" for the one of the request that made the job.
    """

    provider: str
    keys: tuple[str, ...]
    delay: float
    settles: bool
    polls: bool
    settled_object: str

    def rows(self, birth: Birth) -> Iterator[LogEntry]:
        """Everything but its deletion that a job leaves in the log, in time."""
        draw = number_of(birth.native)
        if draw % 17 == 0:
            yield self._refused(birth)
        made = self._made(birth, draw)
        if made.parent:
            yield self._failed_first(made)
        yield made
        if self.polls and birth.settled is not None:
            yield self._polled(birth)
        if self.settles and birth.settled is not None:
            yield self._settlement(birth, made, draw)

    def deleted(self, birth: Birth, when: float) -> LogEntry:
        return self._about(birth, "video_delete", when)

    def late(self, id: str, end: float) -> float:
        """When a row is written: they come in no order, each within the delay."""
        return end + self.delay * (number_of(id) % 1000) / 1000

    def _made(self, birth: Birth, draw: int) -> LogEntry:
        job, remixed = birth.job, birth.remixed
        id = request_id("made", birth.native)
        latency = 38 + draw % 30
        began = birth.created - latency / 1000
        seconds = str(job.get("seconds") or "")
        known = not (remixed or self.settles)
        return LogEntry(
            id,
            began,
            self.late(id, birth.created),
            "video_remix" if remixed else "video_generation",
            self.provider,
            birth.created,
            model="" if remixed else str(job.get("model") or ""),
            key=self.keys[birth.account],
            owner=owner_of(birth.native),
            latency=latency,
            cost=_estimate_tokens(job) if known else None,
            job=birth.id,
            params={"video_id": remixed} if remixed else _asked_parameters(self.provider, seconds, job),
            prompt=job.get("prompt"),
            retries=int(draw % 23 == 0),
            fallback=int(draw % 29 == 0),
            parent=request_id("first", birth.native) if draw % 29 == 0 else None,
        )

    def _failed_first(self, made: LogEntry) -> LogEntry:
        """The request whose fallback made the job."""
        began = made.timestamp - 2
        error = _failure_body(503, "server_error", None, "The engine is currently overloaded.")
        return LogEntry(
            str(made.parent),
            began,
            self.late(str(made.parent), began + 1),
            made.object,
            self.provider,
            began + 1,
            model=made.model,
            status="error",
            owner=made.owner,
            latency=1000,
            params=made.params,
            prompt=made.prompt,
            error=error,
        )

    def _refused(self, birth: Birth) -> LogEntry:
        """A request that made nothing: the provider would not have its prompt."""
        id, began = request_id("refused", birth.native), birth.created - 30
        message = "Your request was rejected by our safety system"
        return LogEntry(
            id,
            began,
            self.late(id, began),
            "video_generation",
            self.provider,
            began + 0.04,
            model=str(birth.job.get("model") or ""),
            status="error",
            owner=owner_of(birth.native),
            latency=44,
            params={"seconds": "4"},
            prompt="something forbidden",
            error=_failure_body(400, "invalid_request_error", "moderation_blocked", message),
        )

    def _polled(self, birth: Birth) -> LogEntry:
        return self._about(birth, "video_retrieve", (birth.settled or birth.created) + 2)

    def _about(self, birth: Birth, object: str, when: float) -> LogEntry:
        id = request_id(object, birth.native)
        return LogEntry(
            id,
            when,
            self.late(id, when + 0.043),
            object,
            self.provider,
            when,
            key=self.keys[birth.account],
            owner=owner_of(birth.native),
            latency=43,
            job=birth.id,
            params={"video_id": birth.native},
        )

    def _settlement(self, birth: Birth, made: LogEntry, draw: int) -> LogEntry:
        """The second row of a job: what it really cost; nothing, if it failed."""
        job, status = birth.job, birth.outcome
        id, when = request_id("settled", birth.native), (birth.settled or 0) + 60 + draw % 180
        told = request_id("video_retrieve", birth.native) if self.polls and draw % 2 else ""
        seconds = int(float(job.get("seconds") or 0))
        return LogEntry(
            id,
            when,
            self.late(id, when),
            self.settled_object or made.object,
            self.provider,
            when,
            model=str(job.get("model") or ""),
            key=made.key,
            owner=made.owner,
            cost=_estimate_tokens(job) if status == "completed" else 0.0,
            job=birth.id,
            parent=made.id,
            settlement=Settlement(made.object, status, seconds, str(job.get("size") or ""), told),
        )


def request_id(kind: str, native: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}:{native}"))


def _asked_parameters(provider: str, seconds: str, job: dict[str, Any]) -> dict[str, Any]:
    asked = {"seconds": seconds} if seconds else {}
    return {**asked, "size": job.get("size")} if provider in GOOGLE else asked


def _estimate_tokens(job: dict[str, Any]) -> float | None:
    seconds, size = job.get("seconds"), job.get("size")
    return price_video(str(job.get("model")), str(size), float(seconds)) if seconds else None


def _failure_body(status: int, type: str, code: str | None, message: str) -> dict[str, Any]:
    error = {"type": type, **({"code": code} if code else {}), "message": message}
    return {"is_bifrost_error": False, "status_code": status, "error": error}
